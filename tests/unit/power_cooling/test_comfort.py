"""Limits of work in the heat against NIOSH, ISO 7243 and ISO 7933:2004's own table."""

import numpy as np
import pytest

from power_cooling.cooling import comfort
from power_cooling.fluids import psychrometrics


def test_wbgt_weighs_as_the_standard_says():
    # Validation table of pythermalcomfort's authors, ts_wbgt.json.
    assert comfort.wet_bulb_globe_degc(25.0, 32.0) == pytest.approx(27.1)
    assert comfort.wet_bulb_globe_degc(25.0, 32.0, 20.0) == pytest.approx(25.9)


def test_niosh_limits_are_the_published_lines():
    # NIOSH 2016-106, figures 8-1 and 8-2 at 300 W.
    assert comfort.recommended_exposure_limit_degc(300.0) == pytest.approx(28.2, abs=0.1)
    assert comfort.recommended_alert_limit_degc(300.0) == pytest.approx(25.0, abs=0.1)


def test_natural_wet_bulb_is_near_the_thermodynamic_one_in_moving_air():
    ratio = psychrometrics.humidity_ratio_from_relative_humidity(40.0, 0.2)
    wet = psychrometrics.wet_bulb_degc(40.0, ratio)
    assert comfort.natural_wet_bulb_degc(40.0, 40.0, 2.0, 0.2) == pytest.approx(wet, abs=1.0)
    # In still air radiation warms the bulb.
    assert comfort.natural_wet_bulb_degc(40.0, 40.0, 0.1, 0.2) > comfort.natural_wet_bulb_degc(40.0, 40.0, 2.0, 0.2)


def test_heat_strain_of_2004_is_its_table():
    # ISO 7933:2004, annex F; tolerances of the validation file (0.1 K, 1 min, 10 g).
    strain = comfort.predicted_heat_strain(
        40.0, 40.0, 0.3, 0.3385, metabolic_met=2.58, clothing_clo=0.5, edition="7933-2004"
    )
    assert strain.rectal_degc == pytest.approx(37.5, abs=0.1)
    assert strain.sweat_loss_g == pytest.approx(6166.4, abs=10)
    assert strain.water_loss_average_limit_minutes == pytest.approx(440, abs=1)
    assert strain.water_loss_most_limit_minutes == pytest.approx(298, abs=1)
    assert strain.allowed_minutes == pytest.approx(298, abs=1)
    assert strain.edition == "7933-2004"


def test_the_editions_differ_so_the_result_names_its_own():
    arguments = {"metabolic_met": 2.58, "clothing_clo": 0.5}
    old = comfort.predicted_heat_strain(40.0, 40.0, 0.3, 0.3385, edition="7933-2004", **arguments)
    new = comfort.predicted_heat_strain(40.0, 40.0, 0.3, 0.3385, **arguments)
    assert new.edition == "7933-2023"
    assert abs(float(new.sweat_loss_g - old.sweat_loss_g)) > 10


def test_heat_strain_of_a_hall_is_not_compiled():
    # Twelve seconds on a machine's first run, for what Python solves in 20 ms.
    model = comfort._heat_strain_model()
    assert model.__module__ == "pythermalcomfort_phs"
    assert not [name for name, value in model.__globals__.items() if hasattr(value, "py_func")]


def test_outside_the_standard_there_is_no_number_but_a_mask():
    strain = comfort.predicted_heat_strain([45.0, 55.0], [45.0, 55.0], 0.5, 0.15)
    assert strain.in_range.tolist() == [True, False]
    assert np.isnan(strain.allowed_minutes[1])


def test_hotter_aisles_allow_less_work():
    aisle = comfort.hot_aisle([35.0, 40.0, 45.0], [0.3, 0.2, 0.15])
    assert np.all(np.diff(aisle.wbgt_degc) > 0)
    assert np.all(np.diff(aisle.strain.allowed_minutes) <= 0)
    assert aisle.within_exposure.tolist() == [True, True, False]


@pytest.mark.compiled  # pythermalcomfort's own model: twelve seconds on a machine's first run
def test_comfort_vote_is_the_standards_table():
    # ISO 7730:2005, table D.1: 22 °C, 60 %, 0.1 m/s, 1.2 met, 0.5 clo gives -0.75; 27 °C gives 0.77.
    vote, share, inside = comfort.predicted_mean_vote([22.0, 27.0], [22.0, 27.0], 0.1, 0.6, clothing_clo=0.5)
    assert vote == pytest.approx([-0.75, 0.77], abs=0.1)
    assert share == pytest.approx([0.17, 0.17], abs=0.01)
    assert inside.all()


def test_impossible_work_is_refused():
    with pytest.raises(ValueError, match="metabolic_w must be greater than 0"):
        comfort.recommended_exposure_limit_degc(0.0)
    with pytest.raises(ValueError, match="air_m_per_s must be greater than 0"):
        comfort.natural_wet_bulb_degc(30.0, 30.0, 0.0, 0.5)
