"""Whether the pumps of a CDU group drive the flow that its racks want through the loop that is drawn.

The drawing gives places, not pipes: a header passes the rows from the nearest on, with a branch along each row. Pipes
are taken as wide as good practice asks for their flow. Racks resist as their sheets say, pumps push as the CDUs' do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
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
from power_cooling.site_arrays import FloatArray
from twin.core.inputs import equipment
from twin.core.inputs.layout import CduRow, LayoutInputs
from twin.core.results.findings import RISK
from twin.core.rules.design_load import Design
from twin.core.rules.report import Finding

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

    drop_pa: FloatArray  # at design flow; 0 where no sheet says it
    x_m: FloatArray
    y_m: FloatArray
    row: list[str]  # its own name where it stands in no row


def placed_racks(inputs: LayoutInputs) -> Placed:
    """Return the racks of a layout as its loops see them."""
    racks = inputs.racks
    drop_pa = {key: float(inputs.facts(key).get("liquid_pressure_drop_pa") or 0.0) for key in {*racks.product_id}}
    return Placed(
        drop_pa=np.array([drop_pa[key] for key in racks.product_id]),
        x_m=np.array(racks.x_m, dtype=float),
        y_m=np.array(racks.y_m, dtype=float),
        row=[row or name for row, name in zip(racks.row, racks.name, strict=True)],
    )


def drawn_loop(placed: Placed, design: Design, k: int, units: list[CduRow]) -> Loop | None:
    """Return the loop of a CDU group; None where a sheet does not say how its racks resist, or there are none."""
    racks = design.racks
    wet = np.flatnonzero((racks.group == k) & (racks.coolant_flow_m3_per_s > 0) & (racks.design_flow_m3_per_s > 0))
    drop_pa = placed.drop_pa[wet]
    if not wet.size or not np.all(drop_pa > 0):
        return None
    coolant = coolant_by_name(units[0].coolant)
    density, _ = equipment.coolant_properties(units[0].coolant)
    x, y = placed.x_m[wet], placed.y_m[wet]
    resistance = drop_pa / (racks.design_flow_m3_per_s[wet] * density) ** 2
    names = [placed.row[i] for i in wet.tolist()]
    start = (float(np.mean([unit.x_m or 0.0 for unit in units])), float(np.mean([unit.y_m or 0.0 for unit in units])))
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name, []).append(i)
    members = {name: np.array(rows) for name, rows in found.items()}
    centre = {name: (float(x[i].mean()), float(y[i].mean())) for name, i in members.items()}
    order = sorted(members, key=lambda name: _metres(centre[name], start))
    steps = [_metres(centre[a], centre[b]) for a, b in zip(order, order[1:], strict=False)]
    return Loop(
        rows=tuple(order),
        wanted_kg_s=tuple(float(racks.coolant_flow_m3_per_s[wet[members[name]]].sum() * density) for name in order),
        resistance_pa_s2_per_kg2=tuple(float(parallel_resistance(resistance[members[name]])) for name in order),
        header_m=(0.0, *steps),
        along_m=tuple(float(np.ptp(x[members[name]]) + np.ptp(y[members[name]])) for name in order),
        mains_m=2 * _metres(centre[order[0]], start),
        density_kg_m3=density,
        viscosity_pa_s=float(coolant.viscosity(units[0].supply_degc)),
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


def loop_findings(inputs: LayoutInputs, design: Design) -> Iterator[Finding]:
    """Yield CDU groups whose pumps cannot drive the wanted flow, and rows that get too little of it."""
    placed = placed_racks(inputs)
    for k, (name, units) in enumerate(equipment.cdu_groups(inputs).items()):
        first = units[0]
        sheet = inputs.facts(first.product_id)
        running = len(units) - first.redundant_units
        head_pa = float(sheet.get("secondary_head_pa") or 0.0)
        loop = drawn_loop(placed, design, k, units) if running > 0 and head_pa > 0 else None
        if loop is None:
            continue
        pump = pump_of(loop, running * float(sheet["secondary_flow_m3_per_s"]), head_pa)
        wanted = sum(loop.wanted_kg_s) / loop.density_kg_m3
        shares, needed_pa = loop_as_wanted(loop)
        gives_pa = float(pump.head_m(wanted)) * loop.density_kg_m3 * GRAVITY_M_PER_S2
        if gives_pa < needed_pa and (flow := flow_at_full_speed(loop, pump)) < ENOUGH_FRAC * wanted:
            yield Finding(
                "cdu",
                first.id,
                first.name,
                "loop pressure",
                RISK,
                flow,
                wanted,
                "m³/s",
                f"The pumps of group {name} drive {flow * 60e3:,.0f} l/min through the loop as drawn with "
                f"{first.redundant_units} of {len(units)} out; its racks want {wanted * 60e3:,.0f} l/min, which takes "
                f"{needed_pa / 1e3:.0f} kPa.",
            )
            continue
        got = shares.branch_kg_s / np.array(loop.wanted_kg_s)
        if (least := float(got.min())) < ENOUGH_FRAC:
            far, near = loop.rows[int(got.argmin())], loop.rows[int(got.argmax())]
            yield Finding(
                "cdu",
                first.id,
                first.name,
                "loop balance",
                RISK,
                least,
                1.0,
                "%",
                f"In group {name} row {far} gets {least:.0%} of the flow that its racks want and row {near} "
                f"{float(got.max()):.0%}: balance the rows by valves, or set racks of one resistance on one group.",
            )
