"""Set points advised by the solver: real gains inside the limits, the same in every door, nothing set."""

import csv
import io
import json
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from facility.models import Layout
from twin.core.inputs.layout import LayoutInputs, layout_inputs
from twin.core.solve.simulate import described, simulate
from twin.core.telemetry.advise import _margin_refusal, _moved, _trial, advise
from twin.core.telemetry.advised import GAINS, RAISED
from twin.core.telemetry.set_points import set_points, with_rows
from twin.models import Scenario
from twin.runs import snapshot
from twin.telemetry.set_point_files import set_point_requests, set_points_csv

FIGURE = "good_tokens_per_joule"

pytestmark = [pytest.mark.compiled, pytest.mark.django_db]


@pytest.fixture(scope="module")
def sample(django_db_setup, django_db_blocker) -> LayoutInputs:
    """A shipped layout under its first scenario, read once; nothing of it stays in the database."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        call_command("load_catalogue", verbosity=0)
        call_command("load_samples", verbosity=0)
        layout = Layout.objects.get(site__slug="sterling", slug="gb200-nvl72")
        read = layout_inputs(snapshot.snapshot(layout, Scenario.objects.get(site=layout.site, slug="assistants")))
        transaction.set_rollback(True)
    return read


@pytest.fixture(scope="module")
def advice(sample) -> dict:
    return advise(sample).as_json()


def test_what_is_advised_is_what_a_run_of_the_changed_layout_gains(sample, advice):
    rows = advice["advice"]
    assert {row["parameter"] for row in rows} >= {"eco_mode", "accelerator_power_limit_w", "liquid_flow_kg_s"}
    changed = with_rows(sample, described(sample).pools, rows)
    before, after = (simulate(inputs).figures for inputs in (sample, changed))
    promised = sum(row["gain"][FIGURE]["value"] for row in rows)
    assert after[FIGURE] - before[FIGURE] == pytest.approx(promised, rel=1e-9)
    assert advice["after"][FIGURE] == pytest.approx(after[FIGURE], rel=1e-9)
    assert promised / before[FIGURE] > 0.03
    assert set(RAISED) < set(GAINS)
    for row in rows:
        assert row["gain"].keys() == set(GAINS)
        gain = row["gain"][FIGURE]
        assert gain["low"] < gain["value"] < gain["high"]
        assert gain["probability"] >= 0.8
        assert row["from"] != row["to"]
        assert all(margin["value"] > 0 for margin in row["margins_after"])
        assert row["worst_failure"]["text"]


def test_shared_errors_cancel_in_a_gain(sample, advice):
    bands = simulate(sample).bands[FIGURE]
    eco = next(row for row in advice["advice"] if row["parameter"] == "eco_mode")
    gain = eco["gain"][FIGURE]
    assert gain["high"] - gain["low"] < 0.1 * (bands[1] - bands[0])
    assert eco["objects"] == ["feed/UPS A", "feed/UPS B"]
    assert "transfers" in eco["note"]


def test_what_breaks_a_limit_is_refused_with_the_limit(sample, advice):
    refused = {row["parameter"]: row["reason"] for row in advice["refused"]}
    assert "finding" in refused["air_supply_degc"]
    assert "likely" in refused["prefill_share_frac"]


def test_what_nobody_can_move_is_said(sample):
    product_id = next(feed.product_id for feed in sample.feeds if feed.kind == "ups")
    sheet = sample.products.by_id[product_id]
    facts = {name: value for name, value in sheet.facts.items() if name != "efficiency_eco_mode"}
    by_id = {**sample.products.by_id, product_id: replace(sheet, facts=facts)}
    without = replace(sample, products=replace(sample.products, by_id=by_id))
    points = {point.parameter: point for point in set_points(without, described(sample).pools)}
    assert points["eco_mode"].not_controllable == "its sheet states no eco mode"
    assert not points["liquid_flow_kg_s"].not_controllable


def test_a_warmer_loop_is_refused_where_a_margin_is_thin(sample):
    base = _trial(sample, sample)
    points = {(point.object, point.parameter): point for point in set_points(sample, described(sample).pools)}
    warm = _moved(base, points["cdu/CDU-1a", "secondary_supply_degc"], 45.0)
    assert not _margin_refusal(base, warm)
    kinds = {row.kind for row in warm.margins}
    thin = replace(warm, margins=[replace(row, value=0.5) if row.unit == "K" else row for row in warm.margins])
    assert "3.00" in _margin_refusal(base, thin)
    assert _margin_refusal(thin, thin) == ""  # what was thin before may stay as it is
    assert "junction below throttling" in kinds


def test_units_that_stand_idle_are_paid_all_the_same(sample):
    base = _trial(sample, sample)
    points = {(point.object, point.parameter): point for point in set_points(sample, described(sample).pools)}
    fewer = _moved(base, points["plant/Chilled water", "outdoor_units_running"], 1.0)
    assert fewer.run.plants[0].n_heat_rejection == 1
    assert fewer.bought.plants[0].n_heat_rejection == sample.plants[0].n_heat_rejection
    cost = "cost_per_million_output_tokens_usd"
    assert fewer.figures[cost] == pytest.approx(base.figures[cost], rel=2e-3)


def test_the_files_name_every_object_and_only_what_the_exchange_can_ask(sample, advice, layout):
    table = list(csv.DictReader(io.StringIO(set_points_csv(advice, "tok/J"))))
    assert len(table) == sum(len(row["objects"]) for row in advice["advice"])
    assert {row["order"] for row in table if row["parameter"] == "eco_mode"} == {"1"}
    lines, left_out = set_point_requests(layout.site, advice)
    assert len(left_out) + len({json.loads(line)["topic"] for line in lines.splitlines()}) >= len(advice["advice"])
    cdu = {
        "advice": [{"object": "cdu/CDU-1", "parameter": "secondary_supply_degc", "to": 33.0, "objects": ["cdu/CDU-1"]}]
    }
    lines, left_out = set_point_requests(layout.site, cdu)
    request = json.loads(lines)
    assert not left_out
    assert (
        request["topic"] == f"BMS/v1/ai-factory-twin/Value/CDU/LiquidTemperatureSpRequest/{layout.site.slug}/cdu/CDU-1"
    )
    assert request["payload"].keys() == {"value", "timestamp", "quality"}
    assert (request["payload"]["value"], request["payload"]["quality"]) == (33.0, 1)


def test_the_command_refuses_what_it_cannot_do(db):
    with pytest.raises(CommandError, match="there is no layout nowhere/none"):
        call_command("advise", "nowhere/none")
    with pytest.raises(CommandError, match="invalid choice: 'pue'"):
        call_command("advise", "nowhere/none", "--figure", "pue")
