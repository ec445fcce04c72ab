"""The guided start: a hall that cannot carry its load, fixed in eight steps.

Each user has a copy of `facility/samples/guide/hall.yaml` as a site of their own, with the hall as it was found beside
it to compare with. A step is solved when the rules find nothing wrong there any more: progress is the description
itself, so it is kept, and whatever solves a step counts, not only what the step proposes.
"""

import secrets
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse

import facility
from facility.interchange import documents
from facility.models import Layout, Rack, Site
from facility.permissions import may_change_site
from twin.core.results.details import run_details
from twin.core.results.findings import run_findings
from twin.core.rules.report import Finding
from twin.interchange.site_file import site_import
from twin.models import GuidedStart, Run
from twin.runs.changed import is_changed
from twin.runs.findings import layout_findings

HALL = Path(facility.__file__).parent / "samples" / "guide" / "hall.yaml"
YOURS, FOUND = "hall", "as-found"  # slugs of the two layouts
N_RACKS = 8
SOLVED, OPEN, SKIPPED = "solved", "open", "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of the hall: what the rules call it, why it matters, what fixes it and where.

    `rules` are (kind of object, rule, severities) of the findings that must be gone.
    """

    slug: str
    title: str
    rules: tuple[tuple[str, str, tuple[str, ...]], ...]
    why: str
    do: str
    action: str
    place: Callable[[Layout], str]
    check: Callable[[Layout], bool] = lambda layout: True

    def names(self, finding: Finding) -> bool:
        """Return whether a finding is this step's."""
        return any(
            (finding.object_kind, finding.rule) == (kind, rule) and finding.severity in severities
            for kind, rule, severities in self.rules
        )


def part_address(kind: str, name: str, field: str) -> Callable[[Layout], str]:
    """Return what gives the address of a field in a part's form, or of the parts' list where that part has gone."""
    related = {"racks": "hall__layout"}

    def address(layout: Layout) -> str:
        here = [layout.site.slug, layout.slug, kind]
        parts = Rack.objects if kind == "racks" else getattr(layout, kind.replace("-", "_"))
        part = parts.filter(**({related[kind]: layout} if kind in related else {}), name=name).first()
        if part is None:
            return reverse("part-list", args=here)
        return reverse("part-edit", args=[*here, part.pk]) + f"#id_{field}"

    return address


def second_cdu_address(layout: Layout) -> str:
    """Return the address of the form for another CDU."""
    return reverse("part-new", args=[layout.site.slug, layout.slug, "cdus"])


def grid_address(layout: Layout) -> str:
    """Return the address of the site's grid limit."""
    return reverse("site-edit", args=[layout.site.slug]) + "#id_grid_limit_w"


def has_spare_cdu(layout: Layout) -> bool:
    """Return whether every group of CDUs has more units than may fail."""
    groups: dict[str, list[int]] = {}
    for group, may_fail in layout.cdus.values_list("group", "redundant_units"):
        groups.setdefault(group, []).append(may_fail)
    return bool(groups) and all(len(units) > max(units) >= 1 for units in groups.values())


ANY, BLOCKS = ("blocking", "risk", "hint"), ("blocking",)
STEPS = (
    Step(
        "aisle",
        "A rack stands in the aisle",
        (("rack", "aisle width", ANY), ("rack", "overlap", ANY)),
        "People, doors and trays need the aisle: less than the hall's 1.2 m and a rack cannot be serviced while its "
        "neighbours run.",
        "Rack B-04 stands 0.8 m in front of its row. Give it the row's y of 5.4 m.",
        "Move rack B-04",
        part_address("racks", "B-04", "y_m"),
    ),
    Step(
        "feed-b",
        "A rack has one feed only",
        (("rack", "one feed", ANY), ("rack", "no feed", ANY)),
        "With both sides fed, either may fail or be serviced without losing a token. With one, every fault above it, "
        "up to the transformer, takes the rack down.",
        "Plug rack A-04 into Busway B as its feed B.",
        "Give rack A-04 a second feed",
        part_address("racks", "A-04", "feed_b"),
    ),
    Step(
        "busway",
        "A busway carries more than its breakers allow",
        tuple(("power_feed", rule, ANY) for rule in ("breaker 80 %", "after a failure", "capacity", "spare unit")),
        "A breaker may carry 80 % of its rating for hours, and when side B fails all racks draw from side A at once.",
        "Make Busway A like Busway B: two units of the busway of 1,250 A.",
        "Enlarge Busway A",
        part_address("power-feeds", "Busway A", "product"),
    ),
    Step(
        "coolant",
        "The coolant is too warm for the racks",
        (("cdu", "coolant temperature", ANY),),
        "Cold plates hand over heat by a temperature difference. Warmer supply means hotter chips, more leakage and, "
        "past the limit, a lower clock: fewer tokens from the same watts.",
        "Set CDU-1 to supply 44 °C: within the racks' 45 °C, and 5 K above its plant's water of 39 °C.",
        "Cool the supply of CDU-1",
        part_address("cdus", "CDU-1", "supply_degc"),
    ),
    Step(
        "cdu",
        "The CDU cannot take the racks' heat",
        (("cdu", "CDU capacity", BLOCKS), ("cdu", "CDU flow", BLOCKS)),
        "Eight racks give about 1 MW to their coolant. Past its capacity a CDU's supply gets warmer until the racks "
        "throttle.",
        "Take a larger product for CDU-1, for instance the CoolChip CDU of 2.3 MW.",
        "Enlarge CDU-1",
        part_address("cdus", "CDU-1", "product"),
    ),
    Step(
        "spare",
        "No CDU is spare",
        tuple(("cdu", rule, ANY) for rule in ("CDU redundancy", "CDU capacity", "CDU flow", "CDU group")),
        "The group states N+1: one unit may fail at design load. That takes a second unit of the same product, set "
        "point, plant and group.",
        "Add CDU-2 beside the first: same product, plant and group Loop, at x 8 m and y 7 m, supply 44 °C.",
        "Add a second CDU",
        second_cdu_address,
        has_spare_cdu,
    ),
    Step(
        "plant",
        "The dry coolers are too few for the hottest hour",
        (("cooling_plant", "plant capacity", ANY),),
        "A dry cooler's capacity shrinks with the distance between water and outside air, and no number of them cools "
        "water below it: at 37 °C outside one of 1 MW no longer carries 1 MW to water of 39 °C.",
        "Install four coolers in the plant Facility water, one of them spare.",
        "Add coolers",
        part_address("cooling-plants", "Facility water", "n_heat_rejection"),
    ),
    Step(
        "grid",
        "The grid connection is too small",
        (("site", "grid limit", ANY),),
        "The connection is a contract: what the layout may draw at nameplate, with cooling and losses, has to fit, or "
        "power caps must hold it below and tokens are lost.",
        "Ask the utility for more: 1.6 MW, typed as 1.6, 1,6 or 1600 kW.",
        "Raise the grid limit",
        grid_address,
    ),
)
BY_SLUG = {step.slug: step for step in STEPS}


@dataclass(frozen=True, slots=True)
class StepState:
    """Where a user stands with one step."""

    number: int
    step: Step
    state: str
    findings: list[Finding]
    href: str


@dataclass(frozen=True, slots=True)
class Guide:
    """Where a user stands with all steps."""

    layout: Layout
    steps: list[StepState]
    n_racks_missing: int

    @property
    def n_solved(self) -> int:
        """Steps that are solved."""
        return sum(step.state == SOLVED for step in self.steps)

    @property
    def current(self) -> StepState | None:
        """The first step that is neither solved nor skipped."""
        return next((step for step in self.steps if step.state == OPEN), None)

    @property
    def is_done(self) -> bool:
        """Whether the hall carries its eight racks."""
        return self.n_solved == len(self.steps) and not self.n_racks_missing


def guide_site(user) -> Site | None:
    """Return a user's own copy, or None before the start and where the user may not change it any more."""
    started = GuidedStart.objects.filter(user=user).select_related("site").first()
    return started.site if started and may_change_site(user, started.site) else None


@transaction.atomic
def guide_start(*, user) -> Site:
    """Make a user's copy of the hall, or bring it back to how it was found; earlier runs of it stay."""
    get_user_model().objects.select_for_update().get(pk=user.pk)  # pressed twice at once, it is one hall all the same
    own_site = guide_site(user)
    slug = own_site.slug if own_site else _free_slug(user)
    document = documents.read(HALL.read_bytes())
    document["site"] |= {"slug": slug, "name": f"Guided start of {user.get_username()}"[:160]}
    found = deepcopy(document["layouts"][0]) | {
        "slug": FOUND,
        "name": "As found",
        "notes": "The hall as found, to compare with.",
    }
    document["layouts"].append(found)
    site = site_import(content=documents.write(document), replace=own_site is not None, user=user)
    GuidedStart.objects.update_or_create(user=user, defaults={"site": site})
    return site


def _free_slug(user) -> str:
    slug = f"guided-start-{user.pk}"
    return f"{slug}-{secrets.token_hex(4)}" if Site.objects.filter(slug=slug).exists() else slug


def guide_state(site: Site, skipped: Sequence[str] = ()) -> Guide | None:
    """Return where a user stands, judged from the description as it is now; None where the layout has gone."""
    layout = site.layouts.select_related("site").filter(slug=YOURS).first()
    if layout is None:
        return None
    found = layout_findings(layout)
    steps = []
    for number, step in enumerate(STEPS, start=1):
        step_findings = [finding for finding in found if step.names(finding)]
        solved = not step_findings and step.check(layout)
        state = SOLVED if solved else SKIPPED if step.slug in skipped else OPEN
        steps.append(StepState(number, step, state, step_findings, step.place(layout)))
    standing = Rack.objects.filter(hall__layout=layout, product__kind="systems").count()
    return Guide(layout, steps, max(N_RACKS - standing, 0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest runs of the hall as found and as fixed, and whether the fixed one is of the hall as it is now."""

    found: Layout
    yours: Layout
    before: Run | None
    after: Run | None
    scenario_slug: str

    @property
    def after_is_stale(self) -> bool:
        """Whether the hall is not as its run solved it."""
        return self.after is not None and self.after.status == Run.Status.DONE and is_changed(self.after)

    @property
    def is_complete(self) -> bool:
        """Whether there is something to compare."""
        ended = (self.before, self.after)
        return all(run is not None and run.status == Run.Status.DONE for run in ended) and not self.after_is_stale


def troubles(run: Run) -> dict[str, int]:
    """Return how many faults the rules found in a run's layout, and how many its year shows beyond them."""
    details = run_details(Run.objects.values_list("details", flat=True).get(pk=run.pk))
    grave = ("blocking", "risk")
    return {
        "Findings of the rules": sum(f.severity in grave for f in details.findings),
        "Findings of the year": sum(f.severity in grave for f in run_findings(details)),
    }


def outcome(site: Site) -> Outcome | None:
    """Return what there is to compare; None where a layout or the scenario has gone."""
    layouts = {layout.slug: layout for layout in site.layouts.select_related("site")}
    scenario = site.scenarios.first()
    if scenario is None or not {YOURS, FOUND} <= set(layouts):
        return None
    runs = Run.objects.defer(*Run.HEAVY).filter(scenario=scenario).order_by("-created_at")
    newest = [runs.filter(layout=layouts[slug]).first() for slug in (FOUND, YOURS)]
    return Outcome(layouts[FOUND], layouts[YOURS], *newest, scenario.slug)
