"""Described equipment as solver arrays, against the data sheets it came from."""

from dataclasses import replace

import numpy as np
import pytest

from facility.catalogue import entries
from facility.models import PowerFeed, Product
from power_cooling.cooling.heat_rejection import dry_cooler_outlet_degc
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K, ASSUMED_HUMIDITY_RATIO
from power_cooling.electrical.feed_tree import feed_losses
from power_cooling.fluids.heat_exchangers import exchange
from power_cooling.fluids.psychrometrics import (
    DRY_AIR_J_PER_KG_K,
    STANDARD_PRESSURE_PA,
    density_kg_m3,
    heat_capacity_j_per_kg_k,
)
from tests.small_inputs import sheet, small_inputs
from twin.core.inputs import equipment, feeds
from twin.core.inputs.feed_ratings import rating_w
from twin.core.inputs.layout import LayoutInputs

META = ("id", "name", "vendor", "source", "confidence", "field_confidence", "notes")


def entry(kind: str, slug: str) -> dict:
    found = entries(kind)[slug]
    facts = {name: value for name, value in found.items() if name not in META}
    return sheet(
        kind,
        slug,
        name=found.get("name", slug),
        vendor=found.get("vendor", ""),
        facts=facts,
        source=found["source"],
        confidence=found["confidence"],
        field_confidence=found.get("field_confidence", {}),
    )


PRODUCTS = {
    "1": entry("systems", "dgx-gb200-nvl72"),
    "2": entry("cdus", "vertiv-xdu1350"),
    "3": entry("dry_coolers", "dry-cooler-1mw"),
    "4": entry("pumps", "fws-pump-110kw"),
    "5": entry("ups", "eaton-9395x-1700"),
    "6": entry("busways", "busway-1250a-415"),
    "7": entry("systems", "dgx-h200"),
    "8": entry("air_units", "crah-cw-200"),
    "9": entry("cooling_towers", "cooling-tower-3500"),
    "10": entry("cdus", "vertiv-xdu070"),
    "11": entry("cdus", "vertiv-coolphase-cdu"),
}


def parts(**racks) -> dict:
    """Return a hall with one row of six racks: five GB200 on a CDU, one of other equipment."""
    n = 6
    columns = {
        "id": list(range(n)),
        "name": [f"A{i}" for i in range(n)],
        "row": ["A"] * n,
        "role": ["compute"] * n,
        "hall_id": [1] * n,
        "x_m": [0.6 * i for i in range(n)],
        "y_m": [1.0] * n,
        "orientation_deg": [0] * n,
        "width_m": [0.6] * n,
        "depth_m": [1.2] * n,
        "product_id": [1, 1, 1, 1, 1, None],
        "n_systems": [1] * n,
        "other_power_w": [0.0] * 5 + [14000.0],
        "accelerator_power_limit_w": [None] * n,
        "load_share": [1.0] * n,
        "coolant_flow_m3_per_s": [None] * n,
        "cdu_id": [1] * 5 + [None],
        "feed_a_id": [3] * n,
        "feed_b_id": [None] * n,
    }
    return {
        "halls": [{"id": 1, "name": "Hall", "air_unit_id": 8, "n_air_units": 3, "plant_id": 1}],
        "racks": columns | racks,
        "cdus": [{"id": i, "name": f"C{i}", "product_id": 2, "redundant_units": 1} for i in (1, 2)],
        "feeds": [
            {"id": 1, "name": "Utility", "kind": "utility"},
            {"id": 2, "name": "UPS", "kind": "ups", "parent_id": 1, "product_id": 5},
            {"id": 3, "name": "Bus A", "kind": "busway", "parent_id": 2, "product_id": 6, "length_m": 10.0},
            {"id": 4, "name": "Board", "kind": "switchboard", "parent_id": 1, "rating_w": 1e6},
        ],
        "plants": [
            {
                "id": 1,
                "name": "Plant",
                "heat_rejection_id": 3,
                "n_heat_rejection": 2,
                "pump_id": 4,
                "n_heat_rejection_spare": 1,
                "n_pumps": 2,
                "n_pumps_spare": 1,
            }
        ],
        "products": {
            "by_id": PRODUCTS,
            "accelerators": {slug: entry("accelerators", slug) for slug in ("gb200", "h200-sxm")},
        },
    }


def hall(**racks) -> LayoutInputs:
    """Return the inputs of `parts`."""
    return small_inputs(**parts(**racks))


def test_a_rack_at_tdp_draws_no_more_than_its_sheet_and_comes_close():
    table = equipment.rack_table(hall())
    bank = {name: values[0] for name, values in table.bank.items()}
    heat_w = bank["n_accelerators"] * bank["tdp_w"] + bank["fixed_w"] + bank["per_load_w"] + bank["fan_power_w"]
    x = heat_w / bank["max_power_w"]
    loss_w = bank["max_power_w"] * (bank["shelf_loss_a"] + bank["shelf_loss_b"] * x + bank["shelf_loss_c"] * x**2)
    # 72 x 1,200 W and 36.6 kW of everything else, of which 4.6 kW conversion loss; ours comes from the shelf's curve
    assert heat_w + loss_w == pytest.approx(72 * 1200 + 36_600, rel=0.02)
    assert heat_w + loss_w < 132_000  # what the feed is sized for


def test_liquid_heat_is_the_share_the_sheet_states():
    bank = {name: values[0] for name, values in equipment.rack_table(hall()).bank.items()}
    liquid_w = bank["accelerator_liquid_frac"] * bank["n_accelerators"] * bank["tdp_w"] + bank["other_liquid_frac"] * (
        bank["fixed_w"] + bank["per_load_w"]
    )
    assert liquid_w == pytest.approx(0.87 * (72 * 1200 + 36_600))


def test_support_racks_draw_their_power_and_need_no_coolant():
    table = equipment.rack_table(hall())
    assert table.accelerator[5] == ""
    assert table.bank["fixed_w"][5] == 14_000
    assert table.bank["cdu_index"][5] == -1


def test_a_liquid_cooled_rack_without_cdu_is_refused_by_name():
    with pytest.raises(ValueError, match="Rack A2 is liquid-cooled but not assigned to a CDU"):
        equipment.rack_table(hall(cdu_id=[1, 1, None, 1, 1, None]))


def test_a_cap_below_the_boards_range_is_refused_with_the_range():
    with pytest.raises(ValueError, match=r"Rack A0: accelerator_power_limit_w is 100 W; .* between 400 and 1200 W"):
        equipment.rack_table(hall(accelerator_power_limit_w=[100.0] + [None] * 5))


def test_racks_near_a_row_end_take_more_hot_air_and_the_row_keeps_its_mean():
    share = equipment.recirculation_frac(hall())
    assert share[0] > share[1] > share[2]
    assert share[0] == pytest.approx(share[5])
    assert share.mean() == pytest.approx(0.04)


def test_equal_racks_become_one_class_and_counts_add_up():
    inputs = hall()
    table = equipment.rack_table(inputs)
    pool = np.where(table.accelerator == "", -1, 0)
    bank, rack_class = equipment.rack_classes(table, pool, feeds.rack_feeds(inputs))
    assert bank.count.sum() == 6
    assert rack_class[2] == rack_class[3]  # the two in the middle are alike
    assert rack_class[5] not in rack_class[:5]


def test_the_cooler_gives_its_rating_point_back():
    plant = equipment.plant_bank(hall(), np.array([1e6]))
    sheet = PRODUCTS["3"]["facts"]
    water = sheet["capacity_w"] / 6.0  # rated 46 to 40 degC
    air = sheet["airflow_m3_per_s"] * equipment.AIR_KG_PER_M3 * DRY_AIR_J_PER_KG_K
    leaving = dry_cooler_outlet_degc(46.0, water, 35.0, air, plant.cooler_ua_w_per_k[0])
    assert float(leaving) == pytest.approx(40.0, abs=1e-6)


def test_two_cdus_of_a_group_are_one_row_with_two_units():
    bank = equipment.cdu_bank(hall())
    assert bank.n_units.tolist() == [2.0]
    assert bank.ua_w_per_k[0] == pytest.approx(342_000)
    # UA = capacity / approach holds for balanced flows, so both sides carry the same heat per kelvin
    assert bank.primary_flow_kg_s[0] * equipment.WATER_CP_J_PER_KG_K == pytest.approx(
        bank.secondary_flow_kg_s[0] * bank.secondary_cp_j_per_kg_k[0]
    )


def test_the_ups_meets_its_sheets_efficiency_at_half_load():
    inputs = hall()
    tree = feeds.tree_of(inputs)
    load = np.zeros((1, tree.n_nodes))
    load[0, tree.index("UPS")] = 0.5 * 1_700_000
    loss = feed_losses(tree, load).node_loss_w[0, tree.index("UPS")]
    # 0.973 at half load on the sheet; one quadratic through five rounded points misses by a few tenths of a percent
    assert 850_000 / (850_000 + loss) == pytest.approx(0.973, abs=0.004)


def test_cooling_hangs_on_the_board_that_feeds_nothing_else():
    inputs = hall()
    tree = feeds.tree_of(inputs)
    assert [tree.names[i] for i in feeds.mechanical_nodes(inputs, tree)] == ["Board"]


def test_cooling_without_a_board_counts_in_the_load_of_the_utility():
    inputs = hall()
    inputs = replace(inputs, feeds=tuple(feed for feed in inputs.feeds if feed.name != "Board"))
    tree = feeds.tree_of(inputs)
    assert [tree.names[i] for i in feeds.mechanical_nodes(inputs, tree)] == ["Utility"]


def test_a_rack_without_feed_is_refused_by_name():
    with pytest.raises(ValueError, match="Rack A4 is on no power feed"):
        feeds.rack_feeds(hall(feed_a_id=[3, 3, 3, 3, None, 3]))


def test_a_feed_without_rating_or_product_is_refused_by_name():
    bare = parts()
    del bare["feeds"][3]["rating_w"]
    with pytest.raises(ValueError, match="Feed Board has neither rating_w nor a product"):
        feeds.tree_of(small_inputs(**bare))


def test_hall_air_has_one_humidity_for_its_heat_capacity_and_its_density():
    # of a kilogram of mixture: the capacity per kilogram of dry air, shared by the vapour
    per_dry_kg = float(heat_capacity_j_per_kg_k(ASSUMED_HUMIDITY_RATIO))
    assert per_dry_kg == pytest.approx(1006 + 1860 * 0.008)
    assert pytest.approx(per_dry_kg) == AIR_CP_J_PER_KG_K * (1 + ASSUMED_HUMIDITY_RATIO)
    assert pytest.approx(1012.8, abs=0.05) == AIR_CP_J_PER_KG_K
    density = density_kg_m3(30.0, ASSUMED_HUMIDITY_RATIO, STANDARD_PRESSURE_PA)
    assert float(density) == pytest.approx(equipment.AIR_KG_PER_M3, abs=0.005)  # written to two digits


def test_a_liquid_to_air_cdu_meets_its_rating_in_the_air_of_its_hall():
    taken = hall()
    taken = replace(taken, cdus=tuple(replace(cdu, product_id=10) for cdu in taken.cdus))
    bank = equipment.cdu_bank(taken)
    assert bank.to_air[0] == 1
    assert bank.primary_flow_kg_s[0] * AIR_CP_J_PER_KG_K * 15 == pytest.approx(70e3, rel=1e-6)
    warm = exchange(
        bank.ua_w_per_k[0],
        bank.secondary_flow_kg_s[0] * bank.secondary_cp_j_per_kg_k[0],
        bank.primary_flow_kg_s[0] * AIR_CP_J_PER_KG_K,
        25.0 + 15.0 + 70e3 / (bank.secondary_flow_kg_s[0] * bank.secondary_cp_j_per_kg_k[0]),
        25.0,
    )
    assert warm.heat_w == pytest.approx(70e3, rel=1e-9)  # 15 K from room air to coolant, as its sheet says
    table = equipment.rack_table(taken)
    liquid_cooled = equipment.design_heat_w(taken, table)
    assert liquid_cooled[0] == pytest.approx(table.nameplate_w.sum())


def test_a_cdu_that_rejects_to_refrigerant_is_refused_by_name():
    taken = hall()
    taken = replace(taken, cdus=tuple(replace(cdu, product_id=11) for cdu in taken.cdus))
    with pytest.raises(ValueError, match="rejects to a refrigerant, which is not modelled"):
        equipment.cdu_bank(taken)


def test_every_product_of_a_feed_has_the_rating_that_forms_and_drawings_show():
    pairs = [(feed_kind, kind) for feed_kind, kinds in PowerFeed.PRODUCT_KINDS.items() for kind in kinds]
    for feed_kind, kind in pairs:
        for slug in entries(kind):
            found = entry(kind, slug)
            shown = PowerFeed(kind=feed_kind, product=Product(pk=1, facts=found["facts"])).unit_rating_w
            feed = {"name": slug, "kind": feed_kind, "product_id": 1}
            inputs = small_inputs(feeds=[feed], products={"by_id": {"1": found}})
            assert shown
            assert rating_w(inputs, inputs.feeds[0]) == shown, slug
