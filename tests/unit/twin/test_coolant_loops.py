"""Flow through the drawn loop against pressures worked by hand, and what the rules say of it."""

import numpy as np
import pytest

from facility.models import Product, Rack
from tests.small_site import new_rack, small_layout
from twin.core.inputs.coolant_loops import (
    ASSUMED_MAINS_LOSS,
    ASSUMED_PIPE_SPEED_M_PER_S,
    Loop,
    flow_at_full_speed,
    loop_as_wanted,
    pump_of,
    with_loop_flows,
)
from twin.core.inputs.equipment import rack_table
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import RISK
from twin.runs.findings import layout_findings

DENSITY = 1000.0


def loop(n_rows: int, *, header_m: float = 0.0, drop_pa: float = 100e3) -> Loop:
    """Return alike rows that want 1 kg/s each at a drop of their racks."""
    return Loop(
        rows=tuple("ABCDEFGH"[:n_rows]),
        wanted_kg_s=(1.0,) * n_rows,
        resistance_pa_s2_per_kg2=(drop_pa,) * n_rows,
        header_m=(header_m,) * n_rows,
        along_m=(0.0,) * n_rows,
        mains_m=0.0,
        density_kg_m3=DENSITY,
        viscosity_pa_s=1e-3,
    )


def test_alike_rows_share_alike_and_take_the_drop_of_their_racks_and_fittings():
    shares, needed_pa = loop_as_wanted(loop(1))
    head_pa = 0.5 * DENSITY * ASSUMED_PIPE_SPEED_M_PER_S**2
    assert shares.branch_kg_s.tolist() == pytest.approx([1.0])
    # the racks; two tees of the branch, one of each header; the mains
    assert needed_pa == pytest.approx(100e3 + (1.0 + 2 * 0.5 + ASSUMED_MAINS_LOSS) * head_pa)


def test_a_pump_drives_what_its_curve_leaves_at_the_loops_drop():
    one = loop(1)
    _, needed_pa = loop_as_wanted(one)
    assert flow_at_full_speed(one, pump_of(one, 1e-3, needed_pa)) == pytest.approx(1e-3, rel=1e-3)
    # H = 4/3 H0 - H0/3 q² meets k q² with k four times H0: q² = (4/3) / (4 + 1/3)
    assert flow_at_full_speed(one, pump_of(one, 1e-3, needed_pa / 4)) == pytest.approx(1e-3 * (4 / 13) ** 0.5, rel=1e-3)


def test_far_rows_of_a_long_header_get_less():
    short, _ = loop_as_wanted(loop(4, header_m=2.0))
    long, _ = loop_as_wanted(loop(4, header_m=60.0))
    assert np.all(np.diff(long.branch_kg_s) < 0)
    assert np.ptp(long.branch_kg_s) > 10 * np.ptp(short.branch_kg_s)
    assert long.branch_kg_s.sum() == pytest.approx(4.0)


@pytest.mark.django_db
class TestFindings:
    @pytest.fixture
    def layout(self):
        layout = small_layout()
        Rack.objects.bulk_create([new_rack(layout, name=f"A-{i}", x_m=2 + 0.6 * i) for i in range(4)])
        Rack.objects.bulk_create([new_rack(layout, name=f"B-{i}", row="B", x_m=2 + 0.6 * i, y_m=8) for i in range(4)])
        return layout

    def of(self, layout, rule):
        return [finding for finding in layout_findings(layout) if finding.rule == rule]

    def test_pumps_that_cannot_push_through_the_racks_are_named(self, layout):
        assert not self.of(layout, "loop pressure")
        system = Product.objects.get(slug="dgx-gb200-nvl72")
        system.facts["liquid_pressure_drop_pa"] = 400e3
        system.save()
        (found,) = self.of(layout, "loop pressure")
        assert (found.object_name, found.severity, found.unit) == ("CDU-1", RISK, "m³/s")
        assert found.value < 0.95 * found.limit
        assert "with 1 of 2 out" in found.message

    def test_a_row_of_tighter_racks_is_named_with_what_it_gets(self, layout):
        assert not self.of(layout, "loop balance")
        # The far row's racks are asked for a third more than their product's flow; nothing balances for it.
        per_s = Product.objects.get(slug="dgx-gb200-nvl72").facts["liquid_design_flow_m3_per_s"]
        Rack.objects.filter(row="B").update(coolant_flow_m3_per_s=per_s * 1.33)
        (found,) = self.of(layout, "loop balance")
        assert found.severity == RISK
        assert found.value < 0.95
        assert "row B gets" in found.message

    def test_a_sheet_without_a_pressure_drop_is_not_judged(self, layout):
        system = Product.objects.get(slug="dgx-gb200-nvl72")
        del system.facts["liquid_pressure_drop_pa"]
        system.save()
        assert not self.of(layout, "loop pressure") + self.of(layout, "loop balance")


@pytest.mark.django_db
class TestRuns:
    """What a run's racks get is what the drawn loop gives them, wherever the rules say that it gives too little."""

    @pytest.fixture
    def taken(self, sample_inputs):
        return sample_inputs("sterling/gb200-nvl72")

    def flows(self, taken):
        """Return flow and resistance of compute racks, as driven over as asked: of row L, and of its group's others."""
        inputs = layout_inputs(taken)
        asked = rack_table(inputs)
        driven = with_loop_flows(inputs, asked)
        wet, in_l = asked.bank["coolant_flow_kg_s"] > 0, np.array(inputs.racks.row) == "L"
        of_loop = wet & (asked.bank["cdu_index"] == asked.bank["cdu_index"][in_l & wet][0])
        total = [table.bank["coolant_flow_kg_s"][of_loop].sum() for table in (asked, driven)]
        over = {
            name: [
                (driven.bank[name][rows] / asked.bank[name][rows]).mean() for rows in (of_loop & in_l, of_loop & ~in_l)
            ]
            for name in ("coolant_flow_kg_s", "r_th_flow_k_per_w")
        }
        return driven is asked, total, over["coolant_flow_kg_s"], over["r_th_flow_k_per_w"]

    def test_a_loop_that_gives_what_is_wanted_changes_nothing(self, taken):
        unchanged, *_ = self.flows(taken)
        assert unchanged

    def test_a_tighter_row_gets_less_and_the_others_more_of_the_same_whole(self, taken):
        racks, products = taken["racks"], taken["products"]["by_id"]
        for i, row in enumerate(racks["row"]):
            if row == "L" and racks["product_id"][i]:
                flow = products[str(racks["product_id"][i])]["facts"]["liquid_design_flow_m3_per_s"]
                racks["coolant_flow_m3_per_s"][i] = 1.33 * flow
        _, total, flow, resistance = self.flows(taken)
        assert flow[0] < 0.95
        assert flow[1] > 1.0
        assert total[1] == pytest.approx(total[0], rel=1e-6)
        assert resistance[0] == pytest.approx(flow[0] ** -0.5)

    def test_pumps_that_cannot_push_through_the_racks_leave_them_warmer(self, taken):
        for sheet in taken["products"]["by_id"].values():
            if sheet["kind"] == "systems":
                sheet["facts"]["liquid_pressure_drop_pa"] = 800e3
        _, total, flow, resistance = self.flows(taken)
        assert total[1] < 0.95 * total[0]
        assert max(flow) < 0.96
        assert min(resistance) > 0.96**-0.5
