"""Liquid properties against printed values."""

import numpy as np
import pytest

from power_cooling.fluids import coolants


def test_water_has_the_steam_tables_values():
    # IAPWS-95 at 0.1 MPa, 25 °C: density, heat capacity, viscosity, conductivity.
    assert coolants.WATER.density(25.0) == pytest.approx(997.05, rel=1e-4)
    assert coolants.WATER.heat_capacity(25.0) == pytest.approx(4181.3, rel=2e-4)
    assert coolants.WATER.viscosity(25.0) == pytest.approx(0.890e-3, rel=1e-3)
    assert coolants.WATER.conductivity(25.0) == pytest.approx(0.6065, rel=1e-3)


def test_a_quarter_propylene_glycol_has_the_ashrae_values():
    # CoolProp 8.0.0, fluid APG at 25 % by volume and 25 °C; the range in which data sheets lie is ± 0.5 %.
    fluid = coolants.PG25
    assert 1018 < fluid.density(25.0) < 1023
    assert fluid.heat_capacity(25.0) == pytest.approx(3925, rel=1e-3)
    assert fluid.viscosity(25.0) == pytest.approx(2.10e-3, rel=0.01)
    assert fluid.conductivity(25.0) == pytest.approx(0.473, rel=0.01)
    assert fluid.viscosity(25.0) / fluid.viscosity(45.0) == pytest.approx(1.73, rel=0.01)


def test_one_and_a_half_litres_a_minute_per_kilowatt_warm_by_ten_kelvin():
    rate = 1.5e-3 / 60 * coolants.PG25.density(35.0) * coolants.PG25.heat_capacity(35.0)
    assert 1000 / rate == pytest.approx(10.0, rel=0.01)


def test_correlations_by_volume_and_by_mass_agree_as_their_authors_do():
    by_volume, by_mass = coolants.PG25, coolants.glycol_by_mass("propylene", 0.257)
    assert by_mass.density(25.0) == pytest.approx(by_volume.density(25.0), rel=0.005)
    assert by_mass.heat_capacity(25.0) == pytest.approx(by_volume.heat_capacity(25.0), rel=0.001)
    assert by_mass.viscosity(25.0) == pytest.approx(by_volume.viscosity(25.0), rel=0.02)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("water", "water"),
        ("PG25", "propylene glycol 25% by volume"),
        ("EG30 by volume, ASHRAE (CoolProp AEG)", "ethylene glycol 30% by volume"),
        ("PG 25.7 % by mass, Melinder (CoolProp MPG)", "propylene glycol 25.7% by mass"),
        ("propylene glycol 40", "propylene glycol 40% by volume"),
    ],
)
def test_a_sheets_name_finds_the_coolant(name, expected):
    assert coolants.coolant_by_name(name).name == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coolants.coolant_by_name("R134a"), "coolant 'R134a' is unknown; use water, PGnn or EGnn"),
        (lambda: coolants.coolant_by_name("PG75"), r"volume_frac is 0.75; must be in \[0.1, 0.6\]"),
        (lambda: coolants.glycol_by_mass("butylene", 0.2), "glycol is 'butylene'; must be one of"),
    ],
)
def test_unknown_coolants_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_compiled_core_equals_the_array_form():
    temperatures = np.linspace(0, 90, 7)
    core = [coolants.property_scalar(coolants.PG25.density_kg_m3, t) for t in temperatures]
    assert core == pytest.approx(coolants.PG25.density(temperatures), rel=1e-14)


def test_range_is_told_not_hidden():
    assert coolants.WATER.in_range([-1.0, 50.0, 101.0]).tolist() == [False, True, False]
    assert -11 < coolants.PG25.freezing_degc < -9  # ASHRAE: about -10 °C
