"""Files of readings: mapped, stored once, refused by reason, and compared with the layout that published them."""

import gzip
import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from facility.models import Layout
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_run import done_run
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.compare import compare
from twin.core.telemetry.predicted import layout_objects
from twin.core.telemetry.publish import publish
from twin.core.telemetry.readings import MappedPoint, Reading, mapping_of, propose, read_readings
from twin.models import TelemetryPoint
from twin.runs import snapshot
from twin.telemetry import store

LAYOUT = "sterling/gb200-nvl72"
START_S, OFFSET_S = 1_782_903_600.0, -18_000.0  # 2026-07-01T06:00:00-05:00
OBJECTS = ("site", "weather", "cdu/CDU-1", "cdu/CDU-11", "rack/Hall 1/A-01")


@pytest.fixture
def samples(db):
    load_shipped(CATALOGUE, SAMPLES)
    return Layout.objects.select_related("site").get(slug="gb200-nvl72", site__slug="sterling")


@pytest.fixture
def site(layout):
    return layout.site


def written(tmp_path, text: str, name: str = "points.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def only(readings):
    ((times, values, quality),) = readings.points.values()
    return times, values, quality


@pytest.mark.parametrize(
    ("unit", "value", "si"),
    [("kW", "1.5", 1500.0), ("MW", "0.002", 2000.0), ("w", "7", 7.0)],
)
def test_units_become_si(tmp_path, unit, value, si):
    path = written(tmp_path, f"time,point,value,unit,quality\n2026-07-01T00:00:00Z,site|power_w,{value},{unit},1\n")
    times, values, quality = only(read_readings(path, {}, OBJECTS, Reading()))
    assert values.tolist() == pytest.approx([si])
    assert times.tolist() == [1_782_864_000_000]
    assert quality.tolist() == [1]


def test_degrees_fahrenheit_and_litres_a_minute_become_si(tmp_path):
    text = "time,OAT [degF],CDU 1 primary flow (l/min)\n2026-07-01T00:00:00Z,50,600\n"
    mapping = mapping_of(
        {
            "version": 1,
            "points": [
                {"point": "OAT [degF]", "object": "weather", "quantity": "dry_bulb_degc"},
                {"point": "CDU 1 primary flow (l/min)", "object": "cdu/CDU-1", "quantity": "primary_flow_kg_s"},
            ],
        },
        OBJECTS,
    )
    read = read_readings(written(tmp_path, text), mapping, OBJECTS, Reading())
    found = {entry.quantity: columns[1][0] for entry, columns in read.points.items()}
    assert found == {"dry_bulb_degc": pytest.approx(10.0), "primary_flow_kg_s": pytest.approx(9.98)}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("03/07/2026 12:00,site|power_w,1,W,1", "date reads two ways: say --dates day-first or month-first"),
        ("2026-07-01T00:00:00,site|power_w,1,W,1", "time without a zone: say --time-zone, or time_zone in the mapping"),
        ("yesterday,site|power_w,1,W,1", "time unreadable"),
        ('2026-07-01T00:00:00Z,site|power_w,"1,5",W,1', "comma in a number: say --decimal comma, or write it without"),
        ("2026-07-01T00:00:00Z,site|power_w,NaN,W,1", "no value"),
        ("2026-07-01T00:00:00Z,site|power_w,inf,W,1", "no value"),
        ("2026-07-01T00:00:00Z,site|power_w,off,W,1", "value is no number"),
        ("2026-07-01T00:00:00Z,site|power_w,1,degC,1", "degC is no unit of power_w"),
        ("2026-07-01T00:00:00Z,site|power_w,1,hp,1", "unit hp is unknown"),
        ("2026-07-01T00:00:00Z,site|power_w,1,,1", "no unit: give it in the mapping"),
        ("2026-07-01T00:00:00Z,site|power_w,1,W,good", "quality is no whole number 0 to 255"),
        ("2026-07-01T00:00:00Z,weather|dry_bulb_degc,300,degC,1", "outside the range of dry_bulb_degc"),
        ("2026-07-01T00:00:00Z,cdu/CDU-9|power_w,1,W,1", "point not mapped"),
        ("1907-07-01T00:00:00Z,site|power_w,1,W,1", "time outside 1990 to 2100"),
        ("2026-07-01T00:00:00Z,site|power_w", "fewer cells than the header"),
    ],
)
def test_a_row_that_cannot_be_read_is_counted_under_its_reason(tmp_path, row, reason):
    good = "2026-07-01T01:00:00Z,site|power_w,5,W,1"
    path = written(tmp_path, f"time,point,value,unit,quality\n{row}\n{good}\n")
    read = read_readings(path, {}, OBJECTS, Reading())
    assert dict(read.refused) == {reason: 1}
    assert only(read)[1].tolist() == [5.0]


@pytest.mark.parametrize(
    ("wanted", "row", "when", "value"),
    [
        (Reading(dates="day-first"), "03/07/2026 12:00,site|power_w,1,W,1", "2026-07-03T12:00", 1.0),
        (Reading(dates="month-first"), "03/07/2026 12:00,site|power_w,1,W,1", "2026-03-07T12:00", 1.0),
        (Reading(decimal="comma"), '2026-07-03T12:00,site|power_w,"1,5",W,1', "2026-07-03T12:00", 1.5),
    ],
)
def test_the_option_settles_what_reads_two_ways(tmp_path, wanted, row, when, value):
    wanted = Reading(wanted.format, wanted.dates, wanted.decimal, "America/New_York")
    read = read_readings(written(tmp_path, f"time,point,value,unit,quality\n{row}\n"), {}, OBJECTS, wanted)
    times, values, _ = only(read)
    hours_behind = 5 if when.startswith("2026-03-07") else 4
    expected = np.datetime64(when) + np.timedelta64(hours_behind, "h")
    assert times.tolist() == [int(expected.astype("datetime64[ms]").astype(np.int64))]
    assert values.tolist() == [value]


def test_an_hour_that_the_clock_runs_twice_is_refused(tmp_path):
    path = written(tmp_path, "time,point,value,unit,quality\n2026-11-01T01:30,site|power_w,1,W,1\n")
    read = read_readings(path, {}, OBJECTS, Reading(time_zone="America/New_York"))
    assert sum(read.refused.values()) == 1
    assert not read.points


def test_points_are_proposed_by_name_and_unit():
    points = {
        "site|power_w": "W",
        "CDU-1 Primary Supply Temp": "degF",
        "CDU-11_SEC_RET": "degC",
        "OAT": "degC",
        "Utility Meter kW": "kW",
        "Hall 1 A-01 power": "kW",
        "spare 7": "",
        "CDU-1 primary supply 2": "degC",
    }
    found = {entry.point: entry for entry in propose(points, OBJECTS)}
    meant = {
        name: f"{entry.mapped.object}|{entry.mapped.quantity}" if entry.mapped else None
        for name, entry in found.items()
    }
    assert meant == {
        "site|power_w": "site|power_w",
        "CDU-1 Primary Supply Temp": "cdu/CDU-1|primary_supply_degc",
        "CDU-11_SEC_RET": "cdu/CDU-11|secondary_return_degc",
        "OAT": "weather|dry_bulb_degc",
        "Utility Meter kW": None,  # the site's power is a surer point's already
        "Hall 1 A-01 power": "rack/Hall 1/A-01|power_w",
        "spare 7": None,
        "CDU-1 primary supply 2": None,
    }
    assert found["site|power_w"].confidence == 1.0
    assert "already" in found["Utility Meter kW"].reason


def test_a_unit_read_from_a_names_ending_is_proposed_and_never_used_unseen(tmp_path):
    (found,) = propose({"cdu-1_primary_supply_degf": ""}, OBJECTS)
    assert found.mapped == MappedPoint("cdu-1_primary_supply_degf", "cdu/CDU-1", "primary_supply_degc", "degF")
    assert "by its ending" in found.reason
    path = written(tmp_path, "time,cdu-1_primary_supply_degf\n2026-07-01T00:00:00Z,50\n")
    bare = MappedPoint("cdu-1_primary_supply_degf", "cdu/CDU-1", "primary_supply_degc")
    read = read_readings(path, {bare.point: bare}, OBJECTS, Reading())
    assert dict(read.refused) == {"no unit: give it in the mapping": 1}
    assert only(read_readings(path, {bare.point: found.mapped}, OBJECTS, Reading()))[1].tolist() == [pytest.approx(10)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"object": "cdu/none"}, "cdu/none is no object"),
        ({"quantity": "mood"}, "mood is unknown"),
        ({"unit": "degC"}, "degC is no unit of power_w"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": "two"}, "scale is 'two'"),
        ({"colour": "red"}, "has colour"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus is unknown"),
    ],
)
def test_a_mapping_entry_that_cannot_be_is_refused_by_name(changed, said):
    row = {"point": "p", "object": "site", "quantity": "power_w"}
    with pytest.raises(ValueError, match=said):
        mapping_of({"version": 1, "points": [row | changed]}, OBJECTS)


def test_a_point_on_two_objects_and_two_points_on_one_are_refused():
    row = {"point": "p", "object": "site", "quantity": "power_w"}
    with pytest.raises(ValueError, match="mapped twice"):
        mapping_of({"version": 1, "points": [row, row | {"object": "cdu/CDU-1"}]}, OBJECTS)
    with pytest.raises(ValueError, match="is point p already"):
        mapping_of({"version": 1, "points": [row, row | {"point": "q"}]}, OBJECTS)


def test_readings_come_once_late_or_doubled_and_gaps_stay(site, tmp_path):
    head = "time,point,value,unit,quality\n"
    late = head + "2026-07-01T23:59:00Z,site|power_w,1,W,1\n2026-07-02T00:01:00Z,site|power_w,2,W,1\n"
    early = head + "2026-07-01T12:00:00Z,site|power_w,3,W,0\n2026-07-02T00:01:00Z,site|power_w,9,W,1\n"
    counts = [
        store.append(site, read_readings(written(tmp_path, text), {}, OBJECTS, Reading()))
        for text in (late, early, late)
    ]
    assert counts == [(2, 0), (1, 1), (0, 2)]
    ((times, values, quality),) = store.read(site, 1_782_864_000_000, 1_782_964_800_000).values()
    assert values.tolist() == [3, 1, 2]
    assert quality.tolist() == [0, 1, 1]
    assert np.all(np.diff(times) > 0)
    assert TelemetryPoint.objects.count() == 1


@pytest.mark.compiled
def test_a_layout_compared_with_its_own_readings_leaves_nothing(sample_inputs):
    inputs = layout_inputs(sample_inputs(LAYOUT))
    published = publish(inputs, start_s=START_S, offset_s=OFFSET_S, hours=6, step_s=3600.0)
    measured = {
        key: (np.round(published.times * 1e3).astype(np.int64), values, np.ones(values.size, np.uint8))
        for key, values in published.points.items()
        if np.isfinite(values).all()
    }
    span = {"start_s": START_S, "end_s": START_S + 6 * 3600, "offset_s": OFFSET_S}
    year = described(inputs)
    told = compare(year, measured, **span)
    assert told.load_from == "output tokens"
    assert told.step_s == 3600
    for row in told.points:
        if "rmse_k" in row:
            assert row["rmse_k"] < 0.02, row
        elif row["nmbe_frac"] is not None:
            assert abs(row["nmbe_frac"]) < 0.002, row
    assert told.coverage[0]["ratio"] == pytest.approx(told.coverage[0]["predicted_ratio"], rel=1e-3)
    figure = told.figures["tokens_per_joule"]
    assert figure["measured"] == pytest.approx(figure["predicted"], rel=2e-3)

    racks = {key: columns for key, columns in measured.items() if "workload" not in key[0]}
    told = compare(year, racks, **span)
    assert told.load_from.startswith("power of")
    meter = next(row for row in told.points if row["object"] == "site" and row["quantity"] == "power_w")
    assert abs(meter["nmbe_frac"]) < 0.01

    biased = dict(measured)
    key = next(key for key in measured if key[1] == "secondary_return_degc")
    biased[key] = (measured[key][0], measured[key][1] + 1.0, measured[key][2])
    row = next(row for row in compare(year, biased, **span).points if (row["object"], row["quantity"]) == key)
    assert row["mean_error_k"] == pytest.approx(1.0, abs=0.02)
    assert row["covered_frac"] == 0.0


@pytest.mark.compiled
def test_a_few_points_with_gaps_and_bad_quality_are_compared_where_they_are_good(sample_inputs):
    inputs = layout_inputs(sample_inputs(LAYOUT))
    published = publish(inputs, start_s=START_S, offset_s=OFFSET_S, hours=4, step_s=3600.0)
    times = np.round(published.times * 1e3).astype(np.int64)
    rack = next(key for key in published.points if key[0].startswith("rack/") and key[1] == "power_w")
    other = ("feed/not there", "power_w")
    gap, good = np.array([0, 1, 3]), np.ones(4, np.uint8)
    measured = {
        ("weather", "dry_bulb_degc"): (times, published.points["weather", "dry_bulb_degc"], good),
        rack: (times[gap], published.points[rack][gap], np.array([1, 0, 1], np.uint8)),
        other: (times, np.ones(4), good),
    }
    told = compare(described(inputs), measured, start_s=START_S, end_s=START_S + 4 * 3600, offset_s=OFFSET_S)
    rows = {(row["object"], row["quantity"]): row for row in told.points}
    assert rows[rack]["n"] == 2  # one missing, one of bad quality
    assert rows[rack]["nmbe_frac"] == pytest.approx(0, abs=0.01)
    assert told.load_from == "power of 1 rack"
    assert told.weather_from == "measured dry bulb"
    assert told.not_predicted == ("feed/not there|power_w",)
    (racks,) = told.coverage  # a sum without the meter beside it
    assert (racks["state"], racks["ratio"]) == ("cannot", None)
    assert "site|power_w" in racks["missing"]
    assert told.figures["tokens_per_joule"]["measured"] is None


@pytest.mark.compiled
def test_the_commands_publish_map_ingest_and_compare(samples, tmp_path, capsys):
    out, packed, mapping = tmp_path / "points.csv", tmp_path / "points.csv.gz", tmp_path / "map.yaml"
    start = "2026-07-01T06:00:00-05:00"
    call_command("publish_telemetry", LAYOUT, start=start, hours=3, step=3600, noise="1", seed=4, out=out)
    packed.write_bytes(gzip.compress(out.read_bytes()))
    call_command("map_telemetry", LAYOUT, out, out=mapping)
    n = len(out.read_text().splitlines()) - 1
    capsys.readouterr()
    call_command("ingest_telemetry", LAYOUT, packed, mapping=mapping, json=True)
    assert json.loads(capsys.readouterr().out) == {"accepted": n, "duplicate": 0, "refused": {}}
    call_command("ingest_telemetry", LAYOUT, out, json=True)
    assert json.loads(capsys.readouterr().out) == {"accepted": 0, "duplicate": n, "refused": {}}
    scenario = samples.site.scenarios.first()  # the default, which the commands ask where none is named
    run = done_run(samples, scenario)  # made 1000 tokens/s, from 900 to 1100
    span = {"start": start, "end": "2026-07-01T09:00:00-05:00", "json": True}
    call_command("compare_telemetry", LAYOUT, **span)
    figure = json.loads(capsys.readouterr().out)["figures"]["output_tokens_per_s"]
    assert figure["low"] is None  # a run of another description has no say
    run.inputs_sha256 = snapshot.sha256(snapshot.canonical(snapshot.snapshot(samples, scenario)))
    run.save()
    call_command("compare_telemetry", LAYOUT, **span)
    told = json.loads(capsys.readouterr().out)
    figure = told["figures"]["output_tokens_per_s"]
    assert figure["low"] == pytest.approx(0.9 * figure["predicted"])
    assert figure["high"] == pytest.approx(1.1 * figure["predicted"])
    assert told["intervals"] == 3
    meter = next(row for row in told["points"] if row["object"] == "site" and row["quantity"] == "power_w")
    assert abs(meter["nmbe_frac"]) < 0.02
    empty = written(tmp_path, "time,point,value\n", "empty.csv")
    with pytest.raises(CommandError, match="no rows"):
        call_command("ingest_telemetry", LAYOUT, empty)
    with pytest.raises(CommandError, match="no good reading"):
        call_command("compare_telemetry", LAYOUT, start="2020-01-01T00:00Z", end="2020-01-02T00:00Z")


def test_the_list_names_quantities_faults_and_parameters(capsys):
    call_command("map_telemetry", list=True)
    told = capsys.readouterr().out
    assert all(word in told for word in ("secondary_supply_degc", "pump_wear", "ua_frac", "degF"))


def test_every_described_object_has_a_name_on_the_wire(sample_inputs):
    inputs = layout_inputs(sample_inputs(LAYOUT))
    names = layout_objects(inputs)
    assert len(names) == len(set(names))
    assert MappedPoint("p", names[0], "power_w").as_json()["object"] == names[0]
