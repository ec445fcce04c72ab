"""What readings have shown of a layout's equipment: parameters that differ from the description."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.site import Layout


class CalibratedParameter(models.Model):
    """One parameter of one object, fitted to the readings of the site; the layout is solved with its value."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="calibrated_parameters")
    name = models.CharField(max_length=360, help_text="Object and parameter, as `cdu/CDU-1 ua_frac`.")
    value = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)],
        help_text="Relative to the described value where the parameter ends in _frac, else in its unit.",
    )
    low = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)], help_text="Lower end of the 90 % interval."
    )
    high = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)], help_text="Upper end of the 90 % interval."
    )
    unit = models.CharField(max_length=40, help_text="Of all three; 1 for a ratio.")
    evidence = models.CharField(max_length=400, blank=True, help_text="Which readings it was fitted to, and how well.")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="calibrated_parameter_name_unique")]

    def __str__(self) -> str:
        return self.name
