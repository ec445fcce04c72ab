"""What a site draws for itself: by the floor, the engines and the outdoor air."""

import numpy as np
import pytest

from power_cooling.site_arrays import OwnLoad
from tests.small_inputs import small_inputs
from twin.core.inputs.own_load import own_load

FEEDS = [{"name": "Utility", "kind": "utility", "rating_w": 1e7}]
ENGINES = {"name": "Engines", "kind": "generator", "rating_w": 3e6, "n_units": 5}


def test_offices_follow_the_halls_and_services_the_racks():
    inputs = small_inputs(halls=[{"name": "Hall", "width_m": 20.0, "depth_m": 10.0}], feeds=FEEDS)
    own = own_load(inputs, np.array([1e5, 3e5]))
    assert own.building_w == pytest.approx(100.0 * 157.15e3 / 8760, rel=1e-3)  # 14.6 kWh a square foot: 157 a m²
    assert own.services_w == pytest.approx(400.0)
    assert own.heater_w == 0.0


def test_engine_heaters_run_half_the_time_in_mild_air_and_not_at_all_when_it_is_hot():
    own = own_load(small_inputs(feeds=[*FEEDS, ENGINES]), np.zeros(1))
    assert own.heater_w == pytest.approx(45e3)
    shares = own.heaters_w(np.array([-30.0, -18.0, 10.0, 43.0, 50.0])) / own.heater_w
    assert shares == pytest.approx([1.0, 1.0, 0.541, 0.0, 0.0], abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"building_w": -1.0}, "OwnLoad.building_w is -1 W; must be at least 0"),
        ({"heater_hold_degc": -30.0}, "must be above heater_full_degc"),
        ({"room_cop": 0.0}, "OwnLoad.room_cop is 0; must be greater than 0"),
    ],
)
def test_an_impossible_load_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        OwnLoad(**changes)
