import numpy as np
import pytest

from power_cooling.cooling.chillers import CoolingMode
from power_cooling.cooling.heat_rejection import DryCoolers, dry_cooler_supply
from power_cooling.cooling.plant import HOTTEST_WATER_DEGC, plant_capacities_w, solve_plants
from power_cooling.cooling.towers import MerkelTowers, merkel_supply
from power_cooling.fluids.psychrometrics import humidity_ratio_from_relative_humidity, wet_bulb_degc
from power_cooling.site_arrays import ChillerModel, PlantBank, Weather

DRY_BULB = np.linspace(-10.0, 45.0, 12)
WEATHER = Weather(DRY_BULB, humidity_ratio_from_relative_humidity(DRY_BULB, 0.5))
HEAT_W, FLOW_KG_S = 4e6, 120.0
DRY = {"n_coolers": 5.0, "cooler_ua_w_per_k": 120e3, "cooler_air_m3_per_s": 105.0, "cooler_fan_w": 22e3}
TOWERS = {
    "n_towers": 2.0,
    "tower_ua_w_per_k": 90e3,
    "tower_air_m3_per_s": 60.0,
    "tower_water_kg_s": 80.0,
    "tower_fan_w": 24e3,
    "tower_pump_w": 20e3,
}
CHILLERS = {"n_chillers": 4.0, "chiller_model": int(ChillerModel.CARNOT), "chiller_capacity_w": 1.2e6}


def plant(setpoint_degc, **parts):
    return PlantBank(supply_set_degc=[setpoint_degc], design_flow_kg_s=FLOW_KG_S, **parts)


def test_dry_coolers_agree_with_the_component():
    solved = solve_plants(plant(35.0, **DRY), HEAT_W, FLOW_KG_S, WEATHER)
    one = np.ones(1)
    coolers = DryCoolers(120e3 * one, 105.0 * one, 22e3 * one, 0.6 * one, 3.0 * one, 0.1 * one)
    by_hand = dry_cooler_supply(
        coolers, HEAT_W / 5, FLOW_KG_S * 4180.0 / 5, WEATHER.dry_bulb_degc, 35.0, humidity_ratio=WEATHER.humidity_ratio
    )
    assert solved.supply_degc[:, 0] == pytest.approx(by_hand.supply_degc, abs=1e-9)
    assert solved.cooler_fan_power_w[:, 0] == pytest.approx(5 * by_hand.fan_power_w, rel=1e-9)


def test_direct_towers_agree_with_the_component():
    solved = solve_plants(plant(22.0, **TOWERS), HEAT_W, FLOW_KG_S, WEATHER)
    one = np.ones(1)
    towers = MerkelTowers(
        90e3 * one, 60.0 * one, 80.0 * one, 24e3 * one, 0.6 * one, 0.5 * one, 3.0 * one, 0.2 * one, 0.1 * one
    )
    wet_bulb = wet_bulb_degc(WEATHER.dry_bulb_degc, WEATHER.humidity_ratio)
    by_hand, evaporation = merkel_supply(
        towers, HEAT_W / 2, FLOW_KG_S / 2, WEATHER.dry_bulb_degc, wet_bulb, 22.0, water_cp_j_per_kg_k=4180.0
    )
    # The component takes the humidity from the wet bulb, as weather files give it.
    assert solved.supply_degc[:, 0] == pytest.approx(by_hand.supply_degc, abs=1e-5)
    assert solved.evaporation_kg_s[:, 0] == pytest.approx(2 * evaporation, rel=1e-3)


def test_a_trim_chiller_takes_what_dry_coolers_leave():
    solved = solve_plants(plant(30.0, **DRY, **CHILLERS), HEAT_W, FLOW_KG_S, WEATHER)
    assert solved.supply_degc == pytest.approx(30.0, abs=1e-9)
    mode = solved.mode[:, 0]
    assert list(np.unique(mode)) == [CoolingMode.FREE, CoolingMode.PARTIAL, CoolingMode.MECHANICAL]
    assert np.all(np.diff(mode) >= 0)
    assert np.all(solved.chiller_power_w[mode == CoolingMode.FREE] == 0)
    # What is rejected without chillers and what they take are the heat; theirs do not lose capacity in the heat.
    chilled_w = solved.chiller_load_frac * CHILLERS["n_chillers"] * CHILLERS["chiller_capacity_w"]
    assert solved.economiser_heat_w + chilled_w == pytest.approx(np.full((12, 1), HEAT_W), rel=1e-9)
    share = solved.economiser_heat_w[:, 0] / HEAT_W
    assert np.all(share[mode == CoolingMode.FREE] == 1)
    part = share[mode == CoolingMode.PARTIAL]
    assert np.all((part > 0) & (part < 1))
    assert np.all(share[mode == CoolingMode.MECHANICAL] == 0)


def test_fans_and_chillers_together_never_draw_less_in_hotter_air():
    for parts, setpoint in ((DRY, 35.0), (DRY | CHILLERS, 30.0), (CHILLERS, 18.0)):
        solved = solve_plants(plant(setpoint, **parts), HEAT_W, FLOW_KG_S, WEATHER)
        power = solved.cooler_fan_power_w + solved.chiller_power_w
        assert np.all(np.diff(power[:, 0]) >= -1e-9 * power.max())


def test_water_cooled_chillers_reject_through_their_towers():
    parts = TOWERS | CHILLERS | {"chiller_water_cooled": 1, "economiser_ua_w_per_k": 1.2e6}
    solved = solve_plants(plant(18.0, **parts), HEAT_W, FLOW_KG_S, WEATHER)
    assert solved.supply_degc == pytest.approx(18.0, abs=1e-9)
    # Hot dry air also gives sensible heat to the water, so evaporation may pass heat over latent heat.
    rejected = HEAT_W + solved.chiller_power_w[:, 0]
    assert np.all(solved.evaporation_kg_s[:, 0] < 1.35 * rejected / 2.45e6)
    assert np.all(solved.water_kg_s >= solved.evaporation_kg_s)


def test_pads_are_wetted_only_when_dry_fans_fall_short():
    solved = solve_plants(plant(35.0, **DRY, pad_efficiency=0.8), HEAT_W, FLOW_KG_S, WEATHER)
    dry = solve_plants(plant(35.0, **DRY), HEAT_W, FLOW_KG_S, WEATHER)
    assert np.array_equal(solved.evaporation_kg_s > 0, dry.supply_degc > 35.0)
    assert np.all(solved.supply_degc <= dry.supply_degc)


def test_a_plant_too_small_lets_its_water_float_to_what_it_can_carry():
    small = plant(18.0, **DRY | {"n_coolers": 1.0}, **CHILLERS | {"n_chillers": 1.0})
    solved = solve_plants(small, HEAT_W, FLOW_KG_S, WEATHER)
    hot = solved.supply_degc[-1, 0]
    assert 18.0 < hot < HOTTEST_WATER_DEGC
    assert solved.chiller_load_frac[-1, 0] == pytest.approx(1.0, rel=1e-9)


def test_a_plant_without_chance_says_so_by_the_hottest_water():
    hopeless = plant(18.0, **CHILLERS | {"n_chillers": 1.0})
    assert np.all(solve_plants(hopeless, HEAT_W, FLOW_KG_S, WEATHER).supply_degc == HOTTEST_WATER_DEGC)


@pytest.mark.parametrize("pressure_pa", [101_325.0, 79_500.0])  # sea level and 2,000 m
@pytest.mark.parametrize(
    ("setpoint_degc", "parts"),
    [
        (35.0, DRY),
        (35.0, DRY | {"pad_efficiency": 0.8}),
        (22.0, TOWERS),
        (24.0, TOWERS | {"economiser_ua_w_per_k": 1e6}),
        (30.0, DRY | CHILLERS),
        (18.0, CHILLERS | {"n_chillers": 3.0}),
        (18.0, TOWERS | CHILLERS | {"chiller_water_cooled": 1, "n_chillers": 3.0}),
        (22.0, TOWERS | CHILLERS | {"chiller_water_cooled": 1, "economiser_ua_w_per_k": 1.2e6, "n_chillers": 2.0}),
    ],
)
def test_a_plant_holds_its_set_point_exactly_where_its_capacity_reaches_the_heat(setpoint_degc, parts, pressure_pa):
    weather = Weather(DRY_BULB, humidity_ratio_from_relative_humidity(DRY_BULB, 0.5, pressure_pa), pressure_pa)
    for heat_w in (1e6, 3e6, 6e6):
        bank = plant(setpoint_degc, **parts)
        capacity_w = plant_capacities_w(bank, heat_w, FLOW_KG_S, weather)
        holds = solve_plants(bank, heat_w, FLOW_KG_S, weather).supply_degc <= setpoint_degc + 1e-9
        assert np.array_equal(capacity_w >= heat_w * (1 - 1e-9), holds)


def test_a_plant_takes_less_with_units_out():
    bank = plant(35.0, **DRY)
    hot = Weather([34.0], [0.01])
    all_w, four_w, none_w = (
        plant_capacities_w(bank, HEAT_W, FLOW_KG_S, hot, coolers_running=n).item() for n in (5.0, 4.0, 0.0)
    )
    assert all_w > four_w > 0.8 * all_w  # with more water each, four coolers take more than four fifths
    assert none_w == 0.0


def test_a_plant_with_nothing_that_rejects_heat_is_refused():
    with pytest.raises(ValueError, match="nothing rejects its heat"):
        plant(20.0)
