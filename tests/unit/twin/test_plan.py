import numpy as np
import pytest

from facility.models import AirUnit, FloorFeature, Rack
from tests.small_site import new_rack, small_layout
from twin.core.results.rack_quantities import BY_NAME
from twin.floor import colouring, plan
from twin.floor.rows import footprint, read_floor
from twin.runs.latest import LatestRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    layout = small_layout()
    layout.floor_features.all().delete()  # aisles here are those between the rows
    for row, y_m, orientation_deg in (("A", 1.0, 0), ("B", 3.4, 180), ("C", 6.4, 0)):
        Rack.objects.bulk_create(
            new_rack(layout, name=f"{row}-{i}", row=row, x_m=2 + 0.6 * i, y_m=y_m, orientation_deg=orientation_deg)
            for i in range(3)
        )
    return layout


def drawn(layout, name: str, racks=None, mode: str = "used") -> plan.Plan:
    """Return the plan of a layout in the colours of a run with these arrays per rack."""
    run = LatestRun(None, layout.id, 1, "", None, {}, {}, [], "") if racks is not None else None
    question = colouring.Question(BY_NAME[name], mode, "year", None, run, 8760)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(colouring, "run_arrays", lambda run: racks)
        floor = read_floor(layout)
        return plan.draw(floor, colouring.colouring(floor, question))


def run_racks(layout, **columns) -> dict:
    ids = np.array([rack.id for rack in Rack.objects.order_by("-id")])  # not the plan's order, on purpose
    return {"rack_id": ids, **{name: np.asarray(values, dtype=float) for name, values in columns.items()}}


def test_the_floors_y_is_mirrored_into_the_drawings(layout):
    hall = drawn(layout, "rated_power_w").halls[0]
    x, y, width, depth = hall.racks[0][2:6]
    assert (x, y, width, depth) == ("2", "9.8", "0.6", "1.2")  # 12 m deep − 1 m − 1.2 m


def test_aisles_are_named_by_what_the_racks_turn_towards_them(layout):
    hall = drawn(layout, "rated_power_w").halls[0]
    assert [aisle[5] for aisle in hall.aisles] == ["hot aisle 1.2 m", "cold aisle 1.8 m"]


def test_a_quarter_turn_swaps_width_and_depth():
    assert footprint(90, 0.6, 1.2) == (1.2, 0.6)
    assert footprint(180, 0.6, 1.2) == (0.6, 1.2)


def test_values_find_their_rack_whatever_the_runs_order(layout):
    racks = run_racks(layout, mean_power_w=np.arange(9) * 1e3)
    by_id = dict(zip(racks["rack_id"].tolist(), racks["mean_power_w"].tolist(), strict=True))
    made = drawn(layout, "mean_power_w", racks)
    assert {row[0]: row[6] for row in made.table} == {
        rack_id: plan.quantity_text(value, "W") for rack_id, value in by_id.items()
    }
    assert (made.legend.low, made.legend.high) == (plan.quantity_text(0.0, "W"), plan.quantity_text(8e3, "W"))


def test_racks_above_their_limit_are_hatched_and_throttled_ones_notched(layout):
    power_w = np.full(9, 100e3)
    power_w[0] = 140e3  # the product is rated 132 kW
    hours = np.zeros(9)
    hours[3:5] = 12
    made = drawn(layout, "power_w", run_racks(layout, max_power_w=power_w, throttled_hours=hours))
    hall = made.halls[0]
    assert (made.n_over, len(hall.hatches)) == (1, 1)
    assert (made.n_throttled, len(hall.notches)) == (2, 2)
    assert made.legend.limit == plan.quantity_text(132e3, "W")
    assert [row[9] for row in made.table].count("overloaded") == 1
    assert str(hall.mark_markup).count(">!</text>") == 1


def test_a_rack_that_the_run_did_not_know_stays_without_colour(layout):
    racks = {name: values[1:] for name, values in run_racks(layout, mean_power_w=np.arange(9.0)).items()}
    made = drawn(layout, "mean_power_w", racks)
    assert made.n_without == 1
    assert [rack[8] for rack in made.halls[0].racks].count("no value") == 1


def test_equal_values_get_the_middle_colour(layout):
    assert {rack[7] for rack in drawn(layout, "rated_power_w").halls[0].racks} == {plan.RAMP[plan.N_STEPS // 2]}


def test_the_number_of_queries_does_not_grow_with_the_racks(layout, django_assert_num_queries):
    with django_assert_num_queries(7):
        drawn(layout, "rated_power_w")
    Rack.objects.bulk_create(new_rack(layout, name=f"D-{i}", row="D", x_m=2 + 0.6 * i, y_m=9.0) for i in range(20))
    with django_assert_num_queries(7):
        drawn(layout, "rated_power_w")


def test_names_cannot_break_out_of_the_drawing_or_the_table(layout):
    Rack.objects.filter(name="A-0").update(name='"><script>alert(1)</script>')
    made = drawn(layout, "rated_power_w")
    for markup in (made.halls[0].rack_markup, made.table_markup):
        assert "<script>" not in markup
        assert "&lt;script&gt;" in markup


def test_what_remains_of_a_temperature_is_a_difference(layout):
    racks = run_racks(layout, max_supply_degc=np.linspace(38, 42, 9))
    limit = layout.halls.get().racks.first().product.facts["liquid_supply_max_degc"]
    made = drawn(layout, "supply_degc", racks, "remaining")
    assert (made.legend.low, made.legend.high) == (
        plan.quantity_text(limit - 42, "K"),
        plan.quantity_text(limit - 38, "K"),
    )
    assert made.legend.limit == plan.quantity_text(0.0, "K")
    assert all(
        row[8] == plan.quantity_text(limit - value, "K")
        for row, value in zip(
            made.table, [float(row[6].split("\N{NARROW NO-BREAK SPACE}")[0]) for row in made.table], strict=True
        )
    )


def test_the_limit_itself_can_be_shown(layout):
    made = drawn(layout, "power_w", run_racks(layout, max_power_w=np.full(9, 1e5)), "limit")
    assert {rack[8] for rack in made.halls[0].racks} == {plan.quantity_text(132e3, "W")}
    assert made.legend.limit_at is None


def test_weight_is_measured_against_the_floor_under_the_rack_and_half_the_aisles(layout):
    made = drawn(layout, "weight_kg")
    hall = layout.halls.get()
    assert made.table[0][7] == plan.quantity_text(2500 * 0.6 * (1.2 + hall.min_aisle_m), "kg")
    assert made.table[0][6] == plan.quantity_text(1360.0, "kg")


def test_walls_keep_outs_and_placed_air_units_are_on_the_plan(layout):
    hall = layout.halls.get()
    FloorFeature.objects.create(layout=layout, hall=hall, name="Shaft", type="wall", x_m=0, y_m=0, width_m=1, depth_m=2)
    AirUnit.objects.create(layout=layout, hall=hall, name="CRAH-9", x_m=10, y_m=9, orientation_deg=90)
    made = drawn(layout, "rated_power_w").halls[0]
    assert ("0", "10", "1", "2", "wall", "Shaft: wall or column") in made.features
    assert ("CRAH-9", "10", "0.6", "1", "2.4") in [unit[1:6] for unit in made.air_units]


def test_a_described_aisle_takes_the_place_of_the_one_found_between_rows(layout):
    before = drawn(layout, "rated_power_w").halls[0]
    assert [aisle[4] for aisle in before.aisles] == ["hot", "cold"]
    FloorFeature.objects.create(
        layout=layout, hall=layout.halls.get(), name="HA-1", type="hot_aisle", x_m=1, y_m=2.2, width_m=4, depth_m=1.2
    )
    after = drawn(layout, "rated_power_w").halls[0]
    assert [aisle[4] for aisle in after.aisles] == ["cold"]
    assert ("1", "8.6", "4", "1.2", "hot_aisle", "HA-1: hot aisle") in after.features
