"""Parameters hidden in published readings are found again, with intervals, and judged on held-out times."""

import json

import numpy as np
import pytest
import yaml
from django.core.management import CommandError, call_command

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.layout_fit import fit_layout
from twin.core.telemetry.publish import publish, usual_noise

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
    call_command("load_catalogue", verbosity=0)
    call_command("load_samples", verbosity=0)
    truth, out = tmp_path / "truth.yaml", tmp_path / "points.csv"
    truth.write_text(yaml.safe_dump(HIDDEN))
    call_command("publish_telemetry", LAYOUT, start=START, hours=24, step=3600, noise="1", seed=7, truth=truth, out=out)
    call_command("ingest_telemetry", LAYOUT, out)
    capsys.readouterr()
    call_command("calibrate_telemetry", LAYOUT, start=START, end=END, json=True)
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
    with pytest.raises(CommandError, match="--accept is not there yet"):
        call_command("calibrate_telemetry", LAYOUT, start=START, end=END, accept="july")


def test_readings_of_the_layout_as_described_move_nothing_that_is_told(inputs):
    fit = fit_layout(described(inputs), healthy(inputs, 1.0), **SPAN)
    inside = [row["low"] <= row["before"] <= row["high"] for row in fit.parameters]
    assert np.mean(inside) > 0.75
    assert not fit.accepted  # it only learned the noise
    assert fit.reason.startswith("refused")


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
