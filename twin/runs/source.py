"""Stored runs as a report reads them."""

import logging

from twin.core.inputs.layout import LayoutInputs
from twin.core.report.diagrams import diagrams
from twin.core.report.run import ReportedRun
from twin.core.report.shapes import Drawing
from twin.core.results.details import run_details
from twin.models import Run
from twin.runs import snapshot
from twin.runs.changed import is_changed
from twin.runs.sensitivity import sensitivity_rows
from twin.runs.services import run_racks, run_series

logger = logging.getLogger(__name__)


def reported(run: Run, *, drawn: bool = True) -> ReportedRun:
    """Return a finished run with its snapshot and arrays as plain values, with `drawn` also its diagrams.

    CDUs stand where the layout has them now, as long as nothing of it has been changed: older snapshots do not say.
    """
    inputs = snapshot.inputs_stored(run.inputs)
    layout = run.layout
    is_stale = is_changed(run)
    cdus = () if is_stale else layout.cdus.values_list("id", "x_m", "y_m", "orientation_deg")
    places = {pk: place for pk, *place in cdus}
    return ReportedRun(
        id=str(run.id),
        finished=f"{run.finished_at:%Y-%m-%d %H:%M} UTC",
        solver=run.solver,
        inputs_sha256=run.inputs_sha256,
        figures=run.figures,
        bands=run.bands or {},
        details=run_details(run.details),
        inputs=inputs,
        series=run_series(run),
        racks=run_racks(run),
        version_now=layout.version,
        is_stale=is_stale,
        place=layout.site.place,
        status=layout.get_status_display(),
        cdu_places=places,
        tornado=tuple(sensitivity_rows(run)),
        diagrams=diagrams_of(inputs) if drawn else (),
    )


def diagrams_of(inputs: LayoutInputs) -> tuple[Drawing, ...]:
    """Return the diagrams of a snapshot; none where today's solver refuses what an older one solved."""
    try:
        return diagrams(inputs)
    except (ValueError, LookupError):  # of a snapshot that lacks what is read today, a key is missing
        logger.warning("no diagrams of %s in its report", inputs.layout.name, exc_info=True)
        return ()
