"""DSX Exchange's BMS topics: what a topic and a message say, what points seem to be, and our own way there and back."""

import json

import pytest

from tests.small_inputs import small_inputs
from twin.core.inputs.layout import RackColumns, column_names
from twin.core.telemetry import dsx_bms, dsx_file, dsx_topology
from twin.core.telemetry.predicted import layout_objects
from twin.core.telemetry.quantities import QUANTITIES

OBJECTS = ("rack/Hall 1/B07", "rack/Hall 2/B07", "rack/Hall 2/B08", "cdu/CDU-2", "feed/RPP-3", "weather", "site")
VALUE = '{"value": 31.8, "timestamp": 1796050800000, "quality": 1}'


def metadata(object_type: str, point_type: str, **more) -> dict:
    return {"objectType": object_type, "pointType": point_type, **more}


@pytest.mark.parametrize(
    ("topic", "point"),
    [
        ("BMS/v1/PUB/Value/Rack/RackPower/H1/B07", "Rack/RackPower/H1/B07"),
        ("BMS/v1/PUB/Metadata/CDU/LiquidFlow/a/b/c/d", "CDU/LiquidFlow/a/b/c/d"),
        ("BMS/v1/mepai/Value/CDU/LiquidTemperatureSpRequest/x", "CDU/LiquidTemperatureSpRequest/x"),
        ("BMS/v2/PUB/Value/Rack/RackPower/B07", None),
        ("BMS/v1/PUB/Value/Rack/RackPower", None),
        ("BMS/v1/PUB/State/Rack/RackPower/B07", None),
        ("grid/v1/isv/x/loadtarget/set/y", None),
    ],
)
def test_a_topic_is_read_with_levels_in_its_tag_path(topic, point):
    found = dsx_bms.topic_of(topic)
    assert (found.point if found else None) == point


def test_a_value_is_its_time_number_and_quality():
    assert dsx_bms.value_of(VALUE.encode()) == (1_796_050_800_000, 31.8, 1)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"value": null, "timestamp": 1, "quality": 1}', "no value"),
        ('{"value": NaN, "timestamp": 1, "quality": 1}', "no value"),
        ('{"value": true, "timestamp": 1, "quality": 1}', "value is no number"),
        ('{"value": "3", "timestamp": 1, "quality": 1}', "value is no number"),
        ('{"value": 1' + "0" * 400 + ', "timestamp": 1, "quality": 1}', "value is no number"),
        ('{"value": 3, "timestamp": 1.5, "quality": 1}', "timestamp is no whole number"),
        ('{"value": 3, "timestamp": 1, "quality": -1}', "quality is no whole number"),
        ('{"value": 3, "timestamp": 1, "quality": 1, "unit": "kW"}', "and nothing else"),
        ('{"value": 3}', "and nothing else"),
        ("[1]", "message is no object"),
        ("\xff", "message is no JSON"),
        ("[" * 10_000, "message is no JSON"),
        (" " * 20_000, "more than 16,384 bytes"),
    ],
)
def test_a_message_that_is_no_value_says_why(message, reason):
    with pytest.raises(ValueError, match=reason):
        dsx_bms.value_of(message.encode("latin-1"))


def test_what_is_said_of_a_point_must_be_of_its_topic():
    topic = dsx_bms.topic_of("BMS/v1/PUB/Metadata/Rack/RackPower/B07")
    for said, reason in (
        (metadata("CDU", "RackPower"), "objectType is CDU, its topic says Rack"),
        (metadata("Rack", "RackPower", engUnit="kW", stateText=[]), "both engUnit and stateText"),
        (metadata("Rack", "RackPower", servesId="x"), "servesId must be a list"),
    ):
        with pytest.raises(ValueError, match=reason):
            dsx_bms.checked_metadata(topic, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("point", "said", "meant", "reason"),
    [
        (
            "Rack/RackLiquidFlow/Hall 2/row B/B07/flow",
            metadata("Rack", "RackLiquidFlow", engUnit="LPM", rackLocationName="B07", rackLocationId="9c1d"),
            ("rack/Hall 2/B07", "liquid_flow_kg_s", "l/min"),
            "name, type and unit",
        ),
        (
            "Rack/RackPower/B07",
            metadata("Rack", "RackPower", engUnit="kW", rackLocationName="B07"),
            None,
            "could be rack/Hall 1/B07, rack/Hall 2/B07",
        ),
        (
            "CDU/LiquidTemperature/plant/cdu2/t1",
            metadata("CDU", "LiquidTemperature", engUnit="C", objectName="CDU-2", processArea=["TCS supply"]),
            ("cdu/CDU-2", "secondary_supply_degc", "C"),
            "name, type and unit",
        ),
        (
            "CDU/LiquidTemperature/plant/cdu2/t3",
            metadata("CDU", "LiquidTemperature", engUnit="C", objectName="CDU-2"),
            None,
            "which side of the CDU",
        ),
        (
            "CDU/PumpSpeed/plant/cdu2/s",
            metadata("CDU", "PumpSpeed", engUnit="RPM", objectName="CDU-2"),
            None,
            "unit RPM is none of it",
        ),
        (
            "PowerMeter/ActivePower/e/17",
            metadata("PowerMeter", "ActivePower", engUnit="kw", objectName="M-17", objectId="m17", servesId=["rpp-3"]),
            ("feed/RPP-3", "power_w", "kw"),
            "name, type and unit",
        ),
        (
            "Sensor/AirTemperature/roof/oat",
            metadata("Sensor", "AirTemperature", engUnit="C", objectName="Roof"),
            ("weather", "dry_bulb_degc", "C"),
            "name, type and unit",
        ),
        ("CDU/Status/cdu2", metadata("CDU", "Status", stateText=[{"value": 0}]), None, "no measurement"),
        ("System/HeartbeatTimestampBms/x", metadata("System", "HeartbeatTimestampBms"), None, "no measurement"),
    ],
)
def test_points_of_a_building_are_proposed_or_left_with_the_reason(point, said, meant, reason):
    (found,) = dsx_bms.propose({point: said}, OBJECTS)
    mapped = found.mapped
    assert (mapped and (mapped.object, mapped.quantity, mapped.unit)) == meant
    assert reason in found.reason
    assert found.confidence < 1.0  # somebody has to agree


def test_two_points_do_not_become_the_same_quantity():
    said = metadata("CDU", "LiquidTemperature", engUnit="C", objectName="CDU-2", processArea=["TCS supply"])
    first, second = dsx_bms.propose({f"CDU/LiquidTemperature/x/{i}": said for i in (1, 2)}, OBJECTS)
    assert first.mapped
    assert second.mapped is None
    assert "already" in second.reason


def test_a_layout_goes_out_and_comes_back_as_the_same_points_and_values(tmp_path):
    inputs = small_inputs(
        halls=[{"name": "Hall 1"}, {"name": "Hall+2#"}],
        cdus=[{"name": "CDU-1"}, {"name": "CDU 2/b"}],
        feeds=[{"name": "UPS-A", "kind": "ups"}, {"name": "RPP 1", "kind": "pdu", "parent_id": 1}],
        racks={name: [None, None] for name in column_names(RackColumns)}
        | {"id": [1, 2], "name": ["A-01", "A-02"], "hall_id": [1, 2], "cdu_id": [1, 1], "feed_a_id": [2, 1]},
    )
    objects = layout_objects(inputs)
    quantities = {
        "rack": ("power_w", "liquid_supply_degc", "liquid_flow_kg_s", "valve_frac", "requests_running"),
        "cdu": ("power_w", "speed_frac", "valve_frac", "primary_return_degc", "secondary_differential_pressure_pa"),
    }
    points = [
        (name, quantity)
        for name in [*objects, "workload/chat"]
        for quantity in quantities.get(name.partition("/")[0], ("power_w", "air_supply_degc", "output_tokens_per_s"))
        if not (name.endswith("/accelerators") and quantity.startswith("liquid"))
    ]
    serves = dsx_topology.serves(inputs)
    lines = []
    for i, key in enumerate(points):
        topic = dsx_bms.topic_text(*key)
        assert "#" not in topic
        assert "+" not in topic
        lines.append(f"{topic} {dsx_bms.value_text(*key, 1.7e9, 0.25 + i / 1024)}")
        said = dsx_bms.metadata_of(*key, serves.get(key[0], ()))
        lines.append(json.dumps({"topic": dsx_bms.topic_text(*key, dsx_bms.METADATA), "payload": said}))
    lines += ["BMS/v1/PUB/Value/Rack/RackPower/unknown " + VALUE, "nonsense", "BMS/v1/PUB/Value/Rack/RackPower/x {"]
    path = tmp_path / "points.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = dsx_file.read_readings(path, {}, objects)
    found = {(entry.object, entry.quantity): columns for entry, columns in read.points.items()}
    assert found.keys() == set(points)
    for i, key in enumerate(points):
        times, values, quality = found[key]
        assert (times.tolist(), quality.tolist()) == ([1_700_000_000_000], [1])
        assert values.tolist() == pytest.approx([0.25 + i / 1024], rel=1e-8), (key, QUANTITIES[key[1]].unit)
    assert read.refused.total() == 3
    told = dict(dsx_bms.topology(dsx_file.file_metadata(path)))
    assert set(told["CDU-1"]) == {"A-01", "A-02"}
    assert set(told["UPS-A"]) == {"A-02", "RPP 1"}


def test_a_file_without_a_message_is_refused(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("time,point,value\n")
    with pytest.raises(ValueError, match=r"no message of BMS/v1"):
        dsx_file.read_readings(path, {}, OBJECTS)
