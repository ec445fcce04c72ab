"""What the newest finished run of a layout says about it now."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.urls import reverse

from facility.kinds import BY_NAME
from facility.models import Layout
from twin.core.results.answers import Answer, answers
from twin.core.results.details import run_details
from twin.core.results.findings import RunFinding, run_findings, tightest_margins
from twin.models import Run
from twin.page_parts import remembered
from twin.runs.changed import is_changed

#: Kinds of object, as findings name them, that are shown by the list that holds them: runs know names, which may since
#: have gone.
LISTED = ("power_feed", "cdu", "hall", "cooling_plant")

N_TIGHTEST = 9  # there are that many kinds of margin


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run with its findings as templates and the API show them, most severe first."""

    run: Run
    findings: list[dict[str, Any]]
    tightest: list[dict[str, Any]]  # margins, scarcest first
    answers: list[Answer]

    @property
    def stale(self) -> bool:
        """Whether the layout or its scenario has been changed since."""
        return is_changed(self.run)


def last_run(layout: Layout, run_id: UUID | None = None) -> LastRun | None:
    """Return the newest finished run of a layout, or the named one, with what it found; None where there is none."""
    runs = Run.objects.filter(layout=layout, status=Run.Status.DONE).order_by("-finished_at")
    if run_id:
        runs = runs.filter(id=run_id)
    run = (
        runs.select_related("scenario").only("id", "finished_at", "layout_id", "scenario_id", "scenario__name").first()
    )
    if run is None:
        return None
    run.layout = layout
    key = ("last run", run.id, run.finished_at, layout.slug, layout.site.slug)
    return LastRun(run, *remembered(key, lambda: _said(layout, run)))


def _said(layout: Layout, run: Run) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Answer]]:
    """Return findings, tightest margins and answers of a run, which stay as they are once it is done."""
    details = run_details(run.details)
    rows = [asdict(finding) | {"href": href(layout, run, finding)} for finding in run_findings(details)]
    tightest = [asdict(row) for row in tightest_margins(details, N_TIGHTEST)]
    return rows, tightest, answers(details, run.figures or {})


def href(layout: Layout, run: Run, finding: RunFinding) -> str:
    """Return the address of a finding's object, of the list that holds it, or of the part of the run that has it."""
    here = [layout.site.slug, layout.slug]
    if finding.object_kind in LISTED:
        return reverse("part-list", args=[*here, BY_NAME[finding.object_kind].slug])
    if finding.object_kind == "rack":
        return reverse("layout-detail", args=here)
    if finding.object_kind == "site":
        return reverse("site-detail", args=here[:1])
    return f"{reverse('run-detail', args=[run.id])}#{finding.section}"
