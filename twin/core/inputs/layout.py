"""A layout under a scenario, as the solvers, reports and comparisons read it.

The fields of the classes here are what a snapshot holds: `twin.runs.snapshot` asks the database for the columns that
they name and stores them as JSON; `layout_inputs` reads that JSON back, once. A field with a default came later than
format 1: older runs go without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from power_cooling.site_facts import ratings
from power_cooling.site_facts.networks import PARTS, SizedFabric, size_fabric
from twin.core.inputs.cpu_servers import CPU_ROLE, CpuServerRow, SizedCpuServers, sized_cpu_servers
from twin.core.inputs.network import FabricRow
from twin.core.inputs.storage import SizedStorage, StorageRow, sized_storage

if TYPE_CHECKING:  # a name of type checkers' own
    from _typeshed import DataclassInstance

FORMATS = (1, 2)  # 1 had neither the units of facts nor what a description leaves to its default

Read = TypeVar("Read", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class ProductSheet:
    """One catalogue entry. `facts` has the fields of its kind's data sheets, in SI."""

    kind: str
    slug: str
    name: str
    vendor: str
    facts: Mapping[str, Any]
    source: str
    confidence: str
    field_confidence: Mapping[str, str]
    rating_w: float | None = None  # continuous, of one unit, of what carries power; see `twin.runs.snapshot`


@dataclass(frozen=True, slots=True)
class Products:
    """Catalogue entries: those that rows refer to by id, and by slug whole kinds that belong to no single row."""

    accelerator_reliability: Mapping[str, ProductSheet]
    accelerators: Mapping[str, ProductSheet]
    diurnal_shapes: Mapping[str, ProductSheet]
    facility_capex: Mapping[str, ProductSheet]
    finance: Mapping[str, ProductSheet]
    gpu_rental: Mapping[str, ProductSheet]
    models: Mapping[str, ProductSheet]
    rack_power_shelves: Mapping[str, ProductSheet]
    recovery_times: Mapping[str, ProductSheet]
    reliability: Mapping[str, ProductSheet]
    by_id: Mapping[int, ProductSheet]
    compute_failures: Mapping[str, ProductSheet] = field(default_factory=dict)
    fuels: Mapping[str, ProductSheet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteInputs:
    """Where the layout stands."""

    slug: str
    name: str
    latitude_deg: float
    elevation_m: float
    grid_limit_w: float
    region: ProductSheet
    repair_crews: int | None = None  # 0: as many as there are failures
    assumed: tuple[str, ...] = ()  # fields that the description left to their default


@dataclass(frozen=True, slots=True)
class LayoutVersion:
    """Which edition of which layout this is."""

    slug: str
    name: str
    version: int
    design_hour: str = ""  # a key of `design_hour.KINDS`; older runs chose none
    design_dry_bulb_degc: float | None = None
    design_wet_bulb_degc: float | None = None


@dataclass(frozen=True, slots=True)
class WorkloadShare:
    """One use case of a scenario. Without `model` the recommended one that serves it best per watt."""

    workload: ProductSheet
    model: str | None
    accelerator_share_frac: float
    requests_per_s: float | None  # mean of the year; None: so many that the busiest hour is at peak_load_frac
    peak_load_frac: float
    configuration: str = ""  # pinned, as `compute.steady.pins` reads it; blank: searched
    tool_core_s: float | None = None  # CPU time of a tool call; None: the use case's
    checkpoint: str = ""  # published weights of the model that differ from their precision's usual


@dataclass(frozen=True, slots=True)
class ScenarioInputs:
    """What the layout is asked to serve, and how."""

    slug: str
    name: str
    engine: str
    weight_precision: str
    accelerator_power_limit_w: float | None
    electricity_usd_per_kwh: float | None  # None: the region's
    workloads: tuple[WorkloadShare, ...]
    cache_tier_bytes: float | None = None
    serving_mode: str = "any"  # what the search may take
    allow_pipelines: bool = True
    max_ranks: int | None = None
    engine_version: str = ""  # release; blank: any
    allow_drafts: bool = False
    draft_tokens: int | None = None  # None: as many as serve best
    draft_acceptance_frac: float | None = None  # of drafted tokens; None: predicted
    kv_precision: str = "auto"  # of the cache; auto: what engines pair with the weights
    admission: str = "queue"  # of demand above capacity, one of `admission.RULES`
    fuel_usd_per_kwh: float | None = None  # of fuel of on-site generation; None: the region's or the fuel's own


@dataclass(frozen=True, slots=True)
class WeatherInputs:
    """One year of hourly weather; `rows` as the database packs it, in base64."""

    slug: str
    name: str
    source: str
    n_hours: int
    rows: str
    elevation_m: float | None = None  # of the station; None: older runs took its pressure as the site's
    notes: str = ""  # what was done to the file's rows when they were read, a sentence a line
    confidence: str = "published"  # older runs knew nothing less

    @property
    def is_estimated(self) -> bool:
        """Whether the hours were made from monthly normals and design conditions."""
        return self.confidence == "estimated"


@dataclass(frozen=True, slots=True)
class HallRow:
    """One data hall."""

    id: int
    name: str
    width_m: float
    depth_m: float
    height_m: float
    containment: str
    supply_air_degc: float
    air_unit_id: int | None
    n_air_units: int
    n_air_units_spare: int
    leakage_frac: float
    recirculation_frac: float
    lighting_w: float
    plant_id: int | None


@dataclass(frozen=True, slots=True)
class RackColumns:
    """The racks, a column per field, so that a thousand of them stay cheap."""

    id: tuple[int, ...]
    name: tuple[str, ...]
    row: tuple[str, ...]
    role: tuple[str, ...]
    hall_id: tuple[int, ...]
    x_m: tuple[float, ...]
    y_m: tuple[float, ...]
    orientation_deg: tuple[int, ...]
    width_m: tuple[float, ...]
    depth_m: tuple[float, ...]
    product_id: tuple[int | None, ...]
    n_systems: tuple[int, ...]
    other_power_w: tuple[float, ...]
    accelerator_power_limit_w: tuple[float | None, ...]
    load_share: tuple[float, ...]
    coolant_flow_m3_per_s: tuple[float | None, ...]
    cdu_id: tuple[int | None, ...]
    feed_a_id: tuple[int | None, ...]
    feed_b_id: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class CduRow:
    """One coolant distribution unit."""

    id: int
    name: str
    product_id: int
    plant_id: int
    hall_id: int
    group: str
    redundant_units: int
    supply_degc: float
    coolant: str
    x_m: float | None = None
    y_m: float | None = None
    orientation_deg: int | None = None


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One node of the power tree."""

    id: int
    name: str
    kind: str
    parent_id: int | None
    product_id: int | None
    rating_w: float | None
    n_units: int
    length_m: float
    redundancy_group: str
    redundancy: str
    eco_mode: bool
    hall_id: int | None
    operation: str = "standby"  # of a generator; prime: it runs all year; of a battery; shaving: it lowers peaks
    reserve_frac: float = 0.5  # of such a battery's energy, kept for the loss of the utility
    phase: str = ""  # of a single-phase tap: "L1", "L2" or "L3"


@dataclass(frozen=True, slots=True)
class PlantRow:
    """One cooling plant."""

    id: int
    name: str
    supply_degc: float
    design_rise_k: float
    coolant: str
    economiser: str
    heat_rejection_id: int
    n_heat_rejection: int
    n_heat_rejection_spare: int
    chiller_id: int | None
    n_chillers: int
    n_chillers_spare: int
    pump_id: int
    n_pumps: int
    n_pumps_spare: int
    tank_m3: float


@dataclass(frozen=True, slots=True)
class AirUnitRow:
    """The place of one air unit: drawn, not solved."""

    id: int
    name: str
    hall_id: int
    x_m: float
    y_m: float
    orientation_deg: int
    width_m: float
    depth_m: float


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A wall, keep-out or aisle: drawn, not solved."""

    id: int
    name: str
    type: str
    hall_id: int
    x_m: float
    y_m: float
    width_m: float
    depth_m: float


@dataclass(frozen=True, slots=True)
class CalibratedRow:
    """A parameter that was accepted for the layout, fitted to readings; the interval holds 90 %."""

    id: int
    name: str  # object and parameter, as `twin.core.solve.as_operated` reads it
    value: float
    low: float
    high: float
    unit: str
    evidence: str


@dataclass(frozen=True, slots=True)
class LayoutInputs:
    """Everything that a run depends on."""

    site: SiteInputs
    layout: LayoutVersion
    scenario: ScenarioInputs
    weather: WeatherInputs
    halls: tuple[HallRow, ...]
    racks: RackColumns
    cdus: tuple[CduRow, ...]
    feeds: tuple[FeedRow, ...]
    plants: tuple[PlantRow, ...]
    products: Products
    air_units: tuple[AirUnitRow, ...] = ()
    features: tuple[FeatureRow, ...] = ()
    fabrics: tuple[FabricRow, ...] = ()
    storages: tuple[StorageRow, ...] = ()
    cpu_servers: tuple[CpuServerRow, ...] = ()
    calibrated: tuple[CalibratedRow, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)  # of facts, by their name
    cpu_racks: tuple[int, ...] = ()  # rows of the racks that the CPU servers stand in; follows from the others
    other_draw_frac: Mapping[int, float] = field(default_factory=dict)  # of racks' other power, by id: what it draws

    @overload
    def product(self, product_id: int) -> ProductSheet: ...
    @overload
    def product(self, product_id: int | None) -> ProductSheet | None: ...
    def product(self, product_id: int | None) -> ProductSheet | None:
        """Return the catalogue entry behind a row's reference, or None."""
        return None if product_id is None else self.products.by_id[product_id]

    def facts(self, product_id: int | None) -> Mapping[str, Any]:
        """Return the facts of a referenced product; none where there is no reference."""
        return {} if product_id is None else self.products.by_id[product_id].facts

    def nameplate_w(self, product_id: int | None, n_systems: float, other_power_w: float) -> float:
        """Return the nameplate power of a rack: its systems at their rated input and what else is in it [W]."""
        return ratings.nameplate_w(self.facts(product_id), n_systems, other_power_w)

    def n_racks_for(self, role: str) -> int:
        """Return how many racks without a product there are for what is described beside the racks: its role."""
        racks = zip(self.racks.role, self.racks.product_id, strict=True)
        return sum(own == role and product_id is None for own, product_id in racks)

    @property
    def n_accelerators(self) -> float:
        """Accelerators that stand."""
        systems: dict[int | None, float] = {}
        for product_id, n in zip(self.racks.product_id, self.racks.n_systems, strict=True):
            systems[product_id] = systems.get(product_id, 0.0) + n
        return sum(n * float(self.facts(key).get("accelerators_per_system") or 0.0) for key, n in systems.items())

    def stored(self) -> list[SizedStorage]:
        """Return the storage, in the description's order."""
        return [sized_storage(row, self.facts(row.product_id)) for row in self.storages]

    def cpus(self) -> list[SizedCpuServers]:
        """Return the CPU servers, in the description's order."""
        return [sized_cpu_servers(row, self.facts(row.product_id)) for row in self.cpu_servers]

    def networks(self) -> list[SizedFabric]:
        """Return the networks, sized for the accelerators that stand, in the description's order."""
        n_accelerators = self.n_accelerators
        return [
            size_fabric(row, n_accelerators, *(self.facts(getattr(row, f"{part}_id")) for part in PARTS))
            for row in self.fabrics
        ]

    def product_name(self, product_id: int | None) -> str:
        """Return the name of a referenced product, or nothing."""
        return "" if product_id is None else self.products.by_id[product_id].name


#: Tables that older snapshots have not; left out where empty, so that a description keeps its hash.
YOUNGER_TABLES = ("calibrated", "storages", "cpu_servers")
TABLES: "Mapping[str, type[DataclassInstance]]" = {
    "halls": HallRow,
    "cdus": CduRow,
    "feeds": FeedRow,
    "plants": PlantRow,
    "air_units": AirUnitRow,
    "features": FeatureRow,
    "fabrics": FabricRow,
    "storages": StorageRow,
    "cpu_servers": CpuServerRow,
    "calibrated": CalibratedRow,
}
#: The table of the row that a field names by its number; all other numbers of rows are products'.
TABLE_OF = {
    "hall_id": "halls",
    "plant_id": "plants",
    "cdu_id": "cdus",
    "parent_id": "feeds",
    "feed_a_id": "feeds",
    "feed_b_id": "feeds",
}


@cache
def column_names(row: "type[DataclassInstance]") -> tuple[str, ...]:
    """Return the names of a row's fields, in order."""
    return tuple(entry.name for entry in fields(row))


def layout_inputs(stored: Mapping[str, Any]) -> LayoutInputs:
    """Return a snapshot as typed rows.

    Parameters
    ----------
    stored : mapping
        JSON of `twin.runs.snapshot`, of any format in `FORMATS`.

    Raises
    ------
    ValueError
        If it is of a format that this version does not read, or lacks a field; the message names it.
    """
    if stored.get("format") not in FORMATS:
        raise ValueError(
            f"The snapshot has format {stored.get('format')}; this version reads {' and '.join(map(str, FORMATS))}."
        )
    site = _part(stored, "site")
    racks = _part(stored, "racks")
    tables: dict[str, Any] = {name: _rows(row, name, stored.get(name, ())) for name, row in TABLES.items()}
    inputs = LayoutInputs(
        site=_read(
            SiteInputs,
            "site",
            site,
            region=_sheet("site.region", _part(site, "region")),
            assumed=tuple(site.get("assumed", ())),
        ),
        layout=_read(LayoutVersion, "layout", _part(stored, "layout")),
        scenario=_scenario(_part(stored, "scenario")),
        weather=_read(WeatherInputs, "weather", _part(stored, "weather")),
        racks=RackColumns(**{name: tuple(_part(racks, name)) for name in column_names(RackColumns)}),
        products=_products(_part(stored, "products")),
        units=stored.get("units", {}),
        **tables,
    )
    return with_rack_power(inputs)


def with_rack_power(inputs: LayoutInputs) -> LayoutInputs:
    """Return a layout whose empty network, storage and support racks hold what stands in them, in equal parts.

    That is the networks, the storage and the CPU servers. A rack is empty that has neither a product nor a power of its
    own. It is rated for the most that is in it; networks and storage draw what they draw typically, since switches and
    drives hardly follow their load.
    """
    if not inputs.fabrics and not inputs.storages and not inputs.cpu_servers:
        return inputs
    held: dict[str, Sequence[SizedFabric | SizedStorage]] = {"network": inputs.networks(), "storage": inputs.stored()}
    power_w = {role: sum(each.max_power_w for each in all_of) for role, all_of in held.items()}
    power_w[CPU_ROLE] = sum(servers.max_power_w for servers in inputs.cpus())
    power_w = {role: watts for role, watts in power_w.items() if watts}
    typical_w = {role: sum(each.typical_power_w for each in all_of) for role, all_of in held.items() if role in power_w}
    draw = {role: min(watts / power_w[role], 1.0) for role, watts in typical_w.items()}
    racks = inputs.racks
    rows = list(zip(racks.role, racks.product_id, racks.other_power_w, strict=True))
    empty = [role if role in power_w and product_id is None and not own_w else "" for role, product_id, own_w in rows]
    other_w = tuple(
        power_w[role] / empty.count(role) if role else own_w for role, (_, _, own_w) in zip(empty, rows, strict=True)
    )
    return replace(
        inputs,
        racks=replace(racks, other_power_w=other_w),
        cpu_racks=tuple(i for i, role in enumerate(empty) if role == CPU_ROLE),
        other_draw_frac={key: draw[role] for key, role in zip(racks.id, empty, strict=True) if role in draw},
    )


def _scenario(stored: Mapping[str, Any]) -> ScenarioInputs:
    shares = []
    for i, share in enumerate(_part(stored, "workloads")):
        where = f"scenario.workloads[{i}]"
        workload = _sheet(f"{where}.workload", _part(share, "workload"))
        shares.append(_read(WorkloadShare, where, share, workload=workload))
    return _read(ScenarioInputs, "scenario", stored, workloads=tuple(shares))


def _products(stored: Mapping[str, Any]) -> Products:
    kinds: dict[str, Any] = {}
    for kind in column_names(Products):
        if kind in stored or kind in _required(Products):
            sheets = {key: _sheet(f"products.{kind}.{key}", entry) for key, entry in _part(stored, kind).items()}
            kinds[kind] = {int(key): sheet for key, sheet in sheets.items()} if kind == "by_id" else sheets
    return Products(**kinds)


def _rows(row: type[Read], name: str, stored: Sequence[Mapping[str, Any]]) -> tuple[Read, ...]:
    return tuple(_read(row, f"{name}[{i}]", values) for i, values in enumerate(stored))


def _part(stored: Mapping[str, Any], name: str) -> Any:
    if name not in stored:
        raise ValueError(f"The snapshot has no {name}.")
    return stored[name]


def _sheet(where: str, stored: Mapping[str, Any]) -> ProductSheet:
    return _read(ProductSheet, where, stored)


def _read(kind: type[Read], where: str, stored: Mapping[str, Any], **made: Any) -> Read:
    """Return the fields of a class out of JSON; `made` are those that are not plain values."""
    missing = [name for name in _required(kind) if name not in stored]
    if missing:
        raise ValueError(f"The snapshot's {where} has no {', '.join(missing)}.")
    return kind(**({name: stored[name] for name in column_names(kind) if name in stored} | made))


@cache
def _required(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind) if entry.default is MISSING and entry.default_factory is MISSING)
