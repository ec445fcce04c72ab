"""From layouts to runs that compare: the last finished run of each, under one question where they share one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from facility.models import Layout
from twin.models import Scenario
from twin.runs.latest import LatestRun, latest_runs


@dataclass(frozen=True, slots=True)
class Choice:
    """The runs of chosen layouts, in their order, and the layouts that have none to compare."""

    runs: list[LatestRun]
    scenario: str  # name that all runs share; empty: they are of different scenarios
    without_run: list[Layout]


def runs_of_layouts(layouts: Sequence[Layout], scenario: str = "") -> Choice:
    """Return the last finished run of each layout, under the scenario of that slug or the one that most share.

    Scenarios belong to sites; those of one slug are taken as the same question. A layout without a run under it comes
    with its last run under another.
    """
    found = latest_runs(layout.id for layout in layouts)
    known = Scenario.objects.in_bulk({run.scenario_id for runs in found.values() for run in runs})
    slugs = Counter(slug for runs in found.values() for slug in {known[run.scenario_id].slug for run in runs})
    if scenario not in slugs:
        scenario = max(slugs, key=lambda slug: (slugs[slug], _newest(found, known, slug)), default="")
    chosen, without = [], []
    for layout in layouts:
        runs = found.get(layout.id, [])
        asked = [run for run in runs if known[run.scenario_id].slug == scenario]
        if runs:
            chosen.append((asked or runs)[0])
        else:
            without.append(layout)
    used = {known[run.scenario_id].slug for run in chosen}
    name = known[chosen[0].scenario_id].name if len(used) == 1 else ""
    return Choice(chosen, name, without)


def _newest(found: dict[int, list[LatestRun]], known: dict[int, Scenario], slug: str) -> float:
    return max(
        run.finished_at.timestamp() for runs in found.values() for run in runs if known[run.scenario_id].slug == slug
    )
