"""Parameters hidden in published readings are found again, with intervals, and judged on held-out times."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from django.core.management import CommandError, call_command

from facility.interchange.site_file import site_document, site_load
from facility.models import Layout
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.parameters import without_object
from twin.core.solve.simulate import described
from twin.core.telemetry.fitted import LayoutFit
from twin.core.telemetry.layout_fit import fit_layout
from twin.core.telemetry.publish import publish, usual_noise
from twin.runs import snapshot
from twin.telemetry.accept import accept

pytestmark = pytest.mark.compiled

LAYOUT = "sterling/gb200-nvl72"
START_S, OFFSET_S = 1_782_903_600.0, -18_000.0  # 2026-07-01T06:00:00-05:00
START, END = "2026-07-01T06:00:00-05:00", "2026-07-02T06:00:00-05:00"
HIDDEN = [
    {"object": "cdu/CDU-1a|secondary_return_degc", "parameter": "sensor_bias", "value": 0.8},
    {"object": "cdu/CDU-2c|primary_return_degc", "parameter": "sensor_bias", "value": -0.6},
    *({"object": f"cdu/CDU-1{unit}", "parameter": "ua_frac", "value": 0.8} for unit in "abcde"),
    {"object": "feed/UPS A", "parameter": "ups_loss_frac", "value": 1.4},
]


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    return layout_inputs(sample_inputs(LAYOUT))


def healthy(inputs, sigmas: float):
    published = publish(
        inputs, start_s=START_S, offset_s=OFFSET_S, hours=24, step_s=3600.0, noise=usual_noise(sigmas), seed=5
    )
    times = np.round(published.times * 1e3).astype(np.int64)
    return {key: (times, values, np.ones(times.size, np.uint8)) for key, values in published.points.items()}


SPAN = {"start_s": START_S, "end_s": START_S + 86_400, "offset_s": OFFSET_S}


def test_hidden_parameters_come_back_inside_their_intervals(db, tmp_path, capsys):
    load_shipped(CATALOGUE, SAMPLES)
    truth, out = tmp_path / "truth.yaml", tmp_path / "points.csv"
    truth.write_text(yaml.safe_dump(HIDDEN))
    load = {"scenario": "agents"}  # at which the plant's heat tells conductances from biases
    call_command(
        "publish_telemetry", LAYOUT, start=START, hours=24, step=3600, noise="1", seed=7, truth=truth, out=out, **load
    )
    call_command("ingest_telemetry", LAYOUT, out)
    capsys.readouterr()
    call_command("calibrate_telemetry", LAYOUT, start=START, end=END, json=True, **load)
    told = json.loads(capsys.readouterr().out)
    assert told["accepted"], told["reason"]
    held = told["scores"]["held_out"]
    assert held["after_sigmas"] < 0.8 * held["before_sigmas"]
    rows = {(row["object"], row["parameter"]): row for row in told["parameters"]}
    hidden = {(row["object"], row["parameter"]): row["value"] for row in HIDDEN if row["parameter"] != "ua_frac"}
    hidden["cdu-group/Loop 1", "ua_frac"] = (1 - 0.2 / 5) ** 5  # five units, each by its share
    for key, value in hidden.items():
        row = rows[key]
        assert row["identifiable"], row
        assert row["low"] <= value <= row["high"], row
        assert abs(row["after"] - row["before"]) > 0.5 * abs(value - row["before"]), row
    others = [row for key, row in rows.items() if key not in hidden]
    inside = [row["low"] <= row["before"] <= row["high"] for row in others]
    assert np.mean(inside) > 0.75
    accepted_layout_predicts_its_readings(capsys)


def accepted_layout_predicts_its_readings(capsys):
    """What was accepted is a layout of its own, frozen, in the site file, and closer to the readings."""
    call_command("calibrate_telemetry", LAYOUT, start=START, end=END, json=True, accept="As of July")
    told = json.loads(capsys.readouterr().out)
    site, _, slug = told["layout"].partition("/")
    made = Layout.objects.get(site__slug=site, slug=slug)
    assert slug.startswith("gb200-nvl72-as-operated-20")
    assert (made.name, made.status, made.cloned_from.slug) == ("As of July", "as_operated", "gb200-nvl72")
    kept = {row.name: row for row in made.calibrated_parameters.all()}
    identifiable = [row for row in told["parameters"] if row["identifiable"]]
    assert set(kept) == {f"{row['object']} {row['parameter']}" for row in identifiable}
    bias = kept["cdu/CDU-1a|secondary_return_degc sensor_bias"]
    assert bias.low <= 0.8 <= bias.high
    assert "held out" in bias.evidence
    errors = {}
    for path in (LAYOUT, told["layout"]):
        call_command("compare_telemetry", path, start=START, end=END, json=True)
        rows = json.loads(capsys.readouterr().out)["points"]
        errors[path] = {(row["object"], row["quantity"]): row.get("rmse_k") for row in rows}
    biased = ("cdu/CDU-1a", "secondary_return_degc")
    assert errors[told["layout"]][biased] < 0.3 < 0.6 < errors[LAYOUT][biased]
    with pytest.raises(CommandError, match="was accepted today already"):
        call_command("calibrate_telemetry", LAYOUT, start=START, end=END, accept="Again")
    document = site_document(made.site, only=made)
    assert len(document["layouts"][0]["calibrated_parameters"]) == len(kept)
    document["site"]["slug"] = "sterling-again"
    again = site_load(document).layouts.get()
    assert again.calibrated_parameters.get(name=bias.name).value == bias.value
    assert again.status == "as_operated"
    losing = snapshot.description(made)
    without = replace(losing, feeds=tuple(feed for feed in losing.feeds if feed.name != "UPS A"))
    assert [truth.name for truth in without_object(without)] == ["feed/UPS A ups_loss_frac"]


def test_readings_of_the_layout_as_described_move_nothing_that_is_told(inputs, db):
    fit = fit_layout(described(inputs), healthy(inputs, 1.0), **SPAN)
    inside = [row["low"] <= row["before"] <= row["high"] for row in fit.parameters]
    assert np.mean(inside) > 0.75
    assert not fit.accepted  # it only learned the noise
    assert LayoutFit.from_json(json.loads(json.dumps(fit.as_json()))).as_json() == fit.as_json()
    assert fit.reason.startswith("refused")
    with pytest.raises(ValueError, match="the fit is not accepted: refused.*nothing was changed"):
        accept(layout=Layout(slug="any"), fit=fit, name="As of July", start_s=START_S, end_s=START_S)


def test_what_no_sensor_tells_is_not_identifiable_and_names_the_sensor(inputs):
    few = {
        key: columns
        for key, columns in healthy(inputs, 1.0).items()
        if key[0] == "weather" or key[0].startswith(("workload/", "hall/"))
    }
    fit = fit_layout(described(inputs), few, **SPAN, parameters=("ua_frac", "ups_loss_frac"))
    assert len(fit.parameters) == 4
    for row in fit.parameters:
        assert not row["identifiable"]
        wanted = "primary_flow_kg_s" if row["parameter"] == "ua_frac" else "power_w of feed/UPS"
        assert wanted in row["reason"], row


def test_unknown_parameters_and_too_few_readings_are_refused(inputs):
    readings = healthy(inputs, 0.0)
    with pytest.raises(ValueError, match="approach_k is not calibrated yet"):
        fit_layout(described(inputs), readings, **SPAN, parameters=["approach_k"])
    with pytest.raises(ValueError, match="mood is unknown"):
        fit_layout(described(inputs), readings, **SPAN, parameters=["mood"])
    few = {key: tuple(column[:5] for column in columns) for key, columns in readings.items()}
    with pytest.raises(ValueError, match="readings at 5 times"):
        fit_layout(described(inputs), few, **SPAN)
