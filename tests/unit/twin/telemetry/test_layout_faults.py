"""Faults published in a layout's readings are named, with their start; healthy readings show none."""

import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.layout_faults import diagnose_layout
from twin.core.telemetry.publish import fault_of, publish, truths_of, usual_noise

pytestmark = pytest.mark.compiled

LAYOUT = "sterling/gb200-nvl72"
START_S, OFFSET_S, HOURS = 1_782_903_600.0, -18_000.0, 48
START, END = "2026-07-01T06:00:00-05:00", "2026-07-03T06:00:00-05:00"
SPAN = {"start_s": START_S, "end_s": START_S + HOURS * 3600, "offset_s": OFFSET_S}


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    return layout_inputs(sample_inputs(LAYOUT))


def found(inputs, seed: int, faults=(), truths=()):
    published = publish(
        inputs,
        start_s=START_S,
        offset_s=OFFSET_S,
        hours=HOURS,
        step_s=3600.0,
        noise=usual_noise(1.0),
        seed=seed,
        faults=[fault_of(inputs, text) for text in faults],
        truths=truths_of(inputs, list(truths)),
    )
    times = np.round(published.times * 1e3).astype(np.int64)
    measured = {key: (times, values, np.ones(times.size, np.uint8)) for key, values in published.points.items()}
    return diagnose_layout(described(inputs), measured, **SPAN)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_healthy_readings_show_no_fault(inputs, seed):
    assert found(inputs, seed) == []


@pytest.mark.parametrize(
    ("kind", "point", "size"),
    [
        ("sensor_bias", "cdu/CDU-1b|primary_return_degc", 0.3),
        ("sensor_gain", "cdu/CDU-2a|secondary_flow_kg_s", 0.2),
        ("sensor_drift", "cdu/CDU-1c|secondary_supply_degc", 1.0),
        ("sensor_gain", "feed/UPS A|power_w", 0.2),
    ],
)
def test_a_sensor_fault_is_named_with_its_start(inputs, kind, point, size):
    start = "2026-07-01T12:00:00" if kind == "sensor_drift" else "2026-07-02T06:00:00"  # a drift takes longer to show
    told = found(inputs, 4, [f"kind={kind},object={point},start={start}-05:00,size={size}"])
    assert [(row["object"], row["kind"]) for row in told] == [(point, kind)]
    since = np.datetime64(told[0]["since"].rstrip("Z"))
    late = np.timedelta64(8 if kind == "sensor_drift" else 1, "h")
    assert abs(since - (np.datetime64(start) + np.timedelta64(5, "h"))) <= late
    assert told[0]["tokens_lost"] is None
    assert "no tokens_lost" in told[0]["evidence"]


def test_kinds_that_explain_as_much_are_named_beside(inputs):
    start = "2026-07-02T06:00:00-05:00"
    (row,) = found(inputs, 4, [f"kind=sensor_gain,object=cdu/CDU-1b|primary_supply_degc,start={start},size=0.2"])
    assert row["kind"] == "sensor_bias"  # the supply is steady: a gain looks the same
    assert "not told from sensor_gain" in row["evidence"]


def test_fouled_cdus_are_named_as_one_fault_not_as_their_sensors(inputs):
    truths = [{"object": f"cdu/CDU-1{unit}", "parameter": "ua_frac", "value": 0.8} for unit in "abcde"]
    (row,) = found(inputs, 5, truths=truths)
    assert (row["object"], row["kind"]) == ("cdu-group/Loop 1", "fouling")
    assert row["tokens_lost"] == pytest.approx(0, abs=1e3)  # the valves open: nothing is lost yet


def test_the_command_ranks_what_it_finds(db, tmp_path, capsys):
    call_command("load_catalogue", verbosity=0)
    call_command("load_samples", verbosity=0)
    out = tmp_path / "points.csv"
    faults = [
        f"kind=sensor_bias,object=cdu/CDU-1b|{point},start=2026-07-02T06:00:00-05:00,size={size}"
        for point, size in (("primary_return_degc", 0.2), ("secondary_return_degc", 0.6))
    ]
    call_command("publish_telemetry", LAYOUT, start=START, hours=48, step=3600, noise="1", fault=faults, out=out)
    call_command("ingest_telemetry", LAYOUT, out)
    capsys.readouterr()
    call_command("diagnose_telemetry", LAYOUT, start=START, end=END, json=True)
    told = json.loads(capsys.readouterr().out)
    assert [row["object"] for row in told] == ["cdu/CDU-1b|secondary_return_degc", "cdu/CDU-1b|primary_return_degc"]
    assert told[0]["score"] > told[1]["score"]
    assert set(told[0]) == {"object", "kind", "since", "evidence", "score", "tokens_lost", "usd"}
    with pytest.raises(CommandError, match="needed to tell a fault"):
        call_command("diagnose_telemetry", LAYOUT, start=START, end="2026-07-01T12:00:00-05:00")
