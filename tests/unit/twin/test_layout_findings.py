"""Every rule on a layout that breaks it, against values worked by hand."""

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from facility import services
from facility.models import Cdu, CoolingPlant, Hall, Layout, PowerFeed, Rack, Site
from power_cooling.fluids.coolants import coolant_by_name
from tests.small_run import small_scenario
from tests.small_site import climate, new_rack, product, sound_layout
from tests.small_site import new_row as row
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.core.rules.design_load import Design, design_load, rack_design
from twin.core.rules.feed_loads import feed_loads, layout_feeds
from twin.runs.findings import layout_findings
from twin.runs.snapshot import canonical, description, inputs_stored, packed, snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    return sound_layout()


def of(layout, rule):
    return [finding for finding in layout_findings(layout) if finding.rule == rule]


def designed(layout) -> Design:
    inputs = description(layout)
    return design_load(inputs, rack_design(inputs))


def loads_of(layout):
    """Return the loads of the feeds, and the feeds' names."""
    inputs = description(layout)
    racks = rack_design(inputs)
    return feed_loads(inputs, layout_feeds(inputs, racks), design_load(inputs, racks)), [f.name for f in inputs.feeds]


def only(layout, rule):
    found = of(layout, rule)
    assert len(found) == 1, found
    return found[0]


def test_a_sound_layout_has_only_hints(layout):
    assert {finding.severity for finding in layout_findings(layout)} <= {HINT}


def test_what_a_run_read_has_the_findings_of_what_is_drawn(catalogue):
    layout, scenario = small_scenario("liquid")
    new_rack(layout, name="Z-01", x_m=2.3).save()
    read = inputs_stored(packed(canonical(snapshot(layout, scenario))))
    now = layout_findings(layout)
    assert BLOCKING in {finding.severity for finding in now}
    assert layout_findings(layout, read) == now


def test_overlap_and_places_outside_the_hall(layout):
    Rack.objects.bulk_create([new_rack(layout, name="A-02", x_m=2.3), new_rack(layout, name="A-03", x_m=19.8)])
    found = only(layout, "overlap")
    assert (found.severity, found.object_name, found.message) == (
        BLOCKING,
        "A-02",
        "Stands on the same floor as rack A-01.",
    )
    found = only(layout, "inside the hall")
    assert (found.severity, found.object_name) == (BLOCKING, "A-03")
    assert found.value == pytest.approx(0.4)


def test_a_narrow_aisle_is_reported_once_with_both_sides(layout):
    new_rack(layout, name="B-01", y_m=6.0, orientation_deg=180).save()
    found = only(layout, "aisle width")
    assert (found.severity, found.limit) == (RISK, 1.2)
    assert found.value == pytest.approx(0.8)
    assert found.message == "0.80 m are clear behind it, up to rack B-01; hall Hall asks for 1.2 m."


def test_floor_load_counts_the_rack_over_its_floor_and_half_the_aisles(layout):
    Hall.objects.update(floor_load_limit_kg_per_m2=900)
    found = only(layout, "floor load")
    # 1,360 kg over 0.6 m × (1.2 m + 1.2 m)
    assert found.value == pytest.approx(1360 / (0.6 * 2.4))
    assert found.severity == BLOCKING


def test_a_rack_smaller_than_its_product(layout):
    Rack.objects.update(product=product("systems", "amd-helios"))
    found = only(layout, "rack size")
    assert (found.value, found.limit, found.severity) == (0.6, 1.2, RISK)


def test_racks_without_or_with_one_feed(layout):
    Rack.objects.update(feed_b=None)
    assert only(layout, "one feed").severity == RISK
    Rack.objects.update(feed_a=None)
    assert only(layout, "no feed").message == "Draws 132 kW but plugs into no feed."


def test_busways_are_held_to_80_percent_of_their_breakers(layout):
    row(layout, 5)
    # Six racks of 132 kW: 396 kW a side, but 792 kW on one side after a failure; 1,250 A at 415 V may carry 719 kW.
    found = of(layout, "after a failure")
    assert {finding.object_name for finding in found} == {"Busway-A", "Busway-B"}
    assert found[0].value == pytest.approx(6 * 132e3)
    assert found[0].limit == pytest.approx(718_780)
    assert "2N is not kept" in found[0].message
    Rack.objects.update(feed_b=None)
    found = only(layout, "breaker 80 %")
    assert (found.object_name, found.severity) == ("Busway-A", BLOCKING)
    assert found.value == pytest.approx(6 * 132e3)


def test_pdus_carry_80_percent_and_racks_fit_their_feed(layout):
    pdu = PowerFeed.objects.create(
        layout=layout,
        name="RPP",
        kind="pdu",
        parent=layout.power_feeds.get(name="UPS-A"),
        product=product("distribution", "rpp-400a"),
    )
    row(layout, 1)
    Rack.objects.update(feed_a=pdu, feed_b=None)
    assert only(layout, "breaker 80 %").limit == pytest.approx(0.8 * 260e3)
    pdu.rating_w, pdu.product = 100e3, None
    pdu.save()
    assert {finding.limit for finding in of(layout, "rack power")} == {100e3}


def test_a_spare_unit_stays_unused_in_normal_operation(layout):
    PowerFeed.objects.filter(kind="ups").update(redundancy="N+1", n_units=2, rating_w=60e3)
    found = of(layout, "spare unit")
    assert {finding.object_name for finding in found} == {"UPS-A", "UPS-B"}
    assert found[0].limit == 60e3
    assert found[0].value == pytest.approx(66e3, rel=2e-4)  # and the loss of 20 m of busway


@pytest.mark.parametrize(
    ("redundancy", "n", "message"),
    [
        ("2N", 3, "Group G states 2N, which takes 2 feeds; it has 3."),
        ("4N3", 3, "Group G states 4N3, which takes 4 feeds; it has 3."),
        ("5-to-make-4", 4, "Group G states 5-to-make-4, which takes 5 feeds; it has 4."),
        ("N+1", 1, "Group G states N+1 but has one unit."),
    ],
)
def test_groups_have_the_size_that_their_redundancy_takes(layout, redundancy, n, message):
    parent = layout.power_feeds.get(name="T-A")
    for i in range(n):
        PowerFeed.objects.create(
            layout=layout,
            name=f"G-{i}",
            kind="pdu",
            parent=parent,
            rating_w=1e6,
            redundancy=redundancy,
            redundancy_group="G",
        )
    assert only(layout, "redundancy group").message == message


def test_four_blocks_share_what_three_can_carry(layout):
    """Six rows on the six pairs of four blocks: each carries a half, after one failure a third more."""
    utility = layout.power_feeds.get(name="Utility")
    blocks = [
        PowerFeed.objects.create(
            layout=layout,
            name=f"Block-{i}",
            kind="pdu",
            parent=utility,
            rating_w=440e3,
            redundancy="4N3",
            redundancy_group="Blocks",
        )
        for i in range(4)
    ]
    pairs = [(0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2)]
    racks = [
        new_rack(layout, name=f"R-{i}", x_m=2 + 0.6 * i, feed_a=blocks[a], feed_b=blocks[b])
        for i, (a, b) in enumerate(pairs)
    ]
    Rack.objects.all().delete()
    Rack.objects.bulk_create(racks)
    PowerFeed.objects.filter(name__in=["T-A", "T-B"]).delete()
    loads, names = loads_of(layout)
    at = [i for i, name in enumerate(names) if name.startswith("Block")]
    np.testing.assert_allclose(loads.normal_w[at], 6 * 132e3 / 4)
    np.testing.assert_allclose(loads.after_w.max(axis=0)[at], 6 * 132e3 / 3)
    assert of(layout, "after a failure") == []
    PowerFeed.objects.filter(redundancy_group="Blocks").update(rating_w=260e3)
    assert len(of(layout, "after a failure")) == 4


def test_one_of_several_single_units_is_the_spare(layout):
    """UPS A and B as a group of N+1: either must carry everything alone."""
    PowerFeed.objects.filter(kind="ups").update(redundancy="N+1", rating_w=100e3, product=None)
    found = [finding for finding in of(layout, "after a failure") if finding.object_name.startswith("UPS")]
    assert {(finding.object_name, finding.limit) for finding in found} == {("UPS-A", 100e3), ("UPS-B", 100e3)}


def test_a_catcher_stands_by(layout):
    PowerFeed.objects.filter(name="UPS-B").update(redundancy="catcher")
    loads, name = loads_of(layout)
    assert loads.normal_w[name.index("Busway-A")] == pytest.approx(132e3)
    assert loads.normal_w[name.index("Busway-B")] == 0
    assert loads.after_w[:, name.index("Busway-B")].max() == pytest.approx(132e3)


def test_sides_that_meet_below_the_utility(layout):
    PowerFeed.objects.filter(name="UPS-B").update(parent=layout.power_feeds.get(name="T-A"))
    assert only(layout, "shared path").message == "Sides A and B of 1 racks meet at T-A; its failure takes both."


def test_the_grid_limit_counts_losses_and_cooling(layout):
    row(layout, 5)
    Site.objects.update(grid_limit_w=700e3)
    found = only(layout, "grid limit")
    assert found.severity == BLOCKING
    assert found.value > 6 * 132e3
    Site.objects.update(grid_limit_w=found.value * 0.95)
    assert only(layout, "grid limit").severity == RISK  # heavy use stays below: caps must hold it


def test_generators_with_one_unit_out(layout):
    PowerFeed.objects.filter(kind="generator").update(rating_w=100e3)
    found = only(layout, "generators")
    assert (found.limit, found.severity) == (100e3, RISK)
    PowerFeed.objects.filter(kind="generator").delete()
    assert only(layout, "no generators").severity == HINT


def test_a_liquid_rack_without_cdu(layout):
    Rack.objects.update(cdu=None)
    assert only(layout, "no CDU").message == "Gives 114.8 kW to its coolant but is not assigned to a CDU."


def by_hand_w(sheet, n_units, approach_k, racks_w, flow_m3_per_s):
    """Return the heat that CDUs take at an approach: textbook counterflow, films at part flow, water by the rise."""
    coolant = coolant_by_name("pg25")
    hot = flow_m3_per_s * float(coolant.density(40.0)) * float(coolant.heat_capacity(40.0))
    cold = racks_w / 10.0  # W/K: the plant's pumps are sized for its rise of 10 K
    per_unit = flow_m3_per_s / (n_units * sheet["secondary_flow_m3_per_s"])
    ua = n_units * sheet["heat_exchanger_ua_w_per_k"] / (0.45 * per_unit**-0.7 + 0.45 + 0.10)
    least, ratio = min(hot, cold), min(hot, cold) / max(hot, cold)
    fading = np.exp(-ua / least * (1 - ratio))
    per_k = least * (1 - fading) / (1 - ratio * fading)
    pumps_w = n_units * sheet["power_draw_w"] * per_unit * (0.3 + 0.7 * per_unit**2)
    return approach_k / (1 / per_k - 1 / hot) - 0.9 * pumps_w


def test_cdu_groups_with_a_unit_out(layout):
    Cdu.objects.update(product=product("cdus", "vertiv-coolchip-600"))
    row(layout, 5)
    # Six racks: 689 kW, 17.2 l/s; one of two 600 kW units is left.
    found = only(layout, "CDU capacity")
    assert (found.severity, found.limit) == (RISK, 600e3)
    assert found.value == pytest.approx(6 * 132e3 * 0.87)
    Cdu.objects.update(supply_degc=40.5)
    found = only(layout, "CDU capacity")
    assert found.severity == BLOCKING
    sheet, rack = (product(*one).facts for one in (("cdus", "vertiv-coolchip-600"), ("systems", "dgx-gb200-nvl72")))
    by_hand = by_hand_w(sheet, 2, 1.5, 6 * 132e3 * 0.87, 6 * rack["liquid_design_flow_m3_per_s"])
    assert found.limit == pytest.approx(by_hand, rel=2e-3)
    assert "at 40.5 °C from 39 °C water" in found.message
    Cdu.objects.update(redundant_units=2, supply_degc=44)
    assert only(layout, "CDU redundancy").severity == RISK


def test_cdus_of_a_group_agree(layout):
    Cdu.objects.filter(name="CDU-2").update(supply_degc=43)
    assert only(layout, "CDU group").message == "Shares group A with CDU-1, but they have different set points."


def test_coolant_within_what_the_product_takes(layout):
    Cdu.objects.update(supply_degc=46)
    found = of(layout, "coolant temperature")
    assert {(finding.severity, finding.limit) for finding in found} == {(BLOCKING, 45)}
    CoolingPlant.objects.filter(name="Plant").update(supply_degc=10)
    Cdu.objects.update(supply_degc=15)
    assert {(finding.severity, finding.limit) for finding in of(layout, "coolant temperature")} == {(RISK, 20)}
    Cdu.objects.update(supply_degc=44, coolant="water")
    assert "released for PG25" in only(layout, "coolant").message


def test_rack_flows_that_somebody_set(layout):
    Rack.objects.update(coolant_flow_m3_per_s=0.001)
    found = only(layout, "coolant flow")
    assert "60 l/min for 114.8 kW is too little: its coolant warms by 28 K" in found.message
    Rack.objects.update(coolant_flow_m3_per_s=0.006)
    assert "so much that plates erode" in only(layout, "coolant flow").message


def test_plants_in_the_hottest_hour(layout):
    CoolingPlant.objects.filter(name="Plant").update(
        n_heat_rejection=2, heat_rejection=product("dry_coolers", "dry-cooler-highdt-1mw")
    )
    row(layout, 8)
    found = only(layout, "plant capacity")
    assert found.severity == RISK
    assert found.limit < found.value
    assert "in the hottest hour (37.2 °C dry, 26.4 °C wet bulb) its duty coolers give" in found.message
    CoolingPlant.objects.filter(name="Plant").update(n_heat_rejection=3)
    assert of(layout, "plant capacity") == []


def test_no_number_of_dry_coolers_cools_water_below_the_air(layout):
    CoolingPlant.objects.filter(name="Plant").update(supply_degc=36, n_heat_rejection=40)
    Cdu.objects.update(supply_degc=41)
    assert only(layout, "plant capacity").severity == RISK


def test_towers_that_cannot_hold_their_condensers_water(layout):
    CoolingPlant.objects.filter(name="Plant").update(
        supply_degc=25,
        economiser="none",
        heat_rejection=product("cooling_towers", "cooling-tower-3500"),
        n_heat_rejection=2,
        chiller=product("warm_water_chillers", "wc-magnetic-3500"),
        n_chillers=3,
        n_chillers_spare=1,
    )
    row(layout, 40)
    (found,) = [finding for finding in of(layout, "plant capacity") if finding.object_name == "Plant"]
    assert found.message.startswith("Its condensers reject up to")
    CoolingPlant.objects.filter(name="Plant").update(n_heat_rejection=4)
    assert "Plant" not in {finding.object_name for finding in of(layout, "plant capacity")}


def test_a_supply_below_the_rooms_dew_point_is_held_above_it(layout):
    CoolingPlant.objects.filter(name="Plant").update(supply_degc=10)
    Cdu.objects.update(supply_degc=16)
    found = only(layout, "dew point")
    assert (found.severity, found.value, found.limit) == (HINT, 16, 17)  # the room is kept below a dew point of 15 °C


def test_pumps_too_small_for_the_heat(layout):
    CoolingPlant.objects.filter(name="Plant").update(pump=product("pumps", "tcs-pump-15kw"), design_rise_k=2)
    row(layout, 5)
    assert only(layout, "plant pumps").limit == pytest.approx(0.03)


def test_air_units_with_the_spare_out(layout):
    Rack.objects.update(product=product("systems", "dgx-h200"), n_systems=4, cdu=None)
    row(layout, 24, product=product("systems", "dgx-h200"), n_systems=4, cdu=None)
    found = only(layout, "air units")
    # 25 racks of 40.8 kW and 5 kW of light; two of three 375 kW units work, rated for air of 36 °C onto 18 °C water.
    assert found.value == pytest.approx(25 * 40.8e3 + 5e3)
    assert 600e3 < found.limit < 750e3
    assert found.severity == RISK
    recirculated = layout.halls.get().recirculation_frac
    assert only(layout, "air flow").value == pytest.approx(25 * 4 * 0.522 * (1 - recirculated))


def test_supply_air_between_water_and_what_racks_take(layout):
    Hall.objects.update(supply_air_degc=20.02)  # the units' fans alone warm the air by 0.04 K
    assert only(layout, "supply air").severity == BLOCKING
    Hall.objects.update(supply_air_degc=20.2)
    assert only(layout, "air units").limit < only(layout, "air units").value
    Hall.objects.update(supply_air_degc=40)
    assert only(layout, "inlet air").limit == 35
    Hall.objects.update(plant=None, supply_air_degc=25)
    assert "Its air units are on no plant" in only(layout, "air units").message


def test_a_plant_without_heat(layout):
    Rack.objects.update(product=product("systems", "dgx-h200"), cdu=None)
    assert only(layout, "unused plant").object_name == "Plant"


def test_a_cap_lowers_what_counts(layout):
    product("accelerators", "gb200")
    before = designed(layout).racks.power_w[0]
    Rack.objects.update(accelerator_power_limit_w=1000)
    # 72 accelerators of 1,200 W, capped at 1,000 W
    assert designed(layout).racks.power_w[0] == before - 72 * 200


def test_a_layout_without_racks_is_judged_too(layout):
    Rack.objects.all().delete()
    assert {finding.severity for finding in layout_findings(layout)} == {HINT}


@pytest.mark.parametrize("gone", ["cdus", "cooling_plants", "power_feeds"])
def test_a_layout_without_one_kind_of_part_is_judged_by_the_others(layout, gone):
    Rack.objects.update(cdu=None, feed_a=None, feed_b=None)
    Hall.objects.update(plant=None)
    layout.cdus.all().delete()
    getattr(layout, gone).all().delete()
    assert {"no CDU", "no feed"} <= {finding.rule for finding in layout_findings(layout)}


def test_feeds_that_form_a_loop_are_named(layout):
    PowerFeed.objects.filter(name="T-A").update(parent=layout.power_feeds.get(name="UPS-A"))
    assert "T-A" in only(layout, "feeds").message


def test_an_empty_layout_has_no_findings():
    site = Site.objects.create(
        slug="bare",
        name="Bare",
        latitude_deg=0,
        longitude_deg=0,
        weather=climate(),
        grid_limit_w=1e6,
        region=product("regions", "us-average"),
    )
    assert layout_findings(Layout.objects.create(site=site, slug="empty", name="Empty")) == []


@pytest.mark.slow
def test_a_thousand_racks_take_the_same_fifteen_queries(layout):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            layout_findings(layout)
        return len(queries)

    assert count() == 15
    Hall.objects.update(width_m=100, depth_m=60)
    services.part_save(part=layout.halls.get())
    hall = layout.halls.get()
    for line in range(10):
        services.racks_create_row(
            hall=hall,
            row=f"L{line}",
            n_racks=100,
            x_m=20,
            y_m=3 + 4 * line,
            pitch_m=0.6,
            product=product("systems", "dgx-gb200-nvl72"),
            cdu=layout.cdus.first(),
            feed_a=layout.power_feeds.get(name="Busway-A"),
        )
    assert Rack.objects.count() == 1001
    assert count() == 15


def test_a_site_far_above_or_below_its_weather_station_is_told(layout):
    site = layout.site  # sterling-va is measured at 82 m
    site.elevation_m = 300.0
    site.save()
    assert of(layout, "weather station height") == []
    site.elevation_m = 1829.0
    site.save()
    [finding] = of(layout, "weather station height")
    assert (finding.object_kind, finding.severity, finding.unit) == ("site", "risk", "m")
    assert finding.value == pytest.approx(1829 - 82, abs=30)
    assert "m higher than its weather station" in finding.message
