"""What failures and repairs leave of a layout's token capacity over a year.

Every described component may fail: its rate and repair time come from the catalogue. For each single failure, each
pair within a group, and each common-cause loss of a whole group, the coupled solver says what capacity is left at the
busiest hour's load in 99th-percentile (1 % design) weather: a lost CDU is not a lost hall, flow and
temperature redistribute. Availability, how often the layout leaves full capacity and what one more unit would gain are
exact over the joint states of all components; simulated years give the spread of what a year loses. What a component
loses is its share of the solved states, exact to second order in the unavailabilities.

The site's repair crews share what is broken. Planned outages follow one another within what backs each other up, so
that they cost redundancy where there is some. Storage covers what is out for a while (`failures.ride_through`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.availability.capacity_functions import capacity_of_states
from power_cooling.availability.solve import (
    AvailabilityDraw,
    AvailabilityResult,
    RepairableGroups,
    Subsystem,
    simulate_availability,
    solve_availability,
)
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds, Weather
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.failures.capacity_left import capacity_left
from twin.core.failures.carry_over import carry_over_losses
from twin.core.failures.components import (
    ASSUMED_COMMON_CAUSE_FRAC,
    MAX_PLANNED_FRAC,
    Component,
    State,
    components,
    failure_states,
    sources_of,
)
from twin.core.failures.ride_through import PlantDrills, ride_through_s
from twin.core.failures.serving_losses import ServingLoss, serving_losses
from twin.core.inputs.design_hour import design_weather
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.pools import Pool

MAX_JOINT_STATES = 6_000  # of the exact distribution; what they leave out counts as no capacity
MAX_JOINT_COMPONENTS = 64  # of most loss; in larger layouts the others' losses are summed state by state
N_DRAWN_YEARS = 1_000
DRAW_SEED = 493  # the same years in every run, so that two runs differ by their layouts only


@dataclass(frozen=True, slots=True, eq=False)
class Uptime:
    """Availability of token capacity. Per-component arrays have shape (n_components,)."""

    components: list[Component]
    states: list[State]
    capacity_frac: FloatArray  # (n_states,)
    serving_losses: list[ServingLoss]
    long_run: AvailabilityResult
    years: AvailabilityDraw
    lost_by_component_frac: FloatArray  # of capacity, single failures and half of each shared state
    one_more_gain_frac: FloatArray
    converged: bool
    covered_s: FloatArray  # (n_components,), how long storage covers the loss of each
    repair_crews: int
    minor_lost_frac: float = 0.0  # by components beyond MAX_JOINT_COMPONENTS, state by state, not in the distribution

    @property
    def availability_frac(self) -> float:
        """Expected share of token capacity."""
        return max(0.0, self.long_run.availability_frac - self.minor_lost_frac)


def uptime(
    inputs: LayoutInputs,
    site: SiteArrays,
    feeds: SiteFeeds,
    pools: list[Pool],
    weather: Weather,
    load_frac: FloatArray,
    feed_load_w: FloatArray,
    drills: PlantDrills,
) -> Uptime:
    """Return the availability of a layout's token capacity.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    site, feeds
        What the coupled solver solves.
    pools : list of Pool
    weather : Weather
        The year.
    load_frac : ndarray, shape (n_hours, n_pools)
        The year's load; states are taken at its maximum.
    feed_load_w : ndarray, shape (n_nodes,)
        What each feed carries at most [W].
    drills : mapping
        Of `ride_through.plant_drills`.
    """
    found = components(inputs, site, feeds)
    states = failure_states(found, feeds)
    capacity, converged = capacity_left(site, feeds, pools, design_weather(inputs, weather), load_frac, found, states)
    lost = np.array([state.probability for state in states]) * (1 - capacity)
    by_component = np.zeros(len(found))
    for state, loss in zip(states, lost, strict=True):
        for which, _ in state.out:
            by_component[which] += loss / len(state.out)
    minor = np.argsort(-by_component, kind="stable")[MAX_JOINT_COMPONENTS:]
    minor_set = frozenset(minor.tolist())
    is_minor = np.array([any(which in minor_set for which, _ in state.out) for state in states], dtype=bool)
    losses = [*serving_losses(inputs, pools), *carry_over_losses(inputs, site, feeds, feed_load_w)]
    covered_s = ride_through_s(inputs, site, feeds, drills, feed_load_w, found)
    crews = inputs.site.repair_crews or 0
    subsystems, kept = subsystems_of(
        found, states, np.where(is_minor, 1.0, capacity), losses, covered_s=covered_s, crews=crews
    )
    long_run = solve_availability(subsystems, max_states=MAX_JOINT_STATES)
    gain = np.zeros(len(found))
    gain[kept] = long_run.component_gain_h_per_year[: kept.size] / HOURS_PER_YEAR
    return Uptime(
        components=found,
        states=states,
        capacity_frac=capacity,
        serving_losses=losses,
        long_run=long_run,
        years=simulate_availability(subsystems, n_years=N_DRAWN_YEARS, rng=np.random.default_rng(DRAW_SEED)),
        lost_by_component_frac=by_component,
        one_more_gain_frac=gain,
        covered_s=covered_s,
        repair_crews=crews,
        minor_lost_frac=float(lost[is_minor].sum()),
        converged=converged,
    )


def subsystems_of(
    found: list[Component],
    states: list[State],
    capacity_frac: FloatArray,
    losses: list[ServingLoss],
    *,
    covered_s: FloatArray | None = None,
    crews: int = 0,
) -> tuple[tuple[Subsystem, ...], NDArray[np.intp]]:
    """Return the layout as repairable groups for `power_cooling.availability.solve`, and the components that are in it.

    Each component is a group; a common cause across several is one more group, of one unit. Components that lose
    nothing in any solved state are left out: they can cost nothing in the others either, which are sums of solved ones.

    Parameters
    ----------
    found, states
        As of `components` and `failure_states`.
    capacity_frac : ndarray, shape (n_states,)
        Capacity that each state leaves [-].
    losses : list of ServingLoss
        Of the compute side; they cost hours of capacity but are no interruptions of power and cooling.
    covered_s : ndarray, shape (n_components,), optional
        How long storage covers the loss of each component [s]; of a common cause, the least of what it takes.
    crews : int
        Repairs at the same time; 0: as many as are broken.

    Returns
    -------
    tuple
        The subsystems, and the rows of `found` that are the first groups of the first one.
    """
    costly = capacity_frac < 1.0
    kept = np.unique([which for state in np.flatnonzero(costly) for which, _ in states[state].out]).astype(np.intp)
    column = {int(which): at for at, which in enumerate(kept)}
    covered_s = np.zeros(len(found)) if covered_s is None else covered_s
    solved, left, members, causes, caused_s = [], [], [], [], []
    for state, remains in zip(states, capacity_frac, strict=True):
        inside = [(column[which], n_out) for which, n_out in state.out if which in column]
        if len(inside) < len(state.out):
            continue  # costs nothing, by what was left out
        failed = np.zeros(kept.size, dtype=np.int64)
        failed[[at for at, _ in inside]] = [n_out for _, n_out in inside]
        solved.append(failed)
        left.append(remains)
        if state.kind == "common cause" and len(state.out) > 1:
            members.append(failed > 0)
            causes.append(min((found[which] for which, _ in state.out), key=lambda c: c.unavailability_frac))
            caused_s.append(min(covered_s[which] for which, _ in state.out))
    subsystems = []
    if kept.size:
        units = [found[which].n for which in kept]
        alone = [found[which] for which in kept]
        within = [ASSUMED_COMMON_CAUSE_FRAC if c.n > 1 else 0.0 for c in alone]
        groups = RepairableGroups(
            names=tuple(
                [f"{which}: {found[which].name}" for which in kept]
                + [f"common cause {at} of {cause.group}" for at, cause in enumerate(causes)]
            ),
            units=np.array(units + [1] * len(causes)),
            failures_per_year=np.array(
                [c.failures_per_year for c in alone]
                + [ASSUMED_COMMON_CAUSE_FRAC * cause.failures_per_year for cause in causes]
            ),
            repair_h=np.array([c.outage_h for c in alone] + [cause.outage_h for cause in causes]),
            common_cause_frac=np.array(within + [0.0] * len(causes)),
            maintenance_per_year=np.array([c.maintenance_per_year for c in alone] + [0.0] * len(causes)),
            maintenance_h=np.array([c.maintenance_h for c in alone] + [0.0] * len(causes)),
            calendar=np.array(calendars(alone) + [0] * len(causes)),
        )
        cause_members = np.array(members, dtype=bool).reshape(len(members), kept.size)
        subsystems.append(
            Subsystem(
                "site",
                groups,
                capacity_of_states(solved, left, units, cause_members),
                ride_through_s=np.append(covered_s[kept], caused_s),
                crews=crews,
            )
        )
    if any(loss.faults_per_year > 0 for loss in losses):
        subsystems.append(_compute_side(losses))
    if not subsystems:  # nothing described may cost a token
        idle = RepairableGroups(("nothing that fails",), np.ones(1, dtype=np.int64), np.zeros(1), np.ones(1))
        subsystems.append(Subsystem("site", idle, _undisturbed))
    return tuple(subsystems), kept


def group_text(component: Component) -> str:
    """Return what pages call the group of a component: "UPS", "Transformers: A", "Pumps of Facility water"."""
    kind, _, own = component.group.partition(": ")
    if not own:  # alone in its group
        return component.name
    if own.casefold().startswith(kind.casefold()):
        return own
    return f"{kind.upper() if kind in ('ups', 'bess') else kind[:1].upper() + kind[1:]}: {own}"


def calendars(found: list[Component]) -> list[int]:
    """Return the calendar of planned outages of each component: components that back each other up share one."""
    sources = set(sources_of(found))
    group_of = ["sources" if i in sources else component.group for i, component in enumerate(found)]
    filled, number = [0.0], {}
    for group in dict.fromkeys(group_of):
        share = sum(c.planned_frac for c, name in zip(found, group_of, strict=True) if name == group)
        if filled[-1] > 0 and filled[-1] + share > MAX_PLANNED_FRAC:
            filled.append(0.0)
        filled[-1] += share
        number[group] = len(filled) - 1
    return [number[group] for group in group_of]


def _compute_side(losses: list[ServingLoss]) -> Subsystem:
    """Return the faults of the compute side as groups whose failures cost capacity-hours, the layout undisturbed."""
    kinds = [loss for loss in losses if loss.faults_per_year > 0]
    groups = RepairableGroups(
        names=tuple(f"{at}: {loss.name}" for at, loss in enumerate(kinds)),
        # One unit that fails as often as all: without a loss of capacity only the number of failures counts.
        units=np.ones(len(kinds), dtype=np.int64),
        failures_per_year=np.array([loss.faults_per_year for loss in kinds]),
        repair_h=np.full(len(kinds), 1e-6),
        event_loss_h=np.array([loss.lost_h_per_fault for loss in kinds]),
    )
    return Subsystem("compute side", groups, _undisturbed)


def _undisturbed(failed: NDArray[np.int64]) -> FloatArray:
    return np.ones(failed.shape[0])
