"""The page of claims: our curves, measured runs in summary, what others publish, what tokens cost."""

import csv
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.urls import reverse

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.run import read_evidence
from compute.model_shapes import model_shape_from_entry
from compute.prediction.kind_summaries import LEAST_RUNS, kind_summaries, stored_summaries
from compute.steady.kind_curves import kind_curves
from compute.token_mix import blended_usd, written_usd
from facility.catalogue import entries
from twin.core.results.token_prices import serving_costs, sold_for, token_prices
from twin.core.serving import evidence
from twin.validation.serving import FILES


@pytest.fixture
def reader(client, db):
    client.force_login(get_user_model().objects.create_user("reader"))
    return client


def read(reader, model):
    return " ".join(reader.get(reverse("serving-claims"), {"model": model}).content.decode().split())


@pytest.mark.parametrize("model", evidence.MODELS)
def test_every_kind_of_run_stands_with_its_band_and_what_was_measured_or_that_nothing_was(reader, model):
    page = read(reader, model)
    rows = evidence.evidence_rows(entries, model)
    assert {row.accelerator for row in rows} == {"gb300", "gb200", "b200-sxm", "h200-sxm", "mi355x"}
    for row in rows:
        for point in filter(None, row.curve.points):
            assert point.low < point.tokens_per_s < point.high
            assert point.configuration in page
            assert point.megawatt_tokens_per_s < point.tokens_per_s / row.curve.points[0].tokens_per_s * 1e9
        if row.summary is None:
            assert row.note.startswith("No measured runs of this kind")
        elif row.summary.agreements:
            assert f"{row.summary.runs} runs" in page
            assert f"{row.summary.first} to {row.summary.last}, {', '.join(row.summary.sources)}" in page
    assert page.count("No measured runs of this kind") == sum(row.summary is None for row in rows) > 0
    assert stored_summaries()[0] in page


def test_gb300_has_no_measured_run_and_says_that_its_generation_has_some():
    rows = [row for row in evidence.evidence_rows(entries, "deepseek-r1") if row.accelerator == "gb300"]
    assert [row.summary for row in rows] == [None] * 4
    assert all("its generation has some" in row.note for row in rows)


def test_faster_users_cost_throughput_and_tokens_written_cost_more_than_tokens_read():
    for model in evidence.MODELS:
        for row in evidence.evidence_rows(entries, model):
            rates = [point.tokens_per_s for point in row.curve.points if point]
            assert rates == sorted(rates, reverse=True)
            for point in filter(None, row.curve.points):
                assert 0 < point.usd_per_million_input < point.usd_per_million_output
                mixed = blended_usd(point.usd_per_million_input, point.usd_per_million_output)
                assert point.usd_per_million_blended == pytest.approx(mixed)
    assert blended_usd(1.0, 5.0) == 2.0
    assert written_usd(2.0, 1.0) == 5.0


def test_costs_are_those_of_the_cheapest_kind_that_was_measured_on_the_generation():
    rows = evidence.evidence_rows(entries, "deepseek-r1")
    found = evidence.cheapest(rows)
    assert [row.accelerator for row in found] == ["gb300", "gb200", "b200-sxm", "h200-sxm", "mi355x"]
    for chosen in found:
        others = [row for row in rows if row.system == chosen.system and row.is_known and row.costs]
        assert chosen.costs.usd_per_million_blended == min(row.costs.usd_per_million_blended for row in others)


def test_costs_of_tokens_read_and_written_add_up_to_the_bill():
    system = evidence.system_of(entries, "dgx-b200")
    row = next(row for row in evidence.evidence_rows(entries, "deepseek-r1") if row.system == system.name)
    point = row.costs
    read_per_written = evidence.WORKLOAD.input_tokens / evidence.WORKLOAD.output_tokens
    usd_per_million = point.usd_per_million_output + read_per_written * point.usd_per_million_input
    per_s = point.tokens_per_s * usd_per_million / 1e6
    watts = point.tokens_per_s / point.megawatt_tokens_per_s * 1e6
    assert per_s == pytest.approx(system.capital_usd / system.lifetime_s + watts * 0.08 / 3.6e6)


@pytest.mark.parametrize("model", evidence.MODELS)
def test_statements_and_prices_stand_with_link_and_date(reader, model):
    page = read(reader, model)
    said = evidence.statements(entries, model)
    assert said
    for entry in said:
        assert f'href="{entry["url"]}"' in page
        assert f"read {entry['read_on']}" in page
    for name in evidence.accelerators_without_statement(entries, model):
        assert f"No published statement was found for {name}" in page
    prices = token_prices(entries, model)
    assert len(prices) >= 2
    assert [price["blended"] for price in prices] == sorted(price["blended"] for price in prices)
    assert sum(f'href="{price["url"]}"' in page for price in prices if "url" in price) >= 1


def test_input_tokens_that_a_statement_counts_are_taken_out():
    (entry,) = [e for e in evidence.statements(entries, "deepseek-r1") if e["id"] == "inferencex-r1-gb200-75"]
    assert entry["output_tokens_per_s"] == pytest.approx(5789.6 / 9)
    assert entry["output_megawatt_tokens_per_s"] == pytest.approx(2756947 / 9)


def test_our_prediction_lies_near_what_the_benchmark_publishes():
    # GB200, prefill apart, at 75 tok/s per user: 643 output tok/s per GPU published for FP8
    row = next(
        row
        for row in evidence.evidence_rows(entries, "deepseek-r1")
        if row.accelerator == "gb200" and row.curve.is_apart and not row.curve.has_drafts
    )
    assert row.curve.points[2].tokens_per_s == pytest.approx(643, rel=0.35)


def test_summaries_hold_no_single_run_and_no_measured_value():
    _, summaries = stored_summaries()
    for one in summaries:
        assert bool(one.agreements) <= (one.runs >= LEAST_RUNS)
        for agreement in one.agreements.values():
            assert agreement.runs >= LEAST_RUNS


def test_models_without_a_prediction_module_have_no_kinds_with_drafts():
    system = evidence.system_of(entries, "dgx-h200")
    shape = model_shape_from_entry(entries("models")["gpt-oss-120b"])
    found = kind_curves(coefficient_set(), shape, evidence.WORKLOAD, system, (20.0,))
    assert [(curve.is_apart, curve.has_drafts) for curve in found] == [(False, False), (True, False)]


def test_a_run_stands_beside_the_prices_of_the_models_that_it_serves():
    class Row:
        model, model_name, feasible = "gpt-oss-120b", "gpt-oss-120b", True

    (sold,) = sold_for(entries, [Row(), Row()])
    assert [price["model"] for price in sold["prices"]] == ["gpt-oss-120b"] * len(sold["prices"])
    figures = {"cost_per_million_input_tokens_usd": 0.1, "blended_cost_per_million_tokens_usd": 0.2}
    assert serving_costs(figures) == {"input": 0.1, "output": pytest.approx(0.5), "blended": 0.2}
    assert serving_costs({}) is None


def test_an_unknown_model_shows_the_first(reader):
    assert re.search(r'aria-current="page"[^>]*>DeepSeek-R1', read(reader, "mine"))


@pytest.mark.slow
def test_the_shipped_summaries_are_those_of_the_shipped_coefficients():
    """`manage.py measure_kinds` renews them; `manage.py validate` holds the left-out errors."""
    paths = [Path(settings.TWIN_DATA_DIR) / "serving" / name for name in FILES]
    if not all(path.exists() for path in paths):
        pytest.skip("the measured runs are not here: set TWIN_DATA_DIR")
    rows = []
    for path in paths:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows += csv.DictReader(file)
    measured = read_evidence(
        rows,
        {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
        {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
    )
    found = kind_summaries(measured, coefficient_set(), evidence.MODELS)
    shipped = {(s.model, s.accelerator, s.is_apart, s.has_drafts): s for s in stored_summaries()[1]}
    assert len(shipped) == len(found)
    for one in found:
        stored = shipped[one.model, one.accelerator, one.is_apart, one.has_drafts]
        assert (one.runs, one.first, one.last, one.sources) == (stored.runs, stored.first, stored.last, stored.sources)
        assert set(one.agreements) == set(stored.agreements)
        for name, agreement in one.agreements.items():
            here = stored.agreements[name]
            assert agreement.runs == here.runs
            assert agreement.shipped_error_frac == pytest.approx(here.shipped_error_frac, abs=1e-3)
            assert agreement.shipped_covered_frac == pytest.approx(here.shipped_covered_frac, abs=5e-3)
