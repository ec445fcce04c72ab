"""A layout's own points, published, mapped, stored and compared."""

import csv

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from facility.models import Layout
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from twin.core.inputs.layout import layout_inputs
from twin.core.telemetry import publish
from twin.core.telemetry.predicted import hour_of_year
from twin.core.telemetry.quantities import QUANTITIES, UNITS, split_point

LAYOUT = "sterling/gb200-nvl72"
START = "2026-07-01T06:00:00-05:00"


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    return layout_inputs(sample_inputs(LAYOUT))


@pytest.fixture(scope="module")
def published(inputs):
    return publish.publish(inputs, start_s=1_782_903_600.0, offset_s=-18_000.0, hours=4, step_s=1800.0)


@pytest.fixture
def samples(db):
    load_shipped(CATALOGUE, SAMPLES)
    return Layout.objects.select_related("site").get(slug="gb200-nvl72", site__slug="sterling")


def test_every_unit_leads_to_a_unit_of_some_quantity():
    assert {unit.si for unit in UNITS.values()} == {quantity.unit for quantity in QUANTITIES.values()}


@pytest.mark.compiled
def test_what_is_published_is_inside_the_range_of_its_quantity_and_between_hours_on_a_line(published):
    assert published.times.size == 8
    racks = sum(v for (name, q), v in published.points.items() if name.startswith("rack/") and q == "power_w")
    meter = published.points["site", "power_w"]
    assert np.all(racks < meter)
    assert np.all(racks > 0.5 * meter)
    for (name, quantity), values in published.points.items():
        assert quantity in QUANTITIES, name
        assert np.all((values >= QUANTITIES[quantity].low) & (values <= QUANTITIES[quantity].high)), (name, quantity)
    half = published.points["weather", "dry_bulb_degc"]
    assert half[1] == pytest.approx((half[0] + half[2]) / 2)


@pytest.mark.compiled
def test_noise_is_that_of_the_usual_sensor_and_follows_the_seed(inputs, published):
    noisy = publish.publish(
        inputs,
        start_s=1_782_903_600.0,
        offset_s=-18_000.0,
        hours=4,
        step_s=20.0,
        noise=publish.usual_noise(2.0),
        seed=3,
    )
    name = ("weather", "dry_bulb_degc")
    exact = np.interp(noisy.times, published.times, published.points[name])[:360]
    assert np.std(noisy.points[name][:360] - exact) == pytest.approx(2 * QUANTITIES[name[1]].sigma, rel=0.15)


@pytest.mark.compiled
def test_a_sensor_fault_touches_its_point_from_its_start_only(inputs, published):
    fault = publish.fault_of(
        inputs, f"kind=sensor_bias,object=weather|dry_bulb_degc,start={START[:10]}T08:00:00-05:00,size=0.5"
    )
    read = publish.publish(inputs, start_s=1_782_903_600.0, offset_s=-18_000.0, hours=4, step_s=1800.0, faults=[fault])
    added = read.points["weather", "dry_bulb_degc"] - published.points["weather", "dry_bulb_degc"]
    np.testing.assert_allclose(added, [0, 0, 0, 0, 1.5, 1.5, 1.5, 1.5])
    np.testing.assert_array_equal(read.points["site", "power_w"], published.points["site", "power_w"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind=fouling,object=weather,start=2026-07-01,size=0.5", "fouling belongs to cdu, not to weather"),
        ("kind=ups_degraded,object=feed/Utility,start=2026-07-01,size=0.5", "belongs to a UPS"),
        ("kind=phase_loss,object=rack/Data hall/A-01,start=2026-07-01,size=0.5", "belongs to feed"),
        ("kind=rust,object=weather,start=2026-07-01,size=0.5", "rust is unknown"),
        ("kind=sensor_bias,object=cdu/none,start=2026-07-01,size=0.5", "no object of the layout"),
        ("kind=sensor_bias,object=weather,start=2026-07-01,size=2", "size is 2"),
        ("kind=sensor_bias,object=weather,size=1", "has no start"),
        ("kind=sensor_bias,object=weather,start=2026-07-01T12:00:00,size=1", "with its zone"),
    ],
)
def test_a_fault_that_cannot_be_published_is_refused_by_name(inputs, text, said):
    with pytest.raises(ValueError, match=said):
        publish.fault_of(inputs, text)


def test_a_parameter_that_the_plant_cannot_apply_is_refused_by_name(inputs):
    rows = [{"object": "site", "parameter": "cold_plate_resistance_frac", "value": 0.8}]
    with pytest.raises(ValueError, match="cold_plate_resistance_frac is not applied"):
        publish.truths_of(inputs, rows)
    with pytest.raises(ValueError, match="ua_frac belongs to cdu"):
        publish.truths_of(inputs, [{"object": "site", "parameter": "ua_frac", "value": 0.8}])
    with pytest.raises(ValueError, match="must be 0.3 to 2"):
        publish.truths_of(inputs, [{"object": f"cdu/{inputs.cdus[0].name}", "parameter": "ua_frac", "value": 9}])


@pytest.mark.compiled
def test_a_truth_moves_what_its_parameter_means(inputs, published):
    cdu, hall = inputs.cdus[0], inputs.halls[0]
    ups = next(feed for feed in inputs.feeds if feed.kind == "ups")
    transformer = next(feed for feed in inputs.feeds if feed.kind == "transformer")

    def told(name: str, parameter: str, value: float) -> dict:
        truths = publish.truths_of(inputs, [{"object": name, "parameter": parameter, "value": value}])
        return publish.publish(
            inputs, start_s=1_782_903_600.0, offset_s=-18_000.0, hours=4, step_s=1800.0, truths=truths
        ).points

    for name, parameter, moved in (
        # a fouled unit holds its supply with more facility water
        (f"cdu/{cdu.name}", "ua_frac", (f"cdu/{cdu.name}", "primary_flow_kg_s")),
        (f"feed/{ups.name}", "ups_loss_frac", ("site", "power_w")),
        (f"feed/{transformer.name}", "transformer_loss_frac", ("site", "power_w")),
        (f"hall/{hall.name}", "fan_power_frac", ("site", "power_w")),
        (f"cdu/{cdu.name}", "pump_efficiency_frac", (f"cdu/{cdu.name}", "power_w")),
        (f"hall/{hall.name}", "containment_leakage_frac", (f"hall/{hall.name}", "air_flow_kg_s")),
    ):
        value = 0.5 if parameter in ("ua_frac", "pump_efficiency_frac") else 1.5
        now, was = told(name, parameter, value)[moved], published.points[moved]
        assert np.all(now > was * (1 + 1e-6)), (name, parameter)


def test_the_hour_of_the_year_is_that_of_the_stated_clock():
    assert hour_of_year(np.array([1_782_903_600.0]), -18_000.0, 8760)[0] == 181 * 24 + 6
    leap_day = np.array([1_709_208_000.0])  # 2024-02-29T12:00:00Z
    assert hour_of_year(leap_day, 0.0, 8760)[0] == 58 * 24 + 12
    assert hour_of_year(leap_day, 0.0, 8784)[0] == 59 * 24 + 12


@pytest.mark.compiled
def test_the_command_writes_points_that_carry_their_mapping(samples, tmp_path):
    out = tmp_path / "points.csv"
    call_command("publish_telemetry", LAYOUT, start=START, hours=2, step=3600, noise="1", out=out, verbosity=0)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["time"] for row in rows} == {"2026-07-01T11:00:00Z", "2026-07-01T12:00:00Z"}
    assert all(split_point(row["point"])[1] in QUANTITIES and row["quality"] == "1" for row in rows)
    with pytest.raises(CommandError, match="no zone"):
        call_command("publish_telemetry", LAYOUT, start="2026-07-01", hours=2, step=3600, out=out)
