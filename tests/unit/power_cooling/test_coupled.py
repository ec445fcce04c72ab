import os
import time
from dataclasses import fields, replace

import numpy as np
import pytest

from power_cooling.compiled import drop_stale
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K
from power_cooling.coupled.solve import Reason, solve_coupled
from power_cooling.site_arrays import CduBank, Failures, HallBank, RackBank, SiteArrays, Weather, rows_of
from twin.benchmarks.coupled import air_site, feeds_of, liquid_site

N = 48
HOUR = np.arange(N)
MILD = Weather(15 + 8 * np.sin(2 * np.pi * HOUR / 24), 0.006)
LOAD = (0.6 + 0.3 * np.cos(2 * np.pi * HOUR / 24))[:, None]


@pytest.fixture(scope="module")
def site():
    return liquid_site(6, 2.0, 2, 0.1)


@pytest.fixture(scope="module")
def feeds(site):
    return feeds_of(site)


@pytest.fixture(scope="module")
def solved(site, feeds):
    return solve_coupled(site, LOAD, MILD, feeds=feeds, keep_rack_channels=True)


def hot_weather(n, degc=30.0):
    return Weather(np.full(n, degc), 0.008)


@pytest.mark.compiled
def test_every_watt_at_the_meter_is_listed(solved):
    parts = solved.it_power_w + solved.cooling_power_w + solved.lighting_power_w + solved.feed_loss_w
    assert solved.report.converged
    assert solved.meter_power_w == pytest.approx(parts, rel=1e-12)  # summation order only
    assert np.max(solved.power_closure_rel) < 1e-12
    chips = solved.accelerator_power_w + solved.other_it_power_w + solved.server_fan_power_w + solved.shelf_loss_w
    assert solved.it_power_w == pytest.approx(chips, rel=1e-12)


@pytest.mark.compiled
def test_heat_closes_from_temperatures_and_flows(solved):
    assert solved.report.residual_k <= 1e-10
    assert np.max(solved.heat_closure_rel) < 1e-9


@pytest.mark.compiled
def test_rack_heat_leaves_by_liquid_or_air(solved):
    # Air also takes the losses of feeds and pumps in the hall, which are not rack power.
    assert np.all(solved.liquid_heat_w + solved.air_heat_w >= solved.it_power_w)
    assert np.all(solved.liquid_heat_w < solved.it_power_w)


@pytest.mark.compiled
def test_set_points_are_held_exactly_where_the_plant_can(site, solved):
    assert np.all(solved.cdu_supply_degc == 38.0)
    assert np.all(solved.facility_supply_degc == site.plants.supply_set_degc)
    assert np.all(solved.hall_supply_degc == 24.0)


@pytest.mark.compiled
def test_summaries_agree_with_the_channels(site, solved):
    channels = solved.rack_channels
    assert solved.racks.max_power_w == pytest.approx(channels.power_w.max(axis=0), rel=1e-6)  # float32 storage
    assert solved.racks.max_junction_degc == pytest.approx(channels.junction_degc.max(axis=0), rel=1e-6)
    assert channels.power_w @ site.racks.count == pytest.approx(solved.it_power_w, rel=1e-6)


@pytest.mark.compiled
def test_feed_losses_warm_the_hall(site, feeds):
    with_feeds = solve_coupled(site, LOAD, MILD, feeds=feeds)
    without = solve_coupled(site, LOAD, MILD)
    busways = [i for i, name in enumerate(feeds.tree.names) if name.startswith("busway")]
    power = with_feeds.feed_load_w[:, busways]
    loss = (0.05 / 2e8 * power**2).sum(axis=1)
    more = with_feeds.hall_heat_w[:, 0] - without.hall_heat_w[:, 0]
    # Rack power hardly moves; the units' fans answer a little.
    assert more == pytest.approx(loss, rel=0.02)
    assert np.all(without.feed_loss_w == 0)


@pytest.mark.compiled
def test_elements_do_not_depend_on_their_neighbours_or_on_threads(site, solved, feeds):
    n = 600
    load = np.tile(LOAD, (13, 1))[:n]
    weather = Weather(np.tile(MILD.dry_bulb_degc, 13)[:n], 0.006)
    one = solve_coupled(site, load, weather, feeds=feeds)
    two = solve_coupled(site, load, weather, feeds=feeds, n_threads=2)
    assert np.array_equal(one.meter_power_w, two.meter_power_w)
    # Another start of the iteration moves the answer by no more than the tolerance allows.
    assert one.meter_power_w[300:324] == pytest.approx(solved.meter_power_w[12:36], rel=1e-9)


@pytest.mark.compiled
def test_classes_weigh_as_many_racks(site):
    names = [field.name for field in fields(RackBank)]
    doubled = RackBank(**{name: np.repeat(getattr(site.racks, name), 2) for name in names})
    single = replace(doubled, count=np.ones(12))
    apart = SiteArrays(single, site.pools, site.cdus, site.halls, site.plants)
    assert solve_coupled(apart, LOAD, MILD).meter_power_w == pytest.approx(
        solve_coupled(site, LOAD, MILD).meter_power_w, rel=1e-12
    )


def test_rows_of_a_bank_are_as_if_made_of_them(site):
    rows, elsewhere = np.array([4, 1]), np.array([0, 0])
    taken = rows_of(site.racks, rows, cdu_index=elsewhere)
    columns = {field.name: getattr(site.racks, field.name)[rows] for field in fields(RackBank)}
    made = RackBank(**(columns | {"cdu_index": elsewhere}))
    for name in columns:
        assert np.array_equal(getattr(taken, name), getattr(made, name))
        assert not getattr(taken, name).flags.writeable


@pytest.mark.compiled
def test_permuted_racks_permute_results(site):
    order = np.array([3, 0, 5, 1, 4, 2])
    racks = rows_of(site.racks, order)
    permuted = solve_coupled(SiteArrays(racks, site.pools, site.cdus, site.halls, site.plants), LOAD, MILD)
    assert permuted.racks.mean_power_w == pytest.approx(
        solve_coupled(site, LOAD, MILD).racks.mean_power_w[order], rel=1e-12
    )


@pytest.mark.compiled
def test_a_lost_cdu_is_not_a_lost_group(site):
    n_units = site.cdus.n_units
    failures = Failures(cdus_running=np.stack([n_units, n_units - [1, 0]]))
    load = np.ones((2, 1))
    result = solve_coupled(site, load, hot_weather(2, 20.0), failures=failures)
    assert result.report.converged
    assert np.all(result.pool_available_frac == 1)
    # The survivors take more each, on a wider approach or a wider valve.
    assert result.cdu_load_frac[1, 0] > 1.5 * result.cdu_load_frac[0, 0]
    assert result.cdu_valve_frac[1, 0] > result.cdu_valve_frac[0, 0]
    assert result.cdu_load_frac[1, 1] == pytest.approx(result.cdu_load_frac[0, 1], rel=1e-3)


@pytest.mark.compiled
def test_racks_without_any_cooling_or_power_are_off(site, feeds):
    no_cdu = solve_coupled(site, np.ones((1, 1)), hot_weather(1), failures=Failures(cdus_running=[[0.0, 2.0]]))
    assert no_cdu.tripped_frac[0] == pytest.approx(0.5)
    assert no_cdu.pool_available_frac[0, 0] == pytest.approx(0.5)
    dead = np.zeros((1, feeds.tree.n_nodes), dtype=int)
    dead[0, feeds.tree.index("transformer")] = 1
    dark = solve_coupled(site, np.ones((1, 1)), hot_weather(1), feeds=feeds, failures=Failures(feed_units_failed=dead))
    assert dark.it_power_w[0] == 0
    assert dark.tripped_frac[0] == 1
    no_plant = Failures(coolers_running=[[0.0, site.plants.n_coolers[1]]])
    assert solve_coupled(site, np.ones((1, 1)), hot_weather(1), failures=no_plant).pool_available_frac[0, 0] == 0


@pytest.mark.compiled
def test_spare_facility_pumps_may_fail_and_fewer_give_their_share_of_the_flow(site):
    n_plants = site.plants.n_plants
    three = replace(
        site, plants=replace(site.plants, n_pumps=np.full(n_plants, 3.0), needed_pumps=np.full(n_plants, 2.0))
    )
    running = np.array([3.0, 2.0, 1.0, 0.0])[:, None] * np.ones(n_plants)
    answer = solve_coupled(three, np.ones((4, 1)), hot_weather(4), failures=Failures(pumps_running=running))
    assert answer.report.converged
    assert answer.facility_flow_kg_s[1] == pytest.approx(answer.facility_flow_kg_s[0])
    half = site.plants.design_flow_kg_s / 2
    assert np.all(answer.facility_flow_kg_s[2] <= half + 1e-9)
    warmer = (answer.facility_return_degc - answer.facility_supply_degc)[[0, 2]]
    assert np.all(warmer[1] > warmer[0])  # the same heat in less water, or heat held back
    assert np.max(answer.heat_closure_rel) < 1e-9
    assert answer.pool_available_frac[3, 0] == 0  # water that does not move cools nothing
    assert np.all(np.diff(answer.pool_available_frac[:, 0]) <= 1e-9)


@pytest.mark.compiled
def test_one_busway_less_keeps_racks_on_their_other(site, feeds):
    failed = np.zeros((2, feeds.tree.n_nodes), dtype=int)
    failed[1, feeds.tree.index("busway-1")] = 1
    result = solve_coupled(
        site, np.ones((2, 1)), hot_weather(2, 20.0), feeds=feeds, failures=Failures(feed_units_failed=failed)
    )
    assert np.all(result.pool_available_frac == 1)
    assert result.feed_load_w[1, feeds.tree.index("busway-1")] == 0
    assert result.feed_loss_w[1] > 0


@pytest.mark.compiled
def test_a_plant_too_small_is_an_answer_with_throttled_or_tripped_racks(site):
    small = replace(site.plants, n_coolers=np.maximum(1.0, site.plants.n_coolers // 4), chiller_capacity_w=2e5)
    tight = SiteArrays(site.racks, site.pools, site.cdus, site.halls, small)
    air = np.array([10.0, 25.0, 38.0, 48.0])
    result = solve_coupled(tight, np.ones((4, 1)), Weather(air, 0.006))
    assert result.report.converged
    assert result.tripped_frac[0] == 0
    assert result.throttled_frac[-1] + result.tripped_frac[-1] > 0
    assert np.all(np.diff(result.facility_supply_degc[:2, 0]) >= 0)
    assert np.max(result.heat_closure_rel) < 1e-9


@pytest.mark.compiled
def test_a_cdu_group_at_many_times_its_rating_holds_chips_back_then_drops_racks(site):
    answers = [
        solve_coupled(cdus_of_size(site, size), np.ones((2, 1)), hot_weather(2)) for size in (1, 0.15, 0.06, 0.03)
    ]
    assert all(answer.report.converged for answer in answers)
    assert all(np.max(answer.heat_closure_rel) < 1e-9 for answer in answers)
    assert np.all(answers[0].cdu_level == 1)
    assert np.all(answers[-1].cdu_level < 0.5)
    assert 0 < answers[-1].pool_available_frac[0, 0] < 1
    assert answers[-1].pool_clock_frac == pytest.approx(0.3)  # what is left on stays at its lowest clock
    assert np.nanmax(answers[-1].racks.max_junction_degc) <= 105.0
    capacity = [float(answer.pool_clock_frac[0, 0] * answer.pool_available_frac[0, 0]) for answer in answers]
    assert capacity == sorted(capacity, reverse=True)


@pytest.mark.compiled
def test_a_cdu_group_carries_no_more_than_its_maker_rates_and_gives_way_little_by_little(site):
    full, hot = np.ones((2, 1)), hot_weather(2)
    carried = solve_coupled(site, full, hot).cdu_load_frac.max() * site.cdus.capacity_w[0]
    answers = []
    for over in (0.99, 1.02, 1.1, 1.3, 1.6):  # heat over the rating; the exchangers stay as they are
        cdus = replace(site.cdus, capacity_w=np.full(site.cdus.n_groups, carried / over))
        answers.append(solve_coupled(SiteArrays(site.racks, site.pools, cdus, site.halls, site.plants), full, hot))
    assert all(answer.report.converged for answer in answers)
    assert np.all(answers[0].cdu_level == 1)
    for answer in answers[1:]:
        assert 0.95 < answer.cdu_load_frac.max() <= 1 + 1e-6
        assert answer.cdu_level.min() < 1
        assert answer.throttled_frac.max() > 0
    clock = np.array([float(answer.pool_clock_frac.min()) for answer in answers])
    assert np.all(np.diff(clock) < 0)
    assert clock[1] > 0.96  # two percent of heat too much cost two percent of speed
    assert answers[-1].pool_available_frac.min() == 1  # no rack goes off as long as chips can be held back


def cdus_of_size(site, size):
    rated = ("capacity_w", "ua_w_per_k", "secondary_flow_kg_s", "primary_flow_kg_s", "pump_power_w")
    cdus = replace(site.cdus, **{name: getattr(site.cdus, name) * size for name in rated})
    return SiteArrays(site.racks, site.pools, cdus, site.halls, site.plants)


@pytest.mark.compiled
def test_a_cdu_that_rejects_into_air_loads_the_hall_and_spares_the_plant(site):
    room = replace(
        site.halls, n_units=[16.0], coil_ua_w_per_k=8e4, coil_water_kg_s=8.0, unit_air_kg_s=20.0, supply_set_degc=22.0
    )
    big = replace(site.plants, design_flow_kg_s=site.plants.design_flow_kg_s * 8, n_coolers=site.plants.n_coolers * 8)
    to_water = SiteArrays(site.racks, site.pools, site.cdus, room, big)
    air_w_per_k = 1.3e6 / 15.0
    side_car = replace(
        site.cdus,
        to_air=1,
        plant_index=1,
        primary_flow_kg_s=air_w_per_k / AIR_CP_J_PER_KG_K,
        ua_w_per_k=1.5 * air_w_per_k,
    )
    to_air = SiteArrays(site.racks, site.pools, side_car, room, big)
    water, air = (solve_coupled(one, np.full((2, 1), 0.5), hot_weather(2, 20.0)) for one in (to_water, to_air))
    assert air.report.converged
    assert np.max(air.heat_closure_rel) < 1e-9
    assert np.all(air.cdu_heat_w.sum(axis=1) > 1e5)
    # Fans and chips answer the warmer room a little; the liquid's heat is in the hall's coils.
    gained = air.hall_heat_w[:, 0] - water.hall_heat_w[:, 0]
    assert gained == pytest.approx(air.cdu_heat_w.sum(axis=1), rel=0.03)
    assert np.all(air.facility_heat_w[:, 0] == 0) or np.all(
        air.facility_heat_w[:, 0] < 1e-2 * water.facility_heat_w[:, 0]
    )
    assert np.all(air.cdu_primary_kg_s == 0)
    assert np.all(air.cdu_supply_degc >= air.hall_supply_degc)


@pytest.mark.compiled
def test_air_units_too_small_leave_the_racks_that_they_can_cool():
    room = air_site(20)
    rated = ("unit_capacity_w", "unit_air_kg_s", "unit_fan_w", "coil_ua_w_per_k", "coil_water_kg_s")
    halls = replace(room.halls, **{name: getattr(room.halls, name) * 0.1 for name in rated})
    result = solve_coupled(SiteArrays(room.racks, room.pools, None, halls, room.plants), np.ones((1, 1)), MILD_ONE)
    assert result.report.converged
    assert result.hall_level[0, 0] < 0.5
    assert 0 < result.pool_available_frac[0, 0] < 1
    # One rack more would be over: the level is the highest of its grid.
    racks_on = 20 * result.pool_available_frac[0, 0]
    assert racks_on / (racks_on + 1) < result.hall_load_frac[0, 0] <= 1.0 + 1e-6


@pytest.mark.compiled
def test_a_feed_too_small_caps_its_racks_to_its_rating(site, feeds):
    free = solve_coupled(site, np.ones((1, 1)), MILD_ONE, feeds=feeds)
    busway = feeds.tree.index("busway-1")
    for share, off in ((0.8, False), (0.2, True)):
        rating = feeds.tree.rating_w.copy()
        rating[busway] = share * free.feed_load_w[0, busway]
        small = replace(feeds, tree=replace(feeds.tree, rating_w=rating))
        held = solve_coupled(site, np.ones((1, 1)), MILD_ONE, feeds=small)
        assert held.report.converged
        assert held.short_feed[0] == busway
        assert held.feed_load_w[0, busway] <= rating[busway] * (1 + 1e-5)
        assert held.feed_load_w[0, busway] > 0.5 * rating[busway]
        assert (held.tripped_frac[0] > 0) == off
        assert held.capped_frac[0] > 0
        assert held.power_closure_rel[0] < 1e-9
    assert free.short_feed[0] == -1
    assert free.feed_level[0] == 1


@pytest.mark.compiled
def test_capped_racks_keep_to_their_cap(site):
    racks = replace(site.racks, power_limit_w=600.0)
    result = solve_coupled(
        SiteArrays(racks, site.pools, site.cdus, site.halls, site.plants), np.ones((1, 1)), hot_weather(1)
    )
    assert result.capped_frac[0] == 1
    assert result.accelerator_power_w[0] == pytest.approx(600.0 * 72 * 12, rel=1e-12)
    assert 0.3 < result.pool_clock_frac[0, 0] < 1


@pytest.mark.compiled
def test_halls_whose_units_cannot_give_the_servers_air_recirculate():
    site = air_site(10)
    one = replace(site.halls, n_units=[1.0], unit_capacity_w=[np.inf])  # short of air, not of what it is rated for
    few = SiteArrays(site.racks, site.pools, None, one, site.plants)
    result = solve_coupled(few, np.ones((1, 1)), hot_weather(1, 20.0))
    plenty = solve_coupled(site, np.ones((1, 1)), hot_weather(1, 20.0))
    assert result.report.converged
    assert result.hall_air_frac[0, 0] == 1.0
    assert result.hall_inlet_max_degc[0, 0] > plenty.hall_inlet_max_degc[0, 0] + 5
    assert result.heat_closure_rel[0] < 1e-9


@pytest.mark.compiled
def test_the_dew_point_lifts_the_supply(site):
    cold = replace(site.cdus, supply_set_degc=12.0)
    chilled = replace(site.plants, supply_set_degc=8.0, n_chillers=[3.0, 3.0], chiller_model=2)
    humid = SiteArrays(site.racks, site.pools, cold, replace(site.halls, dew_point_limit_degc=18.0), chilled)
    result = solve_coupled(humid, LOAD[:1], Weather([25.0], 0.018))
    assert result.cdu_supply_degc[0, 0] == pytest.approx(20.0, abs=1e-9)
    assert result.dew_point_margin_k[0, 0] == pytest.approx(2.0, abs=1e-9)


@pytest.mark.compiled
def test_constant_rise_pumps_follow_the_heat(site):
    cdus = replace(site.cdus, pump_control=1, rack_rise_set_k=10.0)
    result = solve_coupled(SiteArrays(site.racks, site.pools, cdus, site.halls, site.plants), LOAD, MILD)
    rise = result.cdu_return_degc - result.cdu_supply_degc
    free = (result.cdu_flow_frac > 0.3) & (result.cdu_flow_frac < 1)
    assert free.any()
    assert rise[free] == pytest.approx(10.0, abs=1e-7)


@pytest.mark.compiled
def test_an_element_that_cannot_be_solved_is_nan_with_a_reason(site):
    result = solve_coupled(site, LOAD[:1], MILD_ONE, max_passes=1)
    assert not result.report.converged
    assert result.report.reasons[0] == Reason.NOT_CONVERGED
    assert np.isnan(result.meter_power_w[0])
    assert "still moving" in result.report.message


MILD_ONE = Weather([15.0], 0.006)


@pytest.mark.compiled
def test_progress_is_told_and_may_abandon(site):
    told = []
    solve_coupled(site, np.tile(LOAD, (8, 1)), Weather(np.full(8 * N, 15.0), 0.006), progress=lambda *a: told.append(a))
    assert told == [(256, 384), (384, 384)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: solve_coupled(s, np.ones((2, 3)), MILD_ONE), r"pool_load_frac has shape \(2, 3\); \(1, 1\)"),
        (lambda s: solve_coupled(s, np.full((1, 1), np.nan), MILD_ONE), r"pool_load_frac\[0, 0\] is not a number"),
        (
            lambda s: solve_coupled(s, np.ones((1, 1)), MILD_ONE, failures=Failures(cdus_running=[[9.0, 1.0]])),
            r"Failures.cdus_running\[0, 0\] is 9; must be 0 to",
        ),
        (lambda s: replace(s.racks, cdu_index=np.full(6, -1)), "row 0 has heat into liquid but cdu_index -1"),
        (lambda s: replace(s.racks, trip_degc=80.0), r"RackBank.trip_degc\[0\] is 80; must be above throttle_degc 87"),
        (lambda s: replace(s.cdus, ua_w_per_k=[1.0, -2.0]), r"CduBank.ua_w_per_k\[1\] is -2; must be greater than 0"),
        (lambda s: replace(s.racks, air_flow_kg_s=0.0), "puts heat into air but air_flow_kg_s is 0"),
        (
            lambda s: replace(s, racks=replace(s.racks, hall_index=3)),
            r"RackBank.hall_index\[0\] is 3; there are 1 halls",
        ),
        (lambda s: replace(s.halls, unit_fan_w=np.nan), r"HallBank.unit_fan_w\[0\] is nan; must be a number"),
        (lambda s: replace(s.cdus, pump_power_w=[1.0, 2.0, 3.0]), "CduBank.pump_power_w has shape"),
        (lambda s: Weather([90.0], 0.006), r"Weather.dry_bulb_degc\[0\] is 90; must be at most 65"),
    ],
)
def test_bad_input_is_named(site, change, message):
    with pytest.raises(ValueError, match=message):
        change(site)


def test_banks_are_frozen_copies(site):
    given = np.array([20.0, 30.0])
    bank = HallBank(
        n_units=[2.0, 2.0],
        supply_set_degc=given,
        unit_capacity_w=1.0,
        unit_air_kg_s=1.0,
        unit_fan_w=1.0,
        coil_ua_w_per_k=1.0,
        coil_water_kg_s=1.0,
        plant_index=0,
    )
    given[0] = 99.0
    assert bank.supply_set_degc[0] == 20.0
    with pytest.raises(ValueError, match="read-only"):
        bank.supply_set_degc[0] = 1.0
    assert isinstance(site.cdus, CduBank)


def test_compiled_code_older_than_a_source_is_dropped(tmp_path):
    (tmp_path / "loop.py").write_text("")
    (tmp_path / "part.py").write_text("")
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name in ("loop.f-1.py311.nbi", "loop.f-1.py311.1.nbc", "loop.cpython-311.pyc"):
        (cache / name).write_bytes(b"")  # after the sources, as a compiler does
    later = time.time() + 60
    assert drop_stale(tmp_path, tmp_path.glob("*.py")) == 0
    os.utime(tmp_path / "part.py", (later, later))
    assert drop_stale(tmp_path, tmp_path.glob("*.py")) == 2
    assert [path.name for path in cache.iterdir()] == ["loop.cpython-311.pyc"]
