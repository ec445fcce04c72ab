"""Rules of the drawn coolant loop: pumps that cannot drive the wanted flow, and rows that get too little of it."""

from collections.abc import Iterator

from twin.core.inputs import equipment
from twin.core.inputs.coolant_loops import driven_loop, placed_racks
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.findings import RISK
from twin.core.rules.report import Finding


def loop_findings(inputs: LayoutInputs) -> Iterator[Finding]:
    """Yield CDU groups whose pumps cannot drive the wanted flow, and rows that get too little of it."""
    placed = placed_racks(inputs)
    for k, (name, units) in enumerate(equipment.cdu_groups(inputs).items()):
        first = units[0]
        driven = driven_loop(inputs, placed, k, units, len(units) - first.redundant_units)
        if driven is None:
            continue
        wanted, flow = driven.wanted_m3_per_s, driven.flow_m3_per_s
        if driven.is_short:
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
                f"{driven.needed_pa / 1e3:.0f} kPa.",
            )
            continue
        got, rows = driven.share_frac, driven.loop.rows
        if driven.is_uneven:
            far, near = rows[int(got.argmin())], rows[int(got.argmax())]
            yield Finding(
                "cdu",
                first.id,
                first.name,
                "loop balance",
                RISK,
                float(got.min()),
                1.0,
                "%",
                f"In group {name} row {far} gets {float(got.min()):.0%} of the flow that its racks want and row {near} "
                f"{float(got.max()):.0%}: balance the rows by valves, or set racks of one resistance on one group.",
            )
