"""Limits of work in the heat against NIOSH, ISO 7243 and ISO 7933:2004's own table."""

import numpy as np
import pytest

from power_cooling.cooling import comfort
from power_cooling.cooling.heat_strain import HeatStrainEdition, predicted_heat_strain
from power_cooling.fluids import psychrometrics


def test_wbgt_weighs_as_the_standard_says():
    # Validation table of the pythermalcomfort project, ts_wbgt.json.
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
    strain = predicted_heat_strain(40.0, 40.0, 0.3, 0.3385, metabolic_met=2.58, clothing_clo=0.5, edition="7933-2004")
    assert strain.rectal_degc == pytest.approx(37.5, abs=0.1)
    assert strain.sweat_loss_g == pytest.approx(6166.4, abs=10)
    assert strain.water_loss_average_limit_minutes == pytest.approx(440, abs=1)
    assert strain.water_loss_most_limit_minutes == pytest.approx(298, abs=1)
    assert strain.allowed_minutes == pytest.approx(298, abs=1)
    assert strain.edition == "7933-2004"


@pytest.mark.parametrize(
    ("edition", "rectal_degc", "sweat_g", "minutes"),
    [
        (
            "7933-2004",
            [37.630675081897834, 37.51869045216992, 37.63184292307129],
            [3735.144376887534, 6572.2885213707395, 5141.673066123497],
            [480.0, 280.0, 354.0],
        ),
        (
            "7933-2023",
            [37.6300343145147, 37.52317386766494, 37.62047692630159],
            [3733.4586037440376, 6333.473504330982, 5003.608221099885],
            [480.0, 290.0, 363.0],
        ),
    ],
)
def test_heat_strain_is_that_of_another_program(
    edition: HeatStrainEdition, rectal_degc: list[float], sweat_g: list[float], minutes: list[float]
):
    # pythermalcomfort 4.8.1, a program of the standard by others, at three states.
    strain = predicted_heat_strain(
        [35.0, 40.0, 45.0],
        [35.0, 42.0, 50.0],
        [1.0, 0.3, 1.5],
        [0.30, 0.3385, 0.15],
        metabolic_met=[2.6, 2.58, 2.0],
        clothing_clo=[0.6, 0.5, 0.9],
        edition=edition,
    )
    assert strain.rectal_degc == pytest.approx(rectal_degc, rel=1e-9)
    assert strain.sweat_loss_g == pytest.approx(sweat_g, rel=1e-9)
    assert strain.allowed_minutes.tolist() == minutes


def test_the_editions_differ_so_the_result_names_its_own():
    arguments = {"metabolic_met": 2.58, "clothing_clo": 0.5}
    old = predicted_heat_strain(40.0, 40.0, 0.3, 0.3385, edition="7933-2004", **arguments)
    new = predicted_heat_strain(40.0, 40.0, 0.3, 0.3385, **arguments)
    assert new.edition == "7933-2023"
    assert abs(float(new.sweat_loss_g - old.sweat_loss_g)) > 10


def test_outside_the_standard_there_is_no_number_but_a_mask():
    strain = predicted_heat_strain([45.0, 55.0], [45.0, 55.0], 0.5, 0.15)
    assert strain.in_range.tolist() == [True, False]
    assert np.isnan(strain.allowed_minutes[1])


def test_hotter_aisles_allow_less_work():
    aisle = comfort.hot_aisle([35.0, 40.0, 45.0], [0.3, 0.2, 0.15])
    assert np.all(np.diff(aisle.wbgt_degc) > 0)
    assert np.all(np.diff(aisle.strain.allowed_minutes) <= 0)
    assert aisle.within_exposure.tolist() == [True, True, False]


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
    with pytest.raises(ValueError, match="posture is 'lying'; must be one of standing, sitting, crouching"):
        predicted_heat_strain(35.0, 35.0, 1.0, 0.3, posture="lying")
