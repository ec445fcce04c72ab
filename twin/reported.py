"""Stored runs as a report reads them."""

from twin import snapshot
from twin.models import Run
from twin.report_run import ReportedRun
from twin.services import run_racks, run_series


def reported(run: Run) -> ReportedRun:
    """Return a finished run with its snapshot and arrays as plain values.

    CDUs stand where the layout has them now, as long as it is the version that was solved: snapshots do not say where.
    """
    inputs = snapshot.unpacked(run.inputs)
    layout = run.layout
    same = layout.version == inputs["layout"]["version"]
    places = (
        {pk: place for pk, *place in layout.cdus.values_list("id", "x_m", "y_m", "orientation_deg")} if same else {}
    )
    return ReportedRun(
        id=str(run.id), finished=f"{run.finished_at:%Y-%m-%d %H:%M} UTC", solver_version=run.solver_version,
        inputs_sha256=run.inputs_sha256, figures=run.figures, bands=run.bands or {}, details=run.details or {},
        inputs=inputs, series=run_series(run), racks=run_racks(run), version_now=layout.version,
        place=layout.site.place, status=layout.get_status_display(), cdu_places=places,
    )  # fmt: skip
