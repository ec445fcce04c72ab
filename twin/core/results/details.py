"""What a run keeps beside its figures: the shape of `Run.details`, written by the solver, read by everything shown.

`as_json` of `core.text.json_rows` stores it, `run_details` opens it, also of older runs: a field with a default came
later, or an older run may lack it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.text.engine_names import ENGINE_NAMES
from twin.core.text.json_rows import read_row


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """What one pool of accelerators serves, mean of the year. Rates of requests [1/s], of tokens [tokens/s]."""

    name: str
    workload: str = ""
    model: str = ""
    model_name: str = ""
    accelerator: str = ""
    n_accelerators: float = 0.0
    configuration: str = ""
    tensor_parallel: int | None = None
    weight_precision: str = ""
    feasible: bool = True
    reason: str = ""
    offered_requests_per_s: float = 0.0
    served_requests_per_s: float = 0.0
    target_ttft_s: float | None = None
    target_itl_s: float | None = None
    confidence: str = ""
    source: str = ""
    output_tokens_per_s: float = 0.0
    input_tokens_per_s: float = 0.0
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    itl_p50_s: float | None = None
    itl_p95_s: float | None = None
    slo_attainment_frac: float | None = None
    goodput_tokens_per_s: float = 0.0
    cached_prompt_frac: float | None = None
    sessions_peak: float | None = None
    choice: str = ""  # how the configuration came about
    best_configuration: str = ""  # of a free search, where this one was pinned or restricted
    mean_tokens: float | None = None  # of a request, input and output
    longest_tokens: float | None = None
    best_gain_frac: float = 0.0  # output per accelerator of that one beyond this one, over this one
    engine: str = ""  # runs of before it was kept have none

    @property
    def served_text(self) -> str:
        """What stands beside a headline: use case, model, accelerators, engine and configuration."""
        on = f"{self.n_accelerators:,.0f} {self.accelerator.upper()}"
        how = [ENGINE_NAMES.get(self.engine, ""), self.configuration if self.feasible else "does not fit"]
        return f"{self.name}: {', '.join(part for part in (f'{self.model_name} on {on}', *how) if part)}"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """How close an object came to what it may do, in its worst hour of the year."""

    object: str
    kind: str
    value: float
    limit: float
    unit: str
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class MarginRow:
    """What is left of one quantity of an object in its worst hour."""

    object: str
    kind: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Balance:
    """How well power and heat close, worst hour, relative [-]."""

    power_rel: float | None = None
    heat_rel: float | None = None


@dataclass(frozen=True, slots=True)
class SolverNote:
    """How the solver ended."""

    converged: bool = True
    iterations: int | None = None
    elapsed_s: float | None = None
    version: str = ""
    digest: str = ""  # came with the names of solvers
    message: str = ""


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One link of the year's energy from the grid to tokens and losses [J]."""

    source: str
    target: str
    energy_j: float


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of the yearly bill."""

    item: str
    usd_per_year: float


@dataclass(frozen=True, slots=True)
class CapitalLine:
    """One line of what a layout costs to build; the ends are those of its prices."""

    item: str
    usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, slots=True)
class Rent:
    """The same accelerators at the market's reserved price."""

    usd_per_hour: float | None = None
    cost_per_million_output_tokens_usd: float | None = None


@dataclass(frozen=True, slots=True)
class CostOption:
    """One way to have the same accelerators: owned, colocated or rented."""

    name: str
    usd_at_start: float
    usd_per_year: float  # what was paid at the start included, over its life
    cost_per_million_output_tokens_usd: float | None
    owning_wins_month: int | None  # from which less has been spent on owning; None: not within the accelerators' life
    items: tuple[CostItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What one input between its stated bounds does to the cost of a million output tokens."""

    input: str
    low: float
    high: float
    unit: str
    cost_low_usd: float | None
    cost_high_usd: float | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """What failures of one group of parts that back each other up cost."""

    name: str
    availability_frac: float
    lost_tokens_per_year: float
    n: int | None = None  # None: of losses that no count of parts stands behind
    capacity_after_one_failure_frac: float | None = None
    planned_h_per_year: float | None = None
    ride_through_s: float | None = None
    one_more_gain_tokens_per_year: float | None = None


@dataclass(frozen=True, slots=True)
class CapacityLevel:
    """A level of token capacity and how long a year has it."""

    capacity_frac: float
    probability: float
    h_per_year: float


@dataclass(frozen=True, slots=True)
class AvailabilityNote:
    """Availability of the token capacity over the long run and over drawn years."""

    groups: tuple[GroupRow, ...] = ()  # costliest first
    lost_tokens_per_year: float | None = None
    lost_tokens_p95_per_year: float | None = None
    planned_lost_tokens_per_year: float | None = None
    repair_crews: int | None = None  # None: as many as are broken
    standard_error_frac: float | None = None
    drawn_availability_frac: float | None = None
    n_years_drawn: int | None = None
    interruptions_per_year: float | None = None
    mean_interruption_h: float | None = None
    interruption_frac: float | None = None  # losses of less are no interruption; None: older runs count any
    unexplored_frac: float | None = None
    minor_lost_frac: float | None = None
    capacity_distribution: tuple[CapacityLevel, ...] = ()
    n_states: int | None = None
    weather: str = ""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """What one single failure costs."""

    object: str
    capacity_frac: float
    lost_tokens_per_s: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class DrillRow:
    """Seconds after a loss, or a burst of load; None: it does not happen within `followed_s`."""

    plant: str
    loss: str
    seconds_to_throttle: float | None
    seconds_to_trip: float | None
    followed_s: float
    is_loss: bool = True
    recovers_s: float | None = None
    hottest_degc: float | None = None
    seconds_to_hot_air: float | None = None  # of plants that serve air units


@dataclass(frozen=True, slots=True)
class HallAirRow:
    """The air of one hall in the hour in which its hot aisle is hottest."""

    hall: str
    hour: int
    supply_degc: float
    inlet_mean_degc: float
    inlet_max_degc: float
    hot_aisle_degc: float
    return_degc: float
    shi_frac: float
    rti_frac: float
    rci_high_frac: float
    dew_point_degc: float
    metabolic_w: float
    wbgt_degc: float
    alert_limit_degc: float
    exposure_limit_degc: float
    allowed_minutes: float | None  # None: outside the range of the standard
    edition: str


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One described network, sized from the racks. Watts and dollars are of its switches and transceivers together."""

    name: str
    purpose: str
    n_host_ports: int
    n_leaves: int
    n_spines: int
    n_tiers: int
    n_cables: int
    n_optics: int
    max_power_w: float
    typical_power_w: float
    price_usd: float
    without_price: tuple[str, ...]  # leaf, spine or optics
    bytes_per_s_per_accelerator: float
    unplaced_w: float  # of the highest power, what stands in no rack


@dataclass(frozen=True, slots=True)
class StorageResult:
    """Described storage units together; watts and dollars too."""

    name: str
    purpose: str
    n_units: int
    usable_bytes: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    max_power_w: float
    typical_power_w: float
    price_usd: float | None
    bytes_per_accelerator: float
    read_bytes_per_s_per_accelerator: float
    unplaced_w: float  # of the highest power, what stands in no rack


@dataclass(frozen=True, slots=True)
class CpuServersResult:
    """Described CPU servers together; watts and dollars too."""

    name: str
    n_units: int
    cores: float
    max_power_w: float
    idle_power_w: float
    price_usd: float | None
    unplaced_w: float  # of the highest power, what stands in no rack


@dataclass(frozen=True, slots=True)
class ToolCallRow:
    """CPU time of a use case's requests."""

    name: str
    tool_calls_per_request: float
    tool_core_s: float  # of one call
    request_core_s: float  # of a request, its calls included
    tool_calls_per_s: float  # mean
    mean_cores: float
    busiest_cores: float


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One on-site source over a year. `fuel_usd_per_kwh` is of fuel, the other costs per kWh of what it generates."""

    name: str
    product: str
    beside: str  # utility that it runs beside; blank: an island
    n_units: int
    unit_rating_w: float  # continuous
    fuel: str
    fuel_usd_per_kwh: float
    mean_power_w: float
    share_frac: float  # of the site's energy
    capacity_factor_frac: float
    efficiency_frac: float | None  # electricity over fuel, lower heating value
    fuel_kwh_per_year: float
    fuel_usd_per_year: float
    maintenance_usd_per_year: float
    carbon_kg_per_year: float
    capital_usd: float | None  # installed; None where the catalogue has no price
    usd_per_kwh: float | None  # fuel, upkeep and payment of the capital
    carbon_kg_per_kwh: float | None


@dataclass(frozen=True, slots=True)
class ShavingRow:
    """Batteries that lower the highest power from the grid, together."""

    names: tuple[str, ...]
    power_w: float
    energy_j: float
    reserve_j: float  # of it, kept for the loss of the utility
    reserve_s: float | None  # that the reserve carries the highest power
    peak_before_w: float
    peak_after_w: float
    saved_usd_per_year: float  # of the demand charge
    loss_w: float  # mean
    cycles_per_year: float  # of what is not in reserve
    lowest_charge_frac: float  # of all energy, over the year


WEATHER = "hourly weather"  # the field of the assumption that names a run's weather


@dataclass(frozen=True, slots=True)
class Assumption:
    """One input of a run."""

    object: str
    field: str
    value: Any
    unit: str
    source: str = ""
    confidence: str = ""


@dataclass(frozen=True, slots=True)
class ThrottleMargin:
    """How near liquid-cooled racks of a kind come to losing clock to heat, at the nearest hour."""

    system: str
    cdu_group: str
    hour: int
    supply_degc: float  # of the coolant then
    throttling_from_degc: float  # coolant at which tokens would start to be lost, at that hour's load and flow
    margin_k: float
    flow_frac: float  # of the racks' design flow
    throttling_below_flow_frac: float | None  # at that hour's coolant; None where no flow would do
    limit_degc: float  # of the junction, or of its memory where that is lower
    power_w: float  # of one accelerator at the limit
    resistance_k_per_w: float  # junction to coolant, at design flow
    basis: str  # of the resistance: published, or assumed


@dataclass(frozen=True, slots=True)
class PueLine:
    """One part of PUE."""

    part: str
    what: str
    mean_power_w: float
    pue: float  # of the mean power of IT; the lines sum to the PUE


@dataclass(frozen=True, slots=True)
class PublishedPue:
    """PUE and WUE of a year that an operator or survey published."""

    name: str
    cooling: str
    pue: float | None
    wue_l_per_kwh: float | None
    year: int
    source: str


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What a rule found in the description when the run was made."""

    object_kind: str
    object_name: str
    rule: str
    severity: str
    message: str
    object_id: int | None = None
    value: float | None = None
    limit: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What a run keeps beside its figures, bands and arrays."""

    per_workload: tuple[WorkloadRow, ...] = ()
    limits: tuple[LimitRow, ...] = ()  # tightest first
    balance: Balance = Balance()
    solver: SolverNote = SolverNote()
    mean_power_by_part_w: Mapping[str, float] = field(default_factory=dict)
    pue_lines: tuple[PueLine, ...] = ()  # they sum to the PUE
    cooling: str = ""  # how heat leaves, in words
    published_pue: tuple[PublishedPue, ...] = ()
    energy_flow: tuple[FlowRow, ...] = ()
    costs: tuple[CostItem, ...] = ()
    capital: tuple[CapitalLine, ...] = ()
    rent: Rent = Rent()
    options: tuple[CostOption, ...] = ()  # own first
    sensitivities: tuple[Sensitivity, ...] = ()
    availability: AvailabilityNote = AvailabilityNote()
    failures: tuple[FailureRow, ...] = ()  # worst first
    margins: tuple[MarginRow, ...] = ()  # scarcest first within a unit
    throttle_margins: tuple[ThrottleMargin, ...] = ()  # least first
    drills: tuple[DrillRow, ...] = ()
    hall_air: tuple[HallAirRow, ...] = ()
    economiser_hours: Mapping[str, float] = field(default_factory=dict)  # without chillers, by plant
    network: tuple[NetworkRow, ...] = ()
    storage: tuple[StorageResult, ...] = ()
    cpu_servers: tuple[CpuServersResult, ...] = ()
    tool_calls: tuple[ToolCallRow, ...] = ()
    cpu_mean_power_w: float | None = None  # of the CPU servers
    cpu_servers_needed: int | None = None  # of the described kind, in the busiest hour
    cpu_busiest_cores: float | None = None  # that the requests want which the accelerators would serve
    cpu_longest_wait_s: float | None = None  # of a request for cores, mean of the worst hour
    cpu_short_hours: float | None = None  # in which the cores hold requests back
    generation: tuple[GenerationRow, ...] = ()  # of sources that run all year
    grid_usd_per_kwh: float | None = None  # beside what they cost
    shaving: ShavingRow | None = None
    throttled_hours: float | None = None
    assumptions: tuple[Assumption, ...] = ()
    confidence: str = ""
    findings: tuple[RuleFinding, ...] = ()
    n_found: Mapping[str, int] = field(default_factory=dict)  # findings of the year by severity
    found_in: str = ""  # stamp of the layout that the rules judged
    solved_in: str = ""  # stamp of layout and scenario where they were still as solved when it ended

    @property
    def weather_caution(self) -> str:
        """What a reader must know of the year's weather: nothing where it was measured or is a typical year."""
        for row in self.assumptions:
            if row.field == WEATHER and row.confidence == "estimated":
                return (
                    f"The weather, {row.object}, is made from monthly normals and design conditions: the bands of PUE, "
                    "water and energy hold that. A measured year of the site is better."
                )
        return ""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a run stores. Series have shape (n_hours,), rack arrays (n_racks,)."""

    figures: dict[str, float | None]
    bands: dict[str, list[float]]
    details: RunDetails
    series: dict[str, NDArray[np.float32]]
    racks: dict[str, NDArray[Any]]


def run_details(stored: Mapping[str, Any] | None) -> RunDetails:
    """Return what a run stored, of any version; nothing of a run that has not ended."""
    stored = stored or {}
    hours = stored.get("economiser_hours")
    if isinstance(hours, int | float):  # of the site as a whole
        stored = {**stored, "economiser_hours": {"": hours}}
    return read_row(RunDetails, stored, "details")
