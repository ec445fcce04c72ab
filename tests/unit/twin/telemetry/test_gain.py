"""What advice that was taken on has gained: the true gain inside the band, whatever weather and load did meanwhile."""

import csv
import io
import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from facility.models import Layout
from twin.core.inputs.layout import LayoutInputs, layout_inputs
from twin.core.inputs.parameters import Truth
from twin.core.solve.simulate import described
from twin.core.telemetry import gain as gains
from twin.core.telemetry.publish import Published, publish, usual_noise
from twin.core.telemetry.set_points import set_points, with_rows
from twin.models import Scenario
from twin.runs import snapshot
from twin.telemetry.set_point_files import GAIN_COLUMNS, gain_csv

pytestmark = [pytest.mark.compiled, pytest.mark.django_db]

DAY_S = 86_400.0
START_S = 1_782_864_000.0  # 2026-07-01
TAKEN_S, END_S = START_S + 5 * DAY_S, START_S + 9 * DAY_S
NOISE = usual_noise(1.0)


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
def rows(sample) -> list[dict]:
    """Eco mode, as an advice states it: 120 kW less in a year."""
    point = next(p for p in set_points(sample, described(sample).pools) if p.parameter == "eco_mode")
    promise = {
        "mean_power_w": {"value": -120e3, "low": -150e3, "high": -90e3},
        "tokens_per_joule": {"value": 0.016, "low": 0.012, "high": 0.02},
    }
    return [{"object": point.object, "parameter": "eco_mode", "from": 0.0, "to": 1.0, "gain": promise}]


@pytest.fixture(scope="module")
def plant(sample) -> list[Truth]:
    """A plant that is not as described: the twin errs by more than a tenth of what eco mode gains."""
    fans = Truth(f"hall/{sample.halls[0].name}", "fan_power_frac", 1.3)
    return [Truth("feed/UPS A", "ups_loss_frac", 0.8), fans]


def published(inputs, plant, start_s, end_s, noise=NOISE) -> Published:
    hours = (end_s - start_s) / 3600
    return publish(
        inputs, start_s=start_s, offset_s=0.0, hours=hours, step_s=1800, noise=noise, truths=plant, seed=int(start_s)
    )


def columns(*parts: Published) -> dict:
    found = {}
    for key in set.intersection(*(set(part.points) for part in parts)):
        times = np.concatenate([np.round(part.times * 1e3).astype(np.int64) for part in parts])
        values = np.concatenate([part.points[key] for part in parts])
        known = np.isfinite(values)
        found[key] = times[known], values[known], np.ones(int(known.sum()), np.uint8)
    return found


@pytest.fixture(scope="module")
def before(sample, plant) -> Published:
    return published(sample, plant, START_S, TAKEN_S)


@pytest.fixture(scope="module")
def changed(sample, rows) -> LayoutInputs:
    return with_rows(sample, described(sample).pools, rows)


def measured(sample, rows, readings, **more) -> dict:
    said = {"taken_s": TAKEN_S, "end_s": END_S, "offset_s": 0.0} | more
    return gains.measured_gain(sample, rows, readings, **said).as_json()


def test_the_true_gain_lies_inside_the_measured_band(sample, rows, plant, before, changed):
    found = measured(sample, rows, columns(before, published(changed, plant, TAKEN_S, END_S)))
    exact = [published(inputs, plant, TAKEN_S, END_S, noise=None) for inputs in (changed, sample)]
    watts = [part.points["site", "power_w"] for part in exact]
    tokens = exact[0].points["site", "output_tokens_per_s"].mean()
    true = {
        "mean_power_w": watts[0].mean() - watts[1].mean(),
        "tokens_per_joule": tokens / watts[0].mean() - tokens / watts[1].mean(),
    }
    assert found["state"] == gains.MEASURED, found["reason"]
    assert (found["verdict"], found["load_from"]) == ("as promised", "output tokens")
    assert (found["hours_before"], found["hours_after"]) == (120.0, 96.0)
    for name, value in true.items():
        band = found["figures"][name]["measured"]
        assert band["low"] < value < band["high"], name
        assert band["high"] - band["low"] < 0.2 * abs(value), name  # and narrow enough to say something
        assert found["figures"][name]["promised_year"] == rows[0]["gain"][name]
    assert len(found["days"]) == 4
    table = list(csv.DictReader(io.StringIO(gain_csv(found))))
    assert list(table[0]) == list(GAIN_COLUMNS)
    assert [row["day"] for row in table] == [*(day["day"] for day in found["days"]), "all"]
    assert float(table[-1]["gain_w"]) == found["figures"]["mean_power_w"]["measured"]["value"]


def test_what_was_said_and_not_done_gains_nothing(sample, rows, plant, before):
    found = measured(sample, rows, columns(before, published(sample, plant, TAKEN_S, END_S)))
    assert found["verdict"] == "less than promised"
    band = found["figures"]["mean_power_w"]["measured"]
    assert band["low"] < 0 < band["high"]


def test_the_power_of_the_racks_tells_the_load_where_no_tokens_are_counted(sample, rows, plant, before, changed):
    readings = columns(before, published(changed, plant, TAKEN_S, END_S))
    silent = {key: value for key, value in readings.items() if key[1] != "output_tokens_per_s"}
    found = measured(sample, rows, silent)
    assert found["load_from"].startswith("power of")
    assert found["verdict"] == "as promised"
    assert "tokens are the twin's" in found["notes"][0]


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ({("site", "power_w")}, "the site's meter (site|power_w) is not measured"),
        ({("weather", "dry_bulb_degc")}, "outdoor air (weather|dry_bulb_degc) is not measured"),
        ({"output_tokens_per_s", "rack"}, "the load is not measured"),
    ],
)
def test_what_is_missing_is_named(sample, rows, before, left_out, said):
    readings = {
        key: value
        for key, value in columns(before).items()
        if key not in left_out and key[1] not in left_out and not ("rack" in left_out and key[0].startswith("rack/"))
    }
    found = measured(sample, rows, readings)
    assert found["state"] == "not enough readings yet"
    assert said in found["reason"]
    assert found["figures"] == {}


def test_too_few_hours_are_said_plainly(sample, rows, plant, before):
    assert measured(sample, rows, columns(before))["reason"] == "the meter has no reading after the change"
    later = published(sample, plant, TAKEN_S, TAKEN_S + 0.5 * DAY_S)
    found = measured(sample, rows, columns(before, later))
    assert found["reason"].startswith("12 h after the change have readings")
    assert (found["hours_before"], found["hours_after"]) == (120.0, 12.0)
    assert "12 h after the change" in gain_csv(found)


def test_a_power_limit_is_judged_by_tokens_only(sample, before):
    point = next(p for p in set_points(sample, described(sample).pools) if p.parameter == "accelerator_power_limit_w")
    row = {"object": point.object, "parameter": point.parameter, "from": point.now, "to": point.low, "gain": {}}
    readings = {key: value for key, value in columns(before).items() if key[1] != "output_tokens_per_s"}
    assert "does not tell the load" in measured(sample, [row], readings)["reason"]


def test_a_layout_that_did_not_stand_where_the_advice_began_is_refused(changed, sample, rows, before):
    with pytest.raises(ValueError, match="it was advised from 0"):
        measured(changed, rows, columns(before))
    with pytest.raises(ValueError, match="has no set point eco_mode of feed/Nothing"):
        measured(sample, [rows[0] | {"object": "feed/Nothing"}], columns(before))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "is no JSON"),
        ("[]", "must be a list of set points"),
        ('{"advice": []}', "must be a list of set points"),
        ('[{"object": "feed/A"}]', "set point 1 has no parameter"),
    ],
)
def test_the_command_refuses_an_odd_file(layout, tmp_path, text, said):
    path = tmp_path / "advice.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=said):
        call_command("measure_gain", layout.path, advice=path, taken_at="2026-07-01T00:00:00Z")


def test_the_command_refuses_odd_times_and_orders(layout, rows, tmp_path):
    path = tmp_path / "advice.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(CommandError, match="has no zone"):
        call_command("measure_gain", layout.path, advice=path, taken_at="2026-07-01T00:00:00")
    with pytest.raises(CommandError, match="--end must be after"):
        call_command(
            "measure_gain", layout.path, advice=path, taken_at="2026-07-01T00:00:00Z", end="2026-07-01T00:00:00Z"
        )
    with pytest.raises(CommandError, match="--orders has 2; the advice has set points 1 to 1"):
        call_command("measure_gain", layout.path, advice=path, taken_at="2026-07-01T00:00:00Z", orders="2")
