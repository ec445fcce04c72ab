"""Faults of sensors and machines published in a layout's readings are named; healthy readings show none."""

import json
import re

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.solve.steady import at_hours
from twin.core.telemetry.faulted import MachineFault, unit_apart, with_fault
from twin.core.telemetry.layout_faults import Worth, diagnose_layout
from twin.core.telemetry.machine_faults import Machines
from twin.core.telemetry.publish import fault_of, fault_size, faulty_points, publish, truths_of, usual_noise
from twin.core.telemetry.quantities import FAULTS, SENSOR_FAULTS

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
    return [fault.row for fault in diagnose_layout(described(inputs), measured, **SPAN)]


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
    assert told[0]["usd"] is None
    assert "tokens lost and cost are not known" in told[0]["evidence"]


def test_kinds_that_explain_as_much_are_named_beside(inputs):
    start = "2026-07-02T06:00:00-05:00"
    (row,) = found(inputs, 4, [f"kind=sensor_gain,object=cdu/CDU-1b|primary_supply_degc,start={start},size=0.2"])
    assert row["kind"] == "sensor_bias"  # the supply is steady: a gain looks the same
    assert "not told from sensor_gain" in row["evidence"]


MACHINES = [
    ("fouling", "cdu/CDU-1b", 0.8),
    ("pump_wear", "cdu/CDU-2c", 0.4),
    ("valve_stuck", "cdu/CDU-1d", 0.5),
    ("valve_leak", "cdu/CDU-2a", 0.5),
    ("bypass", "cdu/CDU-1c", 0.3),
    ("air_in_loop", "cdu/CDU-2e", 0.5),
    ("rejection_degraded", "plant/Facility water", 0.6),
    ("fan_failed", "air-unit/Fan wall 3", 0.5),
    ("phase_loss", "feed/Busway C-A", 0.33),
    ("ups_degraded", "feed/UPS B", 0.6),
    ("accelerator_throttled", "rack/Data hall/B-02", 0.5),
    ("unit_slow", "rack/Data hall/C-03", 0.3),
    ("cap_misset", "rack/Data hall/C-03", 0.9),
]


@pytest.mark.parametrize(("kind", "name", "size"), MACHINES)
def test_a_machine_fault_is_named_with_its_object_size_and_start(inputs, kind, name, size):
    told = found(inputs, 4, [f"kind={kind},object={name},start=2026-07-02T06:00:00-05:00,size={size}"])
    assert (told[0]["object"], told[0]["kind"]) == (name, kind), told
    since = np.datetime64(told[0]["since"].rstrip("Z"))
    late = np.timedelta64(4 if kind == "cap_misset" else 1, "h")  # a cap shows where it is reached
    assert abs(since - np.datetime64("2026-07-02T11:00:00")) <= late
    share = float(told[0]["evidence"].partition("%")[0]) / 100.0
    assert share == pytest.approx(fault_size(kind, size), rel=0.1)
    assert told[0]["tokens_lost"] is not None
    price, kwh, tariff = (
        float(re.search(said, told[0]["evidence"])[1])
        for said in (r"tokens at \$([\d.e+-]+) a million", r"([\d.e+-]+) kWh more", r"energy at \$([\d.e+-]+)/kWh")
    )
    lost_usd = max(told[0]["tokens_lost"], 0.0) / 1e6 * price
    assert told[0]["usd"] == pytest.approx(lost_usd + max(kwh, 0.0) * tariff, rel=0.01)
    if kind == "ups_degraded":
        assert kwh > 100


def test_lost_tokens_and_wasted_energy_are_priced_and_what_is_saved_is_not():
    worth = Worth(usd_per_million_tokens=2.0, usd_per_kwh=0.1)
    assert worth.usd(3e6, 36e6) == pytest.approx(7.0)
    assert worth.usd(-1e6, -3.6e6) == 0.0
    assert "no cost per token" in Worth(0.0, 0.1).text


def test_every_kind_of_fault_is_published_and_changes_readings_of_its_object(inputs):
    assert {kind for kind, _, _ in MACHINES} | {*SENSOR_FAULTS} == {*FAULTS}
    year = described(inputs)
    hours = at_hours(year, [4356, 4384])  # a cap is reached in the second
    healthy = faulty_points(hours, [])
    for kind, name, size in MACHINES:
        points = faulty_points(hours, [MachineFault(kind, name, fault_size(kind, size))])
        own = [key for key in healthy if key[0].removesuffix("/accelerators") == name]
        own += [("feed/Switchboard B", "power_w")]
        moved = [float(np.max(np.abs(points[key] / healthy[key] - 1))) for key in own]
        assert max(moved) > 1e-3, (kind, moved)


def test_a_cdu_taken_out_of_its_group_is_solved_as_in_it(inputs):
    hours = at_hours(described(inputs), [100, 4356])
    healthy = faulty_points(hours, [])
    apart = faulty_points(unit_apart(hours, "CDU-1c"), [])
    assert set(apart) == set(healthy)
    for key, values in healthy.items():
        np.testing.assert_allclose(apart[key], values, rtol=1e-9, err_msg=str(key))


def test_the_size_of_a_fault_is_searched_on_the_solver(inputs):
    hours = at_hours(described(inputs), list(range(4344, 4368)))
    healthy, faulty = (
        faulty_points(hours, faults)
        for faults in ([], [MachineFault("bypass", "cdu/CDU-2b", fault_size("bypass", 0.37))])
    )
    keys = sorted(key for key in healthy if key[0] == "cdu/CDU-2b")
    described_so, read = (np.stack([points[key] for key in keys]) for points in (healthy, faulty))
    sigma = np.maximum(0.005 * np.abs(described_so), 1e-3)
    left = np.where(np.arange(24) >= 9, (read - described_so) / sigma, 0.0)
    machines = Machines(hours, keys, described_so, sigma, np.arange(20))
    assert machines.objects_of([0]) == ["cdu/CDU-2b"]
    best = max(machines.best("cdu/CDU-2b", left), key=lambda candidate: candidate.explained)
    found = machines.refined(best, left)
    assert (found.fault.kind, found.start) == ("bypass", 9)
    assert found.size_frac == pytest.approx(0.37, abs=0.005)
    assert found.explained == pytest.approx(np.sum(left**2), rel=1e-3)


def test_a_fault_that_its_object_cannot_have_is_refused_by_name(inputs):
    year = at_hours(described(inputs), [4356])
    with pytest.raises(ValueError, match="no rack draws from feed/Generators"):
        with_fault(year, MachineFault("phase_loss", "feed/Generators", 0.3))
    with pytest.raises(ValueError, match="no other feed that could take over"):
        with_fault(year, MachineFault("phase_loss", "feed/Utility", 0.3))


def test_fouled_cdus_are_named_as_one_fault_not_as_their_sensors(inputs):
    truths = [{"object": f"cdu/CDU-1{unit}", "parameter": "ua_frac", "value": 0.8} for unit in "abcde"]
    (row,) = found(inputs, 5, truths=truths)
    assert (row["object"], row["kind"]) == ("cdu-group/Loop 1", "fouling")
    assert row["tokens_lost"] == pytest.approx(0, abs=1e3)  # the valves open: nothing is lost yet


def test_the_command_ranks_what_it_finds(db, tmp_path, capsys):
    load_shipped(CATALOGUE, SAMPLES)
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
