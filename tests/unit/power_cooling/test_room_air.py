import numpy as np
import pytest

from power_cooling.cooling.room_air import air_metrics, rack_cooling_index_high, recirculation_by_position


def test_supply_heat_index_is_the_recirculated_share():
    supply, hot, r = 20.0, 35.0, np.array([0.0, 0.1, 0.3])
    inlet = (1 - r) * supply + r * hot
    metrics = air_metrics(supply, inlet, hot, hot)
    assert metrics.shi == pytest.approx(r, abs=1e-12)
    assert metrics.rhi == pytest.approx(1 - r, abs=1e-12)


def test_return_temperature_index_is_server_flow_over_unit_flow():
    # Units blow 1.25 times what servers draw: a fifth of the supply returns unused.
    supply, hot = 20.0, 35.0
    back = 0.2 * supply + 0.8 * hot
    assert air_metrics(supply, supply, hot, back).rti_frac == pytest.approx(0.8)


def test_metrics_are_undefined_without_heat():
    assert np.isnan(air_metrics(20.0, 20.0, 20.0, 20.0).shi)


def test_rack_cooling_index_spans_recommended_to_allowable():
    assert rack_cooling_index_high([20.0, 27.0]) == 1.0
    assert rack_cooling_index_high([32.0, 32.0]) == pytest.approx(0.0)
    assert rack_cooling_index_high([27.0, 32.0], [3.0, 1.0]) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="allowable_max_degc is 20"):
        rack_cooling_index_high([20.0], allowable_max_degc=20.0)


def test_row_ends_recirculate_most_and_containment_helps():
    place = np.arange(12)
    open_row = recirculation_by_position(place, 12, "none")
    assert open_row == pytest.approx(open_row[::-1])
    assert np.argmin(open_row) in (5, 6)
    assert open_row[0] > 2 * open_row[5]
    assert np.all(recirculation_by_position(place, 12, "hot_aisle") < open_row)


def test_a_place_outside_the_row_and_unknown_containment_are_refused():
    with pytest.raises(ValueError, match="position 12"):
        recirculation_by_position(12, 12)
    with pytest.raises(ValueError, match="containment is 'tent'"):
        recirculation_by_position(0, 12, "tent")
