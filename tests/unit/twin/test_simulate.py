"""The whole coupled run on the shipped samples."""

import json
import zlib
from base64 import b64decode, b64encode

import numpy as np
import pytest

from compute.workload import workload_from_entry
from facility.catalogue import entries
from twin.core.figures_of_merit import BY_NAME, SERIES
from twin.core.inputs.equipment import rack_table
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.pools import plan_pools, share_out
from twin.core.inputs.weather import weather_of
from twin.core.results.findings import run_findings
from twin.core.solve.simulate import simulate
from twin.core.text.json_rows import as_json

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def gb200(sample_inputs):
    return simulate(layout_inputs(sample_inputs("sterling/gb200-nvl72")))


@pytest.mark.compiled
def test_every_figure_of_merit_is_there_and_fits_json(gb200):
    assert set(gb200.figures) == set(BY_NAME)
    json.dumps([gb200.figures, gb200.bands, as_json(gb200.details)], allow_nan=False)
    of_own_sources = {"grid_power_w", "onsite_power_w", "fuel_power_w", "battery_charge_frac"}  # which it has not
    assert {entry.name for entry in SERIES} - of_own_sources == set(gb200.series)
    assert all(values.shape == (8760,) for values in gb200.series.values())


@pytest.mark.compiled
def test_power_and_heat_close(gb200):
    assert gb200.details.balance.power_rel < 1e-9
    assert gb200.details.balance.heat_rel < 1e-9
    assert gb200.details.solver.converged


@pytest.mark.compiled
def test_parts_sum_to_the_meter(gb200):
    parts = gb200.details.mean_power_by_part_w
    assert sum(parts.values()) == pytest.approx(gb200.figures["mean_power_w"], rel=1e-9)


@pytest.mark.compiled
def test_figures_agree_with_the_series_they_come_from(gb200):
    tokens, meter = gb200.series["output_tokens_per_s"], gb200.series["meter_power_w"]
    # series are stored as float32
    assert gb200.figures["tokens_per_joule"] == pytest.approx(tokens.mean() / meter.mean(), rel=1e-5)
    assert gb200.figures["peak_power_w"] == pytest.approx(meter.max(), rel=1e-6)
    assert gb200.figures["pue"] > 1
    assert gb200.racks["output_tokens_per_s"].sum() == pytest.approx(gb200.figures["output_tokens_per_s"], rel=1e-9)


@pytest.mark.compiled
def test_a_rack_takes_the_years_highest_load_of_its_busiest_feed_and_of_its_cdu_group(sample_inputs, gb200):
    taken = sample_inputs("sterling/gb200-nvl72")
    racks = taken["racks"]
    feeds = {feed["id"]: feed["name"] for feed in taken["feeds"]}
    groups = {cdu["id"]: cdu["group"] for cdu in taken["cdus"]}
    used = {(row.object, row.kind): row.value / row.limit for row in gb200.details.limits}
    arrays = gb200.racks
    for i, (a, b, cdu) in enumerate(zip(racks["feed_a_id"], racks["feed_b_id"], racks["cdu_id"], strict=True)):
        on_feeds = max(used[feeds[feed], "feed load"] for feed in (a, b))
        assert arrays["max_feed_load_frac"][i] == pytest.approx(on_feeds, rel=1e-12)
        if cdu is None:
            assert np.isnan(arrays["max_cdu_load_frac"][i])
        else:
            on_cdu = used[groups[cdu], "CDU heat"]
            assert arrays["max_cdu_load_frac"][i] == pytest.approx(on_cdu, rel=1e-6)  # solved loads are float32
    for part in ("feed", "cdu"):
        highest, mean = arrays[f"max_{part}_load_frac"], arrays[f"mean_{part}_load_frac"]
        known = np.isfinite(highest)
        assert np.all(mean[known] < highest[known])
        assert np.all(mean[known] > 0)


@pytest.mark.compiled
def test_bands_hold_their_figure(gb200):
    for name, (low, high) in gb200.bands.items():
        assert low <= gb200.figures[name] <= high, name


@pytest.mark.compiled
def test_the_same_snapshot_gives_the_same_figures(sample_inputs, gb200):
    again = simulate(layout_inputs(sample_inputs("sterling/gb200-nvl72")))
    assert again.figures == gb200.figures
    assert again.bands == gb200.bands
    assert all(np.array_equal(again.series[name], gb200.series[name]) for name in again.series)


@pytest.mark.compiled
def test_newer_systems_serve_more_tokens_per_joule_on_the_same_use_cases(sample_inputs, gb200):
    """Order of Hopper, GB200, GB300 per MLPerf Inference v5.1 and InferenceMAX: each generation above the last."""
    per_joule = [
        simulate(layout_inputs(sample_inputs(f"sterling/{slug}"))).figures["tokens_per_joule"]
        for slug in ("hgx-h200", "gb200-nvl72", "gb300-nvl72", "vera-rubin-nvl72")
    ]
    assert per_joule == sorted(per_joule)


@pytest.mark.compiled
def test_a_cap_takes_power_and_never_adds_tokens(sample_inputs, gb200):
    capped = sample_inputs("sterling/gb200-nvl72")
    capped["scenario"]["accelerator_power_limit_w"] = 700.0
    result = simulate(layout_inputs(capped))
    assert result.figures["peak_power_w"] < gb200.figures["peak_power_w"]
    assert result.figures["output_tokens_per_s"] <= gb200.figures["output_tokens_per_s"] * (1 + 1e-9)


@pytest.mark.compiled
def test_a_plant_too_small_is_an_answer_with_hours_and_limits(sample_inputs):
    hot = sample_inputs("golden/vera-rubin-nvl72")
    for plant in hot["plants"]:
        if plant["economiser"] == "only":
            plant["n_heat_rejection"] = 1
    result = simulate(layout_inputs(hot))
    assert result.details.throttled_hours > 0
    assert result.figures["utilisation_frac"] <= 1
    whole = simulate(layout_inputs(sample_inputs("golden/vera-rubin-nvl72")))
    assert result.figures["good_tokens_per_s"] < whole.figures["good_tokens_per_s"]  # the rest waits


@pytest.mark.compiled
def test_what_is_too_small_is_named_with_its_hour(sample_inputs):
    hot = sample_inputs("golden/vera-rubin-nvl72")
    take_hours(hot, every=40)
    for plant in hot["plants"]:
        plant["n_heat_rejection"] = 1
    for feed in hot["feeds"]:
        if feed["kind"] == "utility":
            feed["rating_w"] = 1e6
    result = simulate(layout_inputs(hot))
    rows = list(result.details.limits)
    short = [row for row in rows if row.limit == 0]
    assert result.details.solver.converged
    assert result.details.balance.heat_rel < 1e-9
    assert rows[: len(short)] == short
    assert any("insufficient feed rating (load shed)" in row.kind for row in short)
    assert all(0 <= row.hour < 219 and row.value > 0 for row in short)
    utility = next(row for row in rows if row.kind == "feed load" and row.limit == 1e6)
    assert 0.9e6 < utility.value <= 1e6 * (1 + 1e-4)
    json.dumps([result.figures, result.bands, as_json(result.details)], allow_nan=False)


@pytest.mark.compiled
@pytest.mark.parametrize("rating_w", [1e6, 1e4, 10.0])
def test_a_utility_that_cannot_carry_the_hall_serves_what_it_can_and_is_named(sample_inputs, rating_w):
    small = sample_inputs("golden/gb300-nvl72")
    take_hours(small, every=400)
    for feed in small["feeds"]:
        if feed["kind"] == "utility":
            feed["rating_w"] = rating_w
    result = simulate(layout_inputs(small))
    json.dumps([result.figures, result.bands, as_json(result.details)], allow_nan=False)
    found = [finding for finding in run_findings(result.details) if finding.object_name == "Utility"]
    assert found[0].severity == "blocking"
    assert "feed rating" in found[0].message
    if rating_w < 1e6:  # less than pumps and fans draw with every rack off
        assert result.figures["output_tokens_per_s"] == 0
        assert result.figures["cost_per_million_output_tokens_usd"] is None
        assert result.figures["pue"] is None
        assert "pue" not in result.bands


@pytest.mark.compiled
def test_a_rack_row_of_a_megawatt_is_an_answer(sample_inputs):
    inputs = sample_inputs("golden/gb300-nvl72")
    take_hours(inputs, every=400)
    support = inputs["racks"]["role"].index("support")
    inputs["racks"]["other_power_w"][support] = 1e6
    result = simulate(layout_inputs(inputs))
    json.dumps([result.figures, result.bands, as_json(result.details)], allow_nan=False)
    assert any(finding.severity == "blocking" for finding in run_findings(result.details))


@pytest.mark.compiled
def test_air_is_thinner_where_the_site_stands_higher_than_its_station(sample_inputs):
    inputs = sample_inputs("golden/gb300-nvl72")
    take_hours(inputs, every=400)
    station = weather_of(layout_inputs(inputs))
    inputs["site"]["elevation_m"] = 4061.0
    high = weather_of(layout_inputs(inputs))
    # ASHRAE Fundamentals 2017, ch. 1, table 1: 81,198 Pa at 1,829 m, 61,158 Pa at 4,061 m by eq. 3
    np.testing.assert_allclose(high.pressure_pa / station.pressure_pa, 61_158 / 81_198, rtol=1e-4)
    np.testing.assert_array_equal(high.dry_bulb_degc, station.dry_bulb_degc)
    assert np.all(high.humidity_ratio > station.humidity_ratio)  # the same vapour in less air
    row = next(
        row for row in simulate(layout_inputs(inputs)).details.assumptions if row.field == "height_above_station_m"
    )
    assert (row.value, row.confidence) == (4061.0 - 1829.0, "estimated")


def test_a_snapshot_without_the_stations_elevation_keeps_its_pressure(sample_inputs):
    inputs = sample_inputs("golden/gb300-nvl72")
    before = weather_of(layout_inputs(inputs))
    inputs["site"]["elevation_m"] = 4061.0
    del inputs["weather"]["elevation_m"]
    np.testing.assert_array_equal(weather_of(layout_inputs(inputs)).pressure_pa, before.pressure_pa)


def take_hours(inputs, every):
    """Keep each so many-th hour of the year's weather."""
    weather = inputs["weather"]
    rows = np.frombuffer(zlib.decompress(b64decode(weather["rows"])), dtype="<f4").reshape(3, -1)[:, ::every]
    weather["rows"] = b64encode(zlib.compress(rows.tobytes())).decode()
    weather["n_hours"] = rows.shape[1]


@pytest.mark.compiled
def test_a_model_that_does_not_fit_is_told_and_serves_nothing(sample_inputs):
    tight = sample_inputs("sterling/hgx-h200")
    for share in tight["scenario"]["workloads"]:
        share["model"] = "deepseek-r1"  # 1.3 TB in BF16
    tight["scenario"]["weight_precision"] = "bf16"
    result = simulate(layout_inputs(tight))
    row = result.details.per_workload[0]
    assert row.feasible is False
    assert "GB" in row.reason
    assert result.figures["output_tokens_per_s"] == 0
    assert result.figures["cost_per_million_output_tokens_usd"] is None


@pytest.mark.compiled
def test_accelerators_that_the_engine_does_not_run_on_serve_with_another_and_say_so(sample_inputs):
    inputs = sample_inputs("golden/gb300-nvl72")
    take_hours(inputs, every=400)
    assert inputs["scenario"]["engine"] == "trtllm"
    for row in simulate(layout_inputs(inputs)).details.per_workload:
        assert "vLLM" not in row.configuration
    for product in inputs["products"]["accelerators"].values():
        product["facts"]["generation"] = "cdna4"
    for row in simulate(layout_inputs(inputs)).details.per_workload:
        assert row.feasible
        assert row.configuration.endswith(", on vLLM")


@pytest.mark.compiled
def test_agents_under_way_are_counted_and_their_caches_shrink(gb200):
    (row,) = gb200.details.per_workload
    workload, _ = workload_from_entry(entries("workloads")[row.workload])
    sessions = workload.sessions
    assert sessions.shared_frac < row.cached_prompt_frac < workload.cached_frac
    # at least those that pause at the mean rate, by Little's law; peaks have more, and some are being answered
    pausing = row.served_requests_per_s * sessions.mean_pause_s / sessions.streams
    assert pausing < row.sessions_peak < 4 * pausing


@pytest.mark.compiled
def test_a_cache_tier_keeps_more_of_what_agents_had_cached(sample_inputs, gb200):
    tiered = sample_inputs("sterling/gb200-nvl72")
    tiered["scenario"]["cache_tier_bytes"] = 480e9
    result = simulate(layout_inputs(tiered))
    (row,), (bare,) = result.details.per_workload, gb200.details.per_workload
    assert row.cached_prompt_frac > bare.cached_prompt_frac
    assert result.figures["output_tokens_per_s"] > gb200.figures["output_tokens_per_s"]


@pytest.mark.compiled
def test_components_beyond_the_joint_ones_still_cost_what_they_cost(sample_inputs, gb200, monkeypatch):
    monkeypatch.setattr("twin.core.failures.uptime.MAX_JOINT_COMPONENTS", 2)
    short = simulate(layout_inputs(sample_inputs("sterling/gb200-nvl72")))
    assert short.details.availability.minor_lost_frac > 0
    lost, same = (1 - result.figures["availability_frac"] for result in (short, gb200))
    assert lost == pytest.approx(same, rel=0.01)


@pytest.mark.compiled
def test_progress_is_told_and_can_stop_the_run(sample_inputs):
    class Stop(Exception):
        pass

    told = []

    def progress(stage, frac):
        told.append(frac)
        if stage == "power and cooling":
            raise Stop

    with pytest.raises(Stop):
        simulate(layout_inputs(sample_inputs("sterling/gb200-nvl72")), progress)
    assert told == sorted(told)


def test_whole_racks_follow_the_shares_all_along_the_row():
    chosen = share_out(np.array([0.5, 0.25, 0.25]), 8)
    assert np.bincount(chosen).tolist() == [4, 2, 2]
    assert np.bincount(chosen[:4]).tolist() == [2, 1, 1]


def test_shares_are_relative():
    once = share_out(np.array([0.2, 0.1]), 9)
    np.testing.assert_array_equal(share_out(np.array([0.9, 0.45]), 9), once)
    assert np.bincount(once).tolist() == [6, 3]
    np.testing.assert_array_equal(share_out(np.array([0.1]), 9), np.zeros(9))


def test_shares_of_nothing_are_refused():
    with pytest.raises(ValueError, match="accelerator_share_frac"):
        share_out(np.zeros(2), 4)


@pytest.mark.compiled
def test_margins_and_drills_tell_what_gives_first(gb200):
    margins, drills = gb200.details.margins, gb200.details.drills
    assert {"feed rating", "CDU heat rating", "supply above dew point", "junction below throttling"} <= {
        row.kind for row in margins
    }
    used = {row.object: row for row in gb200.details.limits if row.kind == "feed load"}
    for row in margins:
        if row.kind == "feed rating":
            worst = used[row.object]
            assert row.value == pytest.approx(1 - worst.value / worst.limit, abs=1e-9)
    by_loss = {row.loss: row for row in drills}
    pumps, chillers = by_loss["all rack-coolant pumps"], by_loss["all chillers and coolers"]
    assert 1 < pumps.seconds_to_throttle < pumps.seconds_to_trip
    # The coolant in the loops carries a plant loss for longer than the chips' own heat carries a pump loss.
    assert chillers.seconds_to_throttle is None or chillers.seconds_to_throttle > pumps.seconds_to_trip
    assert by_loss["one CDU of every group"].seconds_to_throttle is None


@pytest.mark.compiled
def test_availability_of_a_run_is_that_of_its_distribution_and_accelerators(gb200):
    shown = gb200.details.availability
    mean = sum(row.capacity_frac * row.probability for row in shown.capacity_distribution)
    lost = sum(row.availability_frac - 1 for row in shown.groups if row.n is None)
    # The twelve likeliest levels are shown; a rarer one counts with the next lower of them.
    assert 0 <= gb200.figures["availability_frac"] - (mean + lost) < 1e-6
    assert shown.lost_tokens_per_year == pytest.approx(gb200.figures["lost_tokens_per_year"])
    drawn = abs(shown.drawn_availability_frac - gb200.figures["availability_frac"])
    # Rare long outages that no year drew are not in the standard error: their whole share is allowed.
    assert drawn < 3.3 * shown.standard_error_frac + (1 - mean)
    assert shown.lost_tokens_p95_per_year > shown.lost_tokens_per_year


def pools_of(inputs):
    described = layout_inputs(inputs)
    return plan_pools(described, rack_table(described), 24)[0]


@pytest.mark.compiled
def test_a_pinned_configuration_serves_and_says_what_it_costs(sample_inputs, gb200):
    inputs = sample_inputs("sterling/gb200-nvl72")
    for share in inputs["scenario"]["workloads"]:
        share["configuration"] = "TP 8"
    pools = pools_of(inputs)
    assert any(pool.feasible for pool in pools)
    for pool, free in zip(pools, gb200.details.per_workload, strict=True):
        if pool.feasible:
            assert pool.configuration_text.endswith(", TP 8")
            assert (pool.choice_text, free.choice) == ("pinned", "searched")
            assert pool.best_text
            assert pool.best_gain_frac >= -1e-6
    for share in inputs["scenario"]["workloads"]:
        share["configuration"] = "TP 7"
    assert all("must divide" in pool.reason for pool in pools_of(inputs))


def test_a_restricted_search_is_said(sample_inputs):
    inputs = sample_inputs("sterling/gb200-nvl72")
    inputs["scenario"] |= {"serving_mode": "aggregated", "max_ranks": 8, "allow_pipelines": False}
    pool = pools_of(inputs)[0]
    assert "prefill" not in pool.configuration_text
    assert pool.choice_text == (
        "searched, aggregated only, no pipeline inside a scale-up domain, at most 8 accelerators an instance"
    )
