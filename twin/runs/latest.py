"""The latest finished runs of layouts, read without their arrays and snapshots."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from facility.models import Site
from twin.core.figures_of_merit import peak_from_grid_w
from twin.core.results.details import RuleFinding, WorkloadRow
from twin.core.text.json_rows import read_row
from twin.models import Run


@dataclass(frozen=True, slots=True)
class LatestRun:
    """What lists show of a run."""

    id: UUID
    layout_id: int
    scenario_id: int
    scenario_name: str
    finished_at: datetime
    figures: dict
    bands: dict
    findings: tuple[RuleFinding, ...]
    confidence: str
    n_found: dict = field(default_factory=dict)  # findings of its solved year by severity; older runs kept none
    found_in: str = ""  # stamp of the layout that the rules judged; older runs kept none
    solved_in: str = ""  # stamp of what it solved; empty where that was edited while it ran, and of older runs
    layout_name: str = ""
    workloads: tuple[WorkloadRow, ...] = ()
    changed: bool = False  # layout, scenario or site have been changed since (`twin.runs.changed.marked`)

    def tally(self, severity: str) -> int:
        """Return the number of findings of one severity: of the rules when it ran, and of its solved year."""
        return sum(finding.severity == severity for finding in self.findings) + self.n_found.get(severity, 0)

    @property
    def n_findings(self) -> int:
        """Findings of all severities."""
        return len(self.findings) + sum(self.n_found.values())

    @property
    def blocking(self) -> int:
        """Findings that forbid building it."""
        return self.tally("blocking")

    @property
    def risks(self) -> int:
        """Findings that need a decision."""
        return self.tally("risk")

    @property
    def hints(self) -> int:
        """Findings worth knowing."""
        return self.tally("hint")


def latest_runs(layout_ids: Iterable[int]) -> dict[int, list[LatestRun]]:
    """Return per layout the newest finished run of each scenario, newest first, by one query."""
    rank = Window(RowNumber(), partition_by=["layout_id", "scenario_id"], order_by=F("finished_at").desc())
    rows = (
        Run.objects.filter(layout_id__in=list(layout_ids), status=Run.Status.DONE)
        .annotate(rank=rank)
        .filter(rank=1)
        .order_by("-finished_at")
        .values_list(
            "id",
            "layout_id",
            "scenario_id",
            "scenario__name",
            "finished_at",
            "figures",
            "bands",
            "details__findings",
            "details__confidence",
            "details__n_found",
            "details__found_in",
            "details__solved_in",
            "layout__name",
            "details__per_workload",
        )
    )
    latest = defaultdict(list)
    for row in rows:
        *head, bands, findings, confidence, n_found, found_in, solved_in, name, per_workload = row
        found = tuple(read_row(RuleFinding, finding, "findings") for finding in findings or ())
        served = tuple(read_row(WorkloadRow, share, "per_workload") for share in per_workload or ())
        stamps = (found_in or "", solved_in or "")
        run = LatestRun(*head, bands or {}, found, confidence or "", n_found or {}, *stamps, name, served)
        latest[run.layout_id].append(run)
    return dict(latest)


def shared_scenario(runs: Iterable[LatestRun]) -> int | None:
    """Return the scenario that most of the layouts have been run under: only under one question do answers compare."""
    counts = Counter(run.scenario_id for run in runs)
    return max(counts, key=lambda scenario_id: (counts[scenario_id], -scenario_id)) if counts else None


def grid_peak_w(run: LatestRun) -> float | None:
    """Return the highest power [W] that a run draws from the grid."""
    return peak_from_grid_w(run.figures)


def recent_runs(sites: QuerySet[Site] | Iterable[Site]) -> QuerySet[Run]:
    """Return the runs on these sites, newest first, with their names and without arrays, snapshot and details."""
    return (
        Run.objects.filter(layout__site__in=sites)
        .select_related("layout__site", "scenario", "created_by")
        .defer("inputs", "details", "series", "racks")
    )
