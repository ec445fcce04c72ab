"""What readings have shown of a layout's equipment: parameters that differ from the description."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.audited import Audited
from facility.models.site import Layout


class CalibratedParameter(Audited):
    """One parameter of one object, fitted to the readings of the site; the layout is solved with its value."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="calibrated_parameters")
    name = models.CharField(max_length=360, help_text="Object and parameter, as `cdu/CDU-1 ua_frac`.")
    value = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)],
        help_text="Ratio to the described value where the name ends in _frac, otherwise in the parameter's unit.",
    )
    low = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)], help_text="Lower end of the 90 % interval."
    )
    high = models.FloatField(
        validators=[MinValueValidator(-1e9), MaxValueValidator(1e9)], help_text="Upper end of the 90 % interval."
    )
    unit = models.CharField(max_length=40, help_text="Unit of value, low and high; 1 for a ratio.")
    evidence = models.CharField(
        max_length=400, blank=True, help_text="Readings it was fitted to, and how well it fits them."
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="calibrated_parameter_name_unique")]

    def __str__(self) -> str:
        return self.name
