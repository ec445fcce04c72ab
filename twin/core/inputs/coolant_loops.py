"""What the pumps of a CDU group drive through the loop that is drawn, and what each rack gets of it.

The drawing gives places, not pipes: a header passes the rows from the nearest on, with a branch along each row. Pipes
are taken as wide as good practice asks for their flow. Racks resist as their sheets say, pumps push as the CDUs' do.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from power_cooling.fluids.coolants import coolant_by_name
from power_cooling.fluids.hydraulics import (
    GRAVITY_M_PER_S2,
    ManifoldFlow,
    PipeRuns,
    PumpCurve,
    parallel_resistance,
    pressure_drop_pa,
    solve_manifold,
    solve_pump_and_manifold,
)
from power_cooling.site_arrays import FloatArray, IntArray
from twin.core.inputs import equipment
from twin.core.inputs.equipment import RackTable
from twin.core.inputs.layout import CduRow, LayoutInputs

ASSUMED_PIPE_SPEED_M_PER_S = 2.0  # that pipes are sized for; ASHRAE and OCP guides stay below 2.1 to 2.4 m/s
ASSUMED_ROUGHNESS_M = 1.5e-5  # drawn stainless steel, as textbooks have it
ASSUMED_TEE_LOSS = 0.5  # velocity heads of a take-off
ASSUMED_MAINS_LOSS = 10.0  # bends, isolating valves and strainer, both ways
ENOUGH_FRAC = 0.95  # of the wanted flow: what balancing on site ends within


@dataclass(frozen=True, slots=True)
class Loop:
    """The rows of one CDU group in the order in which the header passes them, a value for each."""

    rows: tuple[str, ...]
    wanted_kg_s: tuple[float, ...]
    resistance_pa_s2_per_kg2: tuple[float, ...]  # of the row's racks together
    header_m: tuple[float, ...]  # from the row before, or of the first 0
    along_m: tuple[float, ...]  # half the row, there and back
    mains_m: float  # from the CDUs to the first row, there and back
    density_kg_m3: float
    viscosity_pa_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Racks where they stand. Every array has shape (n_racks,)."""

    group: IntArray  # position in equipment.cdu_groups, -1 for none
    flow_m3_per_s: FloatArray  # that the rack wants
    design_m3_per_s: FloatArray  # of its sheet; 0 where it has none
    drop_pa: FloatArray  # at the sheet's flow; 0 where no sheet says it
    x_m: FloatArray
    y_m: FloatArray
    row: list[str]  # its own name where it stands in no row


def placed_racks(inputs: LayoutInputs) -> Placed:
    """Return the racks of a layout as its loops see them."""
    racks = inputs.racks
    groups = {name: i for i, name in enumerate(equipment.cdu_groups(inputs))}
    group_of: dict[int | None, int] = {cdu.id: groups[cdu.group] for cdu in inputs.cdus}
    sheets = {key: inputs.facts(key) for key in {*racks.product_id}}
    drop_pa = {key: float(facts.get("liquid_pressure_drop_pa") or 0.0) for key, facts in sheets.items()}
    per_system = {key: float(facts.get("liquid_design_flow_m3_per_s") or 0.0) for key, facts in sheets.items()}
    design = np.array([per_system[key] for key in racks.product_id]) * np.array(racks.n_systems, dtype=float)
    own = np.array([np.nan if flow is None else flow for flow in racks.coolant_flow_m3_per_s], dtype=float)
    return Placed(
        group=np.array([group_of.get(key, -1) for key in racks.cdu_id], dtype=np.int64),
        flow_m3_per_s=np.where(np.isnan(own), design, own),
        design_m3_per_s=design,
        drop_pa=np.array([drop_pa[key] for key in racks.product_id]),
        x_m=np.array(racks.x_m, dtype=float),
        y_m=np.array(racks.y_m, dtype=float),
        row=[row or name for row, name in zip(racks.row, racks.name, strict=True)],
    )


def drawn_loop(placed: Placed, k: int, units: list[CduRow]) -> Loop | None:
    """Return the loop of a CDU group; None where a sheet does not say how its racks resist, or there are none."""
    wet = np.flatnonzero((placed.group == k) & (placed.flow_m3_per_s > 0) & (placed.design_m3_per_s > 0))
    if not wet.size or not np.all(placed.drop_pa[wet] > 0):
        return None
    columns = (placed.drop_pa, placed.flow_m3_per_s, placed.design_m3_per_s, placed.x_m, placed.y_m)
    start = (float(np.mean([unit.x_m or 0.0 for unit in units])), float(np.mean([unit.y_m or 0.0 for unit in units])))
    names = tuple(placed.row[i] for i in wet.tolist())
    of_racks = np.stack([column[wet] for column in columns]).tobytes()
    return _loop(units[0].coolant, units[0].supply_degc, start, names, of_racks)


@lru_cache(maxsize=512)  # an edit of the floor changes one group's loop; the others are those of before
def _loop(
    coolant_name: str, supply_degc: float, start: tuple[float, float], names: tuple[str, ...], of_racks: bytes
) -> Loop:
    """Return the loop of racks in rows of these names; `of_racks` has drop, flow, design flow, x and y of each."""
    drop_pa, flow, design, x, y = np.frombuffer(of_racks).reshape(5, -1)
    coolant = coolant_by_name(coolant_name)
    density, _ = equipment.coolant_properties(coolant_name)
    resistance = drop_pa / (design * density) ** 2
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name, []).append(i)
    members = {name: np.array(rows) for name, rows in found.items()}
    centre = {name: (float(x[i].mean()), float(y[i].mean())) for name, i in members.items()}
    order = sorted(members, key=lambda name: _metres(centre[name], start))
    steps = [_metres(centre[a], centre[b]) for a, b in zip(order, order[1:], strict=False)]
    return Loop(
        rows=tuple(order),
        wanted_kg_s=tuple(float(flow[members[name]].sum() * density) for name in order),
        resistance_pa_s2_per_kg2=tuple(float(parallel_resistance(resistance[members[name]])) for name in order),
        header_m=(0.0, *steps),
        along_m=tuple(float(np.ptp(x[members[name]]) + np.ptp(y[members[name]])) for name in order),
        mains_m=2 * _metres(centre[order[0]], start),
        density_kg_m3=density,
        viscosity_pa_s=float(coolant.viscosity(supply_degc)),
    )


def _metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])  # pipes run along the walls


def _pipes(loop: Loop) -> tuple[tuple[PipeRuns, ...], PipeRuns, PipeRuns]:
    """Return the branches, the header and the mains; the header is as wide throughout as its first segment."""
    area_m2 = np.array(loop.wanted_kg_s) / loop.density_kg_m3 / ASSUMED_PIPE_SPEED_M_PER_S
    whole_m = math.sqrt(4 / math.pi * float(area_m2.sum()))
    row_m = np.sqrt(4 / math.pi * area_m2)
    # K ρ v² / 2 = k m² in a pipe of this section
    racks_loss = np.array(loop.resistance_pa_s2_per_kg2) * 2 * loop.density_kg_m3 * area_m2**2
    one = np.ones_like(row_m)
    along = PipeRuns(np.array(loop.along_m), row_m, ASSUMED_ROUGHNESS_M * one, 2 * ASSUMED_TEE_LOSS * one)
    racks = PipeRuns(0.0 * one, row_m, ASSUMED_ROUGHNESS_M * one, racks_loss)
    header = PipeRuns(np.array(loop.header_m), whole_m * one, ASSUMED_ROUGHNESS_M * one, ASSUMED_TEE_LOSS * one)
    mains = PipeRuns(
        np.array([loop.mains_m]), np.array([whole_m]), np.array([ASSUMED_ROUGHNESS_M]), np.array([ASSUMED_MAINS_LOSS])
    )
    return (along, racks), header, mains


def pump_of(loop: Loop, flow_m3_per_s: float, head_pa: float) -> PumpCurve:
    """Return the curve of CDUs of this rated flow and pressure together, through the loop's coolant."""
    return PumpCurve.through(flow_m3_per_s, head_pa / (loop.density_kg_m3 * GRAVITY_M_PER_S2))


def flow_at_full_speed(loop: Loop, pump: PumpCurve) -> float:
    """Return the flow that pumps at full speed drive through a loop [m³/s]."""
    branches, header, mains = _pipes(loop)
    flow, _, _ = solve_pump_and_manifold(
        pump,
        branches,
        header,
        mains,
        density_kg_m3=loop.density_kg_m3,
        viscosity_pa_s=loop.viscosity_pa_s,
        tolerance_frac=1e-4,
    )
    return flow


@lru_cache(maxsize=512)  # an edit of the floor changes one group's loop; the others are those of before
def loop_as_wanted(loop: Loop) -> tuple[ManifoldFlow, float]:
    """Return how the rows share the flow that they want together, without balancing valves, and its pressure [Pa]."""
    branches, header, mains = _pipes(loop)
    total, density, viscosity = sum(loop.wanted_kg_s), loop.density_kg_m3, loop.viscosity_pa_s
    shares = solve_manifold(branches, header, total, density_kg_m3=density, viscosity_pa_s=viscosity, tolerance_pa=1.0)
    return shares, float(shares.pressure_drop_pa) + float(pressure_drop_pa(mains, total, density, viscosity).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Driven:
    """A CDU group's loop with some of its units running. `share_frac` has a value per row of the loop."""

    loop: Loop
    wanted_m3_per_s: float
    needed_pa: float
    flow_m3_per_s: float  # that the pumps drive, at most what is wanted
    share_frac: FloatArray  # of what each row wants, if the wanted flow is driven and no valve balances the rows

    @property
    def is_short(self) -> bool:
        """Whether the pumps fall short of the wanted flow by more than balancing leaves."""
        return self.flow_m3_per_s < ENOUGH_FRAC * self.wanted_m3_per_s

    @property
    def is_uneven(self) -> bool:
        """Whether a row gets less than what balancing on site ends within."""
        return float(self.share_frac.min()) < ENOUGH_FRAC


def driven_loop(inputs: LayoutInputs, placed: Placed, k: int, units: list[CduRow], running: int) -> Driven | None:
    """Return what a group's pumps drive through its loop; None where sheets do not say enough.

    Parameters
    ----------
    inputs : LayoutInputs
        The layout.
    placed : Placed
        As `placed_racks` returns them.
    k : int
        Which CDU group.
    units : list of CduRow
        Its units.
    running : int
        How many of them run.
    """
    sheet = inputs.facts(units[0].product_id)
    head_pa = float(sheet.get("secondary_head_pa") or 0.0)
    loop = drawn_loop(placed, k, units) if running > 0 and head_pa > 0 else None
    if loop is None:
        return None
    pump = pump_of(loop, running * float(sheet["secondary_flow_m3_per_s"]), head_pa)
    wanted = sum(loop.wanted_kg_s) / loop.density_kg_m3
    shares, needed_pa = loop_as_wanted(loop)
    gives_pa = float(pump.head_m(wanted)) * loop.density_kg_m3 * GRAVITY_M_PER_S2
    flow = wanted if gives_pa >= needed_pa else min(flow_at_full_speed(loop, pump), wanted)
    return Driven(loop, wanted, needed_pa, flow, shares.branch_kg_s / np.array(loop.wanted_kg_s))


def with_loop_flows(inputs: LayoutInputs, table: RackTable) -> RackTable:
    """Return racks with the flow that the drawn loop gives them, all units running.

    Loops that give every row what it wants, within what balancing valves are set to on site, change nothing. Where
    pumps fall short all racks get less; where rows are uneven each gets its share. Less flow cools a cold plate less.
    """
    placed = placed_racks(inputs)
    got = np.ones(len(placed.row))
    for k, units in enumerate(equipment.cdu_groups(inputs).values()):
        driven = driven_loop(inputs, placed, k, units, len(units))
        if driven is None or not (driven.is_short or driven.is_uneven):
            continue
        share = dict(zip(driven.loop.rows, driven.share_frac.tolist(), strict=True)) if driven.is_uneven else {}
        for i in np.flatnonzero(placed.group == k).tolist():
            got[i] = share.get(placed.row[i], 1.0) * driven.flow_m3_per_s / driven.wanted_m3_per_s
    if np.all(got == 1.0):
        return table
    bank = table.bank
    flows = {
        "coolant_flow_kg_s": bank["coolant_flow_kg_s"] * got,
        "r_th_flow_k_per_w": bank["r_th_flow_k_per_w"] * np.where(bank["coolant_flow_kg_s"] > 0, got**-0.5, 1.0),
    }
    return replace(table, bank=bank | flows)
