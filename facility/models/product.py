"""The catalogue in the database: facts about a product, model, workload or region, with source and confidence."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from facility.catalogue import schema
from facility.models.audited import Audited
from power_cooling.site_facts.confidence import CONFIDENCES, STATED
from power_cooling.site_facts.ratings import continuous_rating_w


def product_field(*kinds: str, **options: Any) -> models.ForeignKey:
    """Return a reference to a catalogue entry of one of the kinds; `options` go to the field."""
    return models.ForeignKey(
        "facility.Product",
        on_delete=models.PROTECT,
        related_name="+",
        limit_choices_to={"kind__in": list(kinds)},
        error_messages={"invalid": f"Must be a catalogue entry of kind {' or '.join(kinds)}."},
        **options,
    )


class Product(Audited):
    """One catalogue entry. `facts` holds its fields by name with SI suffix, as in `facility/catalogue/<kind>.yaml`."""

    AUDIT_BULK = False  # the shipped catalogue

    kind = models.CharField(max_length=40, help_text="Catalogue file the entry belongs to, e.g. systems, cdus, ups.")
    slug = models.CharField(  # not a SlugField: names of models carry dots
        max_length=80,
        validators=[RegexValidator(schema.SLUG, "Letters, digits and . _ + - only.")],
        help_text="Name used by site files, commands and the API.",
    )
    name = models.CharField(max_length=160)
    vendor = models.CharField(max_length=80, blank=True)
    facts = models.JSONField(help_text="Fields by name with SI suffix; checked against the kind's schema.")
    source = models.TextField(help_text="Document, page or measurement the facts come from.")
    confidence = models.CharField(
        max_length=12,
        choices=[(name, CONFIDENCES[name].label) for name in STATED],
        help_text="Confidence of the headline figures.",
    )
    field_confidence = models.JSONField(default=dict, blank=True, help_text="Confidence of single fields.")
    notes = models.TextField(blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["kind", "slug"], name="product_kind_slug_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check the facts against the schema of the kind, so that an edit here is as safe as the files."""
        wrong: dict[str, list[str]] = {}
        for name, problem in schema.complaints(
            self.kind,
            self.facts,
            source=self.source,
            confidence=self.confidence,
            field_confidence=self.field_confidence,
        ):
            own = name if name in ("kind", "source", "confidence", "field_confidence") else "facts"
            wrong.setdefault(own, []).append(f"{name} {problem}.")
        if wrong:
            raise ValidationError(wrong)

    def fact(self, name: str) -> Any:
        """Return one fact, or None where the entry does not give it."""
        return self.facts.get(name)

    @property
    def rating_w(self) -> float | None:
        """Continuous rating of one unit where it carries power [W]."""
        return continuous_rating_w(self.facts)

    def confidence_of(self, field: str) -> str:
        """Return the confidence of one field: its own where stated, else the entry's."""
        return self.field_confidence.get(field, self.confidence)
