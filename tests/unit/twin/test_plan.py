import numpy as np
import pytest

from facility.models import Rack
from tests.small_site import new_rack, small_layout
from twin import plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    layout = small_layout()
    for row, y_m, orientation_deg in (("A", 1.0, 0), ("B", 3.4, 180), ("C", 6.4, 0)):
        Rack.objects.bulk_create(
            new_rack(layout, name=f"{row}-{i}", row=row, x_m=2 + 0.6 * i, y_m=y_m, orientation_deg=orientation_deg)
            for i in range(3)
        )
    return layout


def run_racks(layout, **columns) -> dict:
    ids = np.array([rack.id for rack in Rack.objects.order_by("-id")])  # not the plan's order, on purpose
    return {"rack_id": ids, **{name: np.asarray(values, dtype=float) for name, values in columns.items()}}


def test_the_floors_y_is_mirrored_into_the_drawings(layout):
    hall = plan.draw(layout, plan.BY_NAME["rated_power_w"]).halls[0]
    x, y, width, depth = hall.racks[0][2:6]
    assert (x, y, width, depth) == ("2", "9.8", "0.6", "1.2")  # 12 m deep − 1 m − 1.2 m


def test_aisles_are_named_by_what_the_racks_turn_towards_them(layout):
    hall = plan.draw(layout, plan.BY_NAME["rated_power_w"]).halls[0]
    assert [aisle[5] for aisle in hall.aisles] == ["hot aisle 1.2 m", "cold aisle 1.8 m"]


def test_a_quarter_turn_swaps_width_and_depth():
    assert plan.footprint(90, 0.6, 1.2) == (1.2, 0.6)
    assert plan.footprint(180, 0.6, 1.2) == (0.6, 1.2)


def test_values_find_their_rack_whatever_the_runs_order(layout):
    racks = run_racks(layout, mean_power_w=np.arange(9) * 1e3)
    by_id = dict(zip(racks["rack_id"].tolist(), racks["mean_power_w"].tolist(), strict=True))
    drawn = plan.draw(layout, plan.BY_NAME["mean_power_w"], racks)
    assert {row[0]: row[6] for row in drawn.table} == {
        rack_id: plan.quantity_text(value, "W") for rack_id, value in by_id.items()
    }
    assert (drawn.legend.low, drawn.legend.high) == (plan.quantity_text(0.0, "W"), plan.quantity_text(8e3, "W"))


def test_racks_above_their_limit_are_hatched_and_throttled_ones_notched(layout):
    power_w = np.full(9, 100e3)
    power_w[0] = 140e3  # the product is rated 132 kW
    hours = np.zeros(9)
    hours[3:5] = 12
    drawn = plan.draw(
        layout, plan.BY_NAME["max_power_w"], run_racks(layout, max_power_w=power_w, throttled_hours=hours)
    )
    hall = drawn.halls[0]
    assert (drawn.n_over, len(hall.hatches)) == (1, 1)
    assert (drawn.n_throttled, len(hall.notches)) == (2, 2)
    assert drawn.legend.limit == plan.quantity_text(132e3, "W")


def test_a_rack_that_the_run_did_not_know_stays_without_colour(layout):
    racks = {name: values[1:] for name, values in run_racks(layout, mean_power_w=np.arange(9.0)).items()}
    drawn = plan.draw(layout, plan.BY_NAME["mean_power_w"], racks)
    assert drawn.n_without == 1
    assert [rack[8] for rack in drawn.halls[0].racks].count("no value") == 1


def test_equal_values_get_the_middle_colour(layout):
    drawn = plan.draw(layout, plan.BY_NAME["rated_power_w"])
    assert {rack[7] for rack in drawn.halls[0].racks} == {plan.ramp()[plan.N_STEPS // 2]}


def test_the_number_of_queries_does_not_grow_with_the_racks(layout, django_assert_num_queries):
    with django_assert_num_queries(5):
        plan.draw(layout, plan.BY_NAME["rated_power_w"])
    Rack.objects.bulk_create(new_rack(layout, name=f"D-{i}", row="D", x_m=2 + 0.6 * i, y_m=9.0) for i in range(20))
    with django_assert_num_queries(5):
        plan.draw(layout, plan.BY_NAME["rated_power_w"])


def test_names_cannot_break_out_of_the_drawing_or_the_table(layout):
    Rack.objects.filter(name="A-0").update(name='"><script>alert(1)</script>')
    drawn = plan.draw(layout, plan.BY_NAME["rated_power_w"])
    for markup in (drawn.halls[0].rack_markup, drawn.table_markup):
        assert "<script>" not in markup
        assert "&lt;script&gt;" in markup
