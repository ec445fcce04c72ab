"""Residuals in bands by object and frame, against values worked by hand."""

import numpy as np
import pytest

from twin.core.telemetry.residuals import NONE, Beside, frames_of
from twin.core.telemetry.scores import band_half_width

TIMES = np.arange(4, dtype=np.int64) * 3_600_000
FLAT = np.full(4, 30.0)


def beside(residual) -> Beside:
    return Beside(TIMES, FLAT + np.array(residual, float), FLAT)


def test_half_a_band_is_two_sigmas_of_a_usual_sensor():
    assert band_half_width("power_w", np.array([1e6])) == pytest.approx(1e4, rel=2e-4)  # class 0.5 meter
    assert band_half_width("secondary_supply_degc", np.array([40.0])) == pytest.approx(0.3, rel=2e-4)


def test_levels_double_and_keep_their_sign_and_gaps_stay_gaps():
    points = {
        ("cdu/A", "secondary_supply_degc"): beside([0.1, 0.4, -0.7, 3.0]),
        ("cdu/B", "secondary_supply_degc"): beside([np.nan, np.nan, np.nan, 0.0]),
    }
    frames = frames_of(points, [])
    assert frames.levels["cdu/A"][1:].tolist() == [0, 1, -2, 4]
    assert frames.levels["cdu/A"][0] == 3  # root mean square 1.56 K, mean above 0
    assert frames.levels["cdu/B"].tolist() == [0, NONE, NONE, NONE, 0]
    assert frames.starts_ms.tolist()[1:] == TIMES.tolist()


def test_an_object_has_the_colour_of_its_point_furthest_off_and_inputs_say_nothing():
    points = {
        ("cdu/A", "secondary_supply_degc"): beside([0.0, 0.0, 0.0, 0.0]),
        ("cdu/A", "secondary_return_degc"): beside([-1.0, -1.0, -1.0, -1.0]),
        ("weather", "dry_bulb_degc"): beside([9.0, 9.0, 9.0, 9.0]),
    }
    frames = frames_of(points, [("weather", "dry_bulb_degc")], n_frames=2)
    assert set(frames.levels) == {"cdu/A"}
    assert frames.levels["cdu/A"].tolist() == [-2, -2, -2]
    assert [len(row) for row in frames.worst] == [2, 2, 2]
    assert frames.worst[0][0].key == ("cdu/A", "secondary_return_degc")
    assert frames.worst[0][0].residual == pytest.approx(-1.0)
    (worst,) = frames.components
    assert (worst.quantity, round(worst.rms_bands, 2)) == ("secondary_return_degc", 3.33)


def test_nothing_kept_has_no_frames():
    assert frames_of({}, []).worst == ()
