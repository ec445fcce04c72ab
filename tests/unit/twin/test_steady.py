"""Chosen hours with chosen units out: the same answers as a year's run and as the failure states of uptime."""

import numpy as np
import pytest

from power_cooling.coupled.solve import solve_coupled
from twin.core.failures.capacity_left import capacity_left
from twin.core.failures.components import State, components
from twin.core.inputs.design_hour import design_weather
from twin.core.inputs.layout import layout_inputs
from twin.core.results.object_quantities import DEAD, QUANTITIES, STATES
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.simulate import described, solve_year
from twin.core.solve.steady import DESIGN, hour_rows, outages, solve_steady

HOURS = [0, 2000, 4711, 8759]

pytestmark = pytest.mark.django_db  # makes the database that `inputs` fills, when this file runs alone


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    """Return a function that gives one sample's snapshot, to be changed by a test."""
    return lambda: sample_inputs("sterling/gb200-nvl72")


@pytest.fixture(scope="module")
def year(inputs):
    return described(layout_inputs(inputs()))


@pytest.fixture(scope="module")
def solved_year(year):
    load, coupled = solve_year(year.site, year.feeds, year.pools, year.weather, lambda stage, frac: None)
    return load, coupled


def out_of(year, text: str):
    return outages(year, text)


@pytest.mark.compiled
def test_chosen_hours_are_those_of_the_year(year, solved_year):
    load, coupled = solved_year
    steady = solve_steady(year, HOURS)
    # both are solved to 1e-10 K, from different starting points
    for name in (
        "meter_power_w",
        "it_power_w",
        "cdu_supply_degc",
        "facility_return_degc",
        "hall_return_degc",
        "pool_clock_frac",
        "feed_load_w",
        "chiller_power_w",
        "water_kg_s",
    ):
        expected = getattr(coupled, name)[HOURS]
        rounded = 1e-7 if expected.dtype == np.float32 else 1e-9  # a year keeps single parts to seven digits
        np.testing.assert_allclose(getattr(steady.coupled, name), expected, rtol=rounded, atol=rounded)
    np.testing.assert_allclose(steady.load_frac, load[HOURS], rtol=1e-9)


@pytest.mark.compiled
def test_racks_sum_to_the_site(year):
    steady = solve_steady(year, [DESIGN, 12])
    racks = object_tables(steady)["racks"]
    site = totals(steady)
    np.testing.assert_allclose(racks.values["power_w"].sum(axis=1), site["it_power_w"], rtol=1e-6)  # float32 channels
    made = np.nansum(racks.values["tokens_per_s"], axis=1)
    np.testing.assert_allclose(made, site["output_tokens_per_s"], rtol=1e-9)


@pytest.mark.compiled
def test_parts_of_objects_sum_to_the_meter(year):
    steady = solve_steady(year, [DESIGN])
    tables, site = object_tables(steady), totals(steady)
    c = steady.coupled
    plants, cdus, halls, feeds = (tables[kind].values for kind in ("plants", "cdus", "halls", "feeds"))
    cooling = plants["chiller_power_w"].sum() + plants["fan_power_w"].sum() + plants["pump_power_w"].sum()
    cooling += cdus["pump_power_w"].sum() + halls["fan_power_w"].sum()
    assert cooling == pytest.approx(float(c.cooling_power_w[0]), rel=1e-9)
    assert feeds["loss_w"].sum() == pytest.approx(float(c.feed_loss_w[0]), rel=1e-9)
    assert plants["water_kg_s"].sum() == pytest.approx(float(c.water_kg_s[0]), rel=1e-9)
    assert cdus["heat_w"].sum() == pytest.approx(float(c.cdu_heat_w.sum()), rel=1e-9)
    losses = sum(values[0] for values in site["loss_w"].values())
    useful = c.accelerator_power_w[0] + c.other_it_power_w[0]
    assert losses + useful == pytest.approx(float(site["meter_power_w"][0]), rel=1e-9)


@pytest.mark.compiled
def test_units_out_leave_what_uptime_says(year, solved_year):
    load, _ = solved_year
    found = components(year.inputs, year.site, year.feeds)
    cdu = year.inputs.cdus[0]
    group_units = sum(other.group == cdu.group for other in year.inputs.cdus)
    which = next(i for i, c in enumerate(found) if c.kind == "cdus" and c.name == cdu.group)
    states = [State(((which, units),), 0.0, "single") for units in (1, group_units)]
    hot = design_weather(year.inputs, year.weather)
    left, converged = capacity_left(year.site, year.feeds, year.pools, hot, load, found, states)
    out = [(), *(out_of(year, f"cdu:{cdu.id}:{units}") for units in (1, group_units))]
    steady = solve_steady(year, [DESIGN] * 3, out)
    served = steady.served
    possible = served.servable_per_s @ served.output_per_request
    assert converged
    # Here the survivors carry the whole demand, in uptime only their share: they run a little warmer and slower.
    np.testing.assert_allclose(possible[1:] / possible[0], left, rtol=1e-3)
    alike = solve_coupled(
        year.site,
        np.minimum(load.max(axis=0), 1.0)[None].repeat(3, axis=0),
        steady.weather,
        feeds=year.feeds,
        failures=steady.failures,
    )
    weight = np.array([pool.capacity_per_s * pool.output_tokens for pool in year.pools])
    speed = np.column_stack([pool.speed(alike.pool_clock_frac[:, i]) for i, pool in enumerate(year.pools)])
    tokens = (alike.pool_available_frac * speed) @ weight
    np.testing.assert_allclose(tokens[1:] / tokens[0], left, rtol=1e-9)  # at the same load, the same
    assert left[1] < 0.9


@pytest.mark.compiled
def test_a_lost_group_is_dead_and_its_racks_with_it(year):
    cdu = year.inputs.cdus[0]
    group_units = sum(other.group == cdu.group for other in year.inputs.cdus)
    tables = object_tables(solve_steady(year, [DESIGN], [out_of(year, f"cdu:{cdu.id}:{group_units}")]))
    state = dict(zip(tables["cdus"].ids, STATES[tables["cdus"].state[0]], strict=True))
    members = [other.id for other in year.inputs.cdus if other.group == cdu.group]
    assert {state[pk] for pk in members} == {DEAD}
    on_group = [i for i, own in enumerate(year.inputs.racks.cdu_id) if own in members]
    assert set(STATES[tables["racks"].state[0]][on_group]) == {DEAD}
    assert np.all(tables["racks"].values["power_w"][0][on_group] == 0)


@pytest.mark.compiled
def test_one_cdu_out_leaves_its_share_to_the_others(year):
    cdu = year.inputs.cdus[2]
    calm, lost = (
        object_tables(solve_steady(year, [DESIGN], [out]))["cdus"] for out in ((), out_of(year, f"cdu:{cdu.id}"))
    )
    at = calm.ids.index(cdu.id)
    group = [i for i, name in enumerate(calm.beside["group"]) if name == cdu.group]
    others = [i for i in group if i != at]
    assert lost.values["heat_w"][0, at] == 0
    expected = calm.values["heat_w"][0, at] * len(group) / len(others)
    # a little pump heat differs
    np.testing.assert_allclose(lost.values["heat_w"][0, others], expected, rtol=0.02)


@pytest.mark.compiled
def test_permuted_racks_permute_the_answer(inputs, year):
    changed = inputs()
    order = np.random.default_rng(5).permutation(len(changed["racks"]["id"])).tolist()
    changed["racks"] = {name: [column[i] for i in order] for name, column in changed["racks"].items()}
    # a workload takes whole racks in turn, so with one workload the order changes nothing
    changed["scenario"]["workloads"] = changed["scenario"]["workloads"][:1]
    straight = inputs()
    straight["scenario"]["workloads"] = straight["scenario"]["workloads"][:1]
    one, other = (
        object_tables(solve_steady(described(layout_inputs(x)), [DESIGN]))["racks"] for x in (straight, changed)
    )
    assert [one.ids[i] for i in order] == other.ids
    for name in ("power_w", "supply_degc", "junction_degc", "tokens_per_s", "inlet_air_degc"):
        np.testing.assert_allclose(other.values[name], one.values[name][:, order], rtol=1e-6)


@pytest.mark.compiled
def test_every_quantity_is_there_with_its_limit(year):
    tables = object_tables(solve_steady(year, [DESIGN, 7]))
    for kind, quantities in QUANTITIES.items():
        n = len(tables[kind].ids)
        for quantity in quantities:
            assert tables[kind].values[quantity.name].shape == (2, n)
            if quantity.limit:
                assert tables[kind].limits[quantity.limit].shape == (n,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rack:1", "rack cannot fail here; there are feed, cdu"),
        ("cdu:999999", "no cdu of id 999999"),
        ("cdu:x", "write cdu:id or cdu:id:units"),
        ("cdu:{cdu}:0", "units of 1 or more"),
        ("cdu:{cdu}:99", "99 units of Loop 1 out in all; there are 5"),
        ("cdu:{cdu}:3,cdu:{cdu}:3", "6 units of Loop 1 out in all; there are 5"),
    ],
)
def test_impossible_outages_are_refused(year, text, said):
    with pytest.raises(ValueError, match=said):
        outages(year, text.format(cdu=year.inputs.cdus[0].id))


def test_an_hour_beyond_the_year_is_refused(year):
    with pytest.raises(ValueError, match="hours has 8760; must be design or 0 to 8759"):
        solve_steady(year, [8760])


@pytest.mark.compiled
def test_hours_are_named_by_their_local_time(year):
    rows = hour_rows(solve_steady(year, [DESIGN, 0, 4719, 8759]))
    assert [row["label"] for row in rows] == ["Design hour", "1 Jan 00:00", "16 Jul 15:00", "31 Dec 23:00"]


@pytest.mark.compiled
def test_the_rating_of_the_utility_counts_cooling_where_no_board_is_described(sample_inputs):
    def loads_w(rating_w: float | None) -> tuple[float, float]:
        inputs = sample_inputs("golden/gb300-nvl72")
        for feed in inputs["feeds"]:
            if feed["kind"] == "utility" and rating_w is not None:
                feed["rating_w"] = rating_w
        coupled = solve_steady(described(layout_inputs(inputs)), [DESIGN], [()]).coupled
        return float(coupled.meter_power_w[0]), float(coupled.feed_load_w[0].max())

    meter_w, utility_w = loads_w(None)
    assert utility_w == pytest.approx(meter_w, rel=1e-6)
    # One percent short: less than cooling draws, so that racks alone would still fit.
    limit_w = 0.99 * meter_w
    capped_w, _ = loads_w(limit_w)
    assert 0.97 * limit_w < capped_w <= limit_w * (1 + 1e-6)


@pytest.mark.compiled
def test_the_rating_of_the_generator_counts_cooling_while_the_utility_is_lost(sample_inputs):
    def lost(rating_w: float | None = None):
        inputs = sample_inputs("golden/gb300-nvl72")
        for feed in inputs["feeds"]:
            if feed["kind"] == "generator":
                feed["rating_w"] = feed["rating_w"] if rating_w is None else rating_w / feed["n_units"]
        year = described(layout_inputs(inputs))
        out = outages(year, ",".join(f"feed:{feed['id']}" for feed in inputs["feeds"] if feed["kind"] == "utility"))
        coupled = solve_steady(year, [DESIGN, DESIGN], [(), out]).coupled
        load_w = dict(zip(year.feeds.tree.names, coupled.feed_load_w.T, strict=True))
        names = {feed["kind"]: feed["name"] for feed in inputs["feeds"] if feed["parent_id"] is None}
        return coupled, load_w[names["utility"]], load_w[names["generator"]]

    coupled, utility_w, generator_w = lost()
    assert generator_w[0] == utility_w[1] == 0
    assert generator_w[1] == pytest.approx(utility_w[0], rel=1e-6)  # racks, cooling and light alike
    assert coupled.power_closure_rel.max() < 1e-9
    # One percent short: less than cooling draws, so that racks alone would still fit.
    limit_w = 0.99 * generator_w[1]
    _, _, capped_w = lost(limit_w)
    assert 0.97 * limit_w < capped_w[1] <= limit_w * (1 + 1e-6)


@pytest.mark.compiled
def test_a_plant_says_which_share_of_its_heat_goes_without_chillers(year):
    steady = solve_steady(year, [DESIGN, 12])  # the hot hour, and one of January
    table = object_tables(steady)["plants"]
    share = table.values["economiser_frac"]
    trimmed = year.site.plants.n_coolers > 0
    hot = share[0, trimmed]
    assert np.all((hot > 0.5) & (hot < 1))  # coolers first: chillers trim the rest
    assert np.all(table.values["chiller_power_w"][0, trimmed] > 0)
    assert np.all(share[1, trimmed] == 1)
    assert np.all(table.values["chiller_power_w"][1, trimmed] == 0)
