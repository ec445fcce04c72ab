"""A fit to readings that was accepted: the layout as it is operated, beside the one that was described."""

import re

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from facility import services
from facility.models import CalibratedParameter, Layout
from twin.core.inputs.parameters import composed
from twin.core.telemetry.fitted import LayoutFit
from twin.core.telemetry.times import iso_time

SUFFIX = re.compile(r"-as-operated-\d{4}-\d{2}-\d{2}$")
MOST_SLUG = 80


def free_slug(layout: Layout) -> str:
    """Return the slug of a layout's copy of today; raise ValidationError if there is one, so that nothing is fitted."""
    ending = f"-as-operated-{timezone.now():%Y-%m-%d}"
    slug = SUFFIX.sub("", layout.slug)[: MOST_SLUG - len(ending)] + ending
    if Layout.objects.filter(site=layout.site, slug=slug).exists():
        raise ValidationError(f"{layout.site.slug}/{slug} was accepted today already; delete it first.")
    return slug


@transaction.atomic
def accept(*, layout: Layout, fit: LayoutFit, name: str, start_s: float, end_s: float, user=None) -> Layout:
    """Return a copy of a layout with what its readings have shown; the layout itself stays.

    Parameters
    ----------
    layout : Layout
        As it was fitted: what was accepted for it before is moved on by the fit.
    fit : LayoutFit
    name : str
        Of the copy. Its slug is `<layout>-as-operated-<date>`.
    start_s, end_s : float
        Span of the readings [s since 1970].

    Raises
    ------
    ValueError
        If the fit is no better on the times held out, or nothing in it could be told.
    ValidationError
        If there is such a copy of today.
    """
    identified = [row for row in fit.parameters if row["identifiable"]]
    if not fit.accepted:
        raise ValueError(f"the fit is not accepted: {fit.reason}; nothing was changed")
    if not identified:
        raise ValueError("no parameter could be identified from these readings; nothing was changed")
    slug = free_slug(layout)
    copy = services.layout_clone(layout=layout, name=name, slug=slug, user=user)
    known = {row.name: row for row in copy.calibrated_parameters.all()}
    evidence = evidence_of(fit, start_s, end_s)
    for row in identified:
        named = f"{row['object']} {row['parameter']}"
        parameter = known.get(named) or CalibratedParameter(layout=copy, name=named)
        before = parameter.value if named in known else (0.0 if row["parameter"] == "sensor_bias" else 1.0)
        for field, fitted in (("value", row["after"]), ("low", row["low"]), ("high", row["high"])):
            setattr(parameter, field, composed(before, row["parameter"], fitted))
        parameter.unit, parameter.evidence = row["unit"], evidence
        parameter.full_clean()
        parameter.save()
    Layout.objects.filter(pk=copy.pk).update(status=Layout.Status.AS_OPERATED)
    copy.refresh_from_db()
    return copy


def evidence_of(fit: LayoutFit, start_s: float, end_s: float) -> str:
    """Return which readings a fit rests on, and how well it does where it has not looked."""
    held = fit.scores["held_out"]
    return (
        f"{fit.n_times} times of {iso_time(start_s)} to {iso_time(end_s)}, {fit.n_held_out} of them held out: error"
        f" there {held['before_sigmas']:.3g} before, {held['after_sigmas']:.3g} sensor sigmas after;"
        f" load from {fit.load_from}"
    )
