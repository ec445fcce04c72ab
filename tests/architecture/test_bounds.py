"""Every number that somebody can write is held at both ends: a slip of the keyboard is refused, not solved."""

import pytest
from django.apps import apps
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

#: Written by the program alone.
OWN = {
    "AuditEvent": {"user_number", "site_number", "organisation_number"},
    "EditRecord": {"version"},
    "Layout": {"version"},
    "Run": {"progress_frac", "attempt", "max_attempts"},
    "Study": {"progress_frac", "attempt", "max_attempts", "offset_s"},  # the offset is that of a time
    "Sweep": {"n_points"},
    "SweepPoint": {"progress_frac", "attempt", "max_attempts", "index"},
    "TelemetryArrival": {"n_readings"},
    "TelemetryDay": {"n_readings", "last_ms"},
    "TelemetryHot": {"n_readings", "first_ms", "last_ms"},
    "TelemetryPoint": {"scale", "offset"},  # `twin.core.telemetry.readings` checks the mapping that they come from
    "Worker": {"n_slots"},
}


def numbers() -> list[models.Field]:
    return [
        field
        for model in apps.get_models()
        if model._meta.app_label in ("facility", "twin")
        for field in model._meta.get_fields()
        if isinstance(field, models.FloatField | models.IntegerField)
        and not field.primary_key
        and not field.choices
        and field.name not in OWN.get(model.__name__, set())
    ]


@pytest.mark.parametrize("field", numbers(), ids=str)
def test_a_number_has_a_least_and_a_most(field):
    own = field._validators  # without those of the column's type, which hold 64 bits
    most = [check.limit_value for check in own if isinstance(check, MaxValueValidator)]
    least = [check.limit_value for check in own if isinstance(check, MinValueValidator)]
    positive = isinstance(field, models.PositiveIntegerField | models.PositiveSmallIntegerField)
    assert most, f"{field} has no upper bound"
    assert least or positive, f"{field} has no lower bound"
    assert max(most) <= 1e15
