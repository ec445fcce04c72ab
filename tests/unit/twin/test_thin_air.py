"""What thin air does to machines that move it, and what low flow does to a dry cooler's tubes."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.cooling.plant import plant_capacities_w, solve_plants
from power_cooling.site_arrays import Weather
from twin.core.inputs import equipment
from twin.core.inputs.layout import LayoutInputs, layout_inputs

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]

WARM = Weather(np.array([25.0]), np.array([0.008]), np.array([101325.0]))
FACILITY_WATER = 1  # the plant of the sample with dry coolers


@pytest.fixture
def sea_level(sample_inputs) -> LayoutInputs:
    inputs = layout_inputs(sample_inputs("sterling/gb200-nvl72"))
    return replace(inputs, site=replace(inputs.site, elevation_m=0.0))


def at(inputs: LayoutInputs, elevation_m: float):
    """Return halls and plants of a layout at an elevation."""
    moved = replace(inputs, site=replace(inputs.site, elevation_m=elevation_m))
    heat_w = equipment.design_heat_w(moved, equipment.rack_table(moved))
    return equipment.hall_bank(moved), equipment.plant_bank(moved, heat_w)


def test_at_sea_level_machines_take_what_their_sheets_say(sea_level):
    _, plants = at(sea_level, 0.0)
    assert plants.outdoor_capacity_w[FACILITY_WATER] == pytest.approx(1e6, rel=1e-9)


def test_a_dry_cooler_loses_a_seventh_at_2000_m_and_its_fans_a_fifth(sea_level):
    _, plants = at(sea_level, 2000.0)
    # Makers' correction for 2,000 m lies at 0.85 to 0.88 at the same fan speed.
    assert 0.83 < plants.outdoor_capacity_w[FACILITY_WATER] / 1e6 < 0.89
    assert plants.cooler_fan_w[FACILITY_WATER] == pytest.approx(22e3 * 79495 / 101325, rel=1e-3)


def test_air_units_move_less_air_at_a_height_with_less_power(sea_level):
    (low, _), (high, _) = at(sea_level, 0.0), at(sea_level, 2000.0)
    thin = 79495 / 101325  # standard atmosphere, ASHRAE Fundamentals, chapter 1, table 1
    assert high.unit_air_kg_s / low.unit_air_kg_s == pytest.approx([thin], rel=1e-3)
    assert high.unit_fan_w / low.unit_fan_w == pytest.approx([thin], rel=1e-3)
    # The air's film is 0.6 of the resistance: 1 / (0.4 + 0.6 · 0.785^-0.7)
    assert high.coil_ua_w_per_k / low.coil_ua_w_per_k == pytest.approx([1 / (0.4 + 0.6 * thin**-0.7)], rel=1e-3)


def test_a_fan_needs_more_speed_for_the_same_heat_in_thin_air(sea_level):
    """The same air outdoors, so that only the machines differ."""
    fans = []
    for elevation_m in (0.0, 2000.0):
        _, plants = at(sea_level, elevation_m)
        heat_w, flow_kg_s = np.array([0.0, 5e6]), plants.design_flow_kg_s
        speed_power = solve_plants(plants, heat_w, flow_kg_s, WARM).cooler_fan_power_w[0, FACILITY_WATER]
        fans.append(speed_power / plants.cooler_fan_w[FACILITY_WATER])
    assert fans[1] > 1.1 * fans[0]


def test_a_dry_cooler_at_a_third_of_its_flow_takes_less_than_its_air_alone_would_let_it(sea_level):
    _, plants = at(sea_level, 0.0)
    bare = replace(plants, cooler_water_film_frac=0.0)
    heat_w = np.array([0.0, 2e6])
    rated_kg_s = 7 * plants.cooler_water_w_per_k[FACILITY_WATER] / plants.cp_j_per_kg_k[FACILITY_WATER]
    for flow_frac, loses in ((1.0, False), (0.33, True)):
        flow = np.array([plants.design_flow_kg_s[0], flow_frac * rated_kg_s])
        with_film, without = (plant_capacities_w(p, heat_w, flow, WARM)[0, FACILITY_WATER] for p in (plants, bare))
        if loses:
            # 1 / (0.8 + 0.2 · 0.33^-0.8) is 0.78 of the UA; less of the capacity, since so little water warms the air.
            assert 0.78 < with_film / without < 0.99
        else:
            assert with_film == pytest.approx(without, rel=1e-6)
