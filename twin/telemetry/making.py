"""A study is made: what workers do, with the solvers that the web process does without."""

from typing import Any
from uuid import UUID

from django.db import transaction

from twin.core.inputs.layout import layout_inputs
from twin.core.telemetry import gain
from twin.core.telemetry.advise import advise
from twin.core.telemetry.compare import Comparison, compare
from twin.core.telemetry.diagnosed_fit import fit_diagnosed
from twin.core.telemetry.layout_faults import diagnose_layout
from twin.core.text.json_numbers import without_nan
from twin.exceptions import RunLost
from twin.models import Study
from twin.runs import jobs, snapshot
from twin.runs.leases import Lease, patiently
from twin.telemetry import store, study_points
from twin.telemetry.asked import AskedReadings, asked_readings, figure_bands
from twin.telemetry.taken import rows_before


def study_make(study_id: UUID) -> None:
    """Answer a study that is queued, or that a dead worker left behind.

    Raises
    ------
    RunHeld
        If another worker is at it right now.
    """
    jobs.perform(Study, study_id, _make)


def _make(study_id: UUID, lease: Lease) -> None:
    study = Study.objects.select_related("layout__site", "scenario__site", "scenario__weather").get(id=study_id)
    comparison = None  # what is laid side by side, kept beside the answer
    if study.kind == Study.Kind.ADVICE:
        inputs = snapshot.snapshot(study.layout, study.scenario)
        answer = advise(layout_inputs(inputs), study.figure, progress=lease).as_json()
        inputs_sha256 = snapshot.sha256(snapshot.canonical(inputs))
    elif study.kind == Study.Kind.GAIN:
        inputs = snapshot.snapshot(study.layout, study.scenario)
        answer = _gained(study, inputs, lease)
        inputs_sha256 = snapshot.sha256(snapshot.canonical(inputs))
    else:
        asked = asked_readings(study.layout, study.scenario, **study.span)
        comparison = _compared(asked, lease) if study.kind == Study.Kind.COMPARISON else None
        answer = comparison.as_json() if comparison else _answer(study, asked, lease)
        inputs_sha256 = asked.inputs_sha256
    result = without_nan(answer)
    patiently(lease.check)

    @transaction.atomic
    def keep() -> None:
        if not lease.own_row.update(result=result, inputs_sha256=inputs_sha256):
            raise RunLost("another worker took the study over")
        if comparison:
            study_points.keep(study, comparison)
        jobs.move(Study, study.id, to=Study.Status.DONE)

    patiently(keep)


def _compared(asked: AskedReadings, lease: Lease) -> Comparison:
    lease("solving the measured times", 0.2)
    bands = figure_bands(asked.inputs_sha256)
    return compare(asked.year, asked.measured, **asked.span, figure_bands=bands)


def _gained(study: Study, inputs: dict[str, Any], lease: Lease) -> dict[str, Any]:
    mark, span = study.taken, study.span
    assert mark is not None, f"{study} is of nothing that was taken on"
    ends_ms = (round(span[name] * 1e3) for name in ("start_s", "end_s"))
    return gain.measured_gain(
        layout_inputs(inputs),
        mark.rows,
        store.read(study.layout.site, *ends_ms, quantities=gain.QUANTITIES),
        taken_s=mark.taken_at.timestamp(),
        end_s=span["end_s"],
        offset_s=span["offset_s"],
        earlier=rows_before(mark),
        progress=lease,
    ).as_json()


def _answer(study: Study, asked: AskedReadings, lease: Lease) -> dict[str, Any]:
    if study.kind == Study.Kind.DIAGNOSIS:
        faults = diagnose_layout(asked.year, asked.measured, **asked.span, progress=lease)
        return {"faults": [fault.row for fault in faults]}
    fit = fit_diagnosed(asked.year, asked.measured, **asked.span, parameters=study.parameters, progress=lease)
    return fit.as_json()
