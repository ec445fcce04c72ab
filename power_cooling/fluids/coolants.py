"""Density, heat capacity, conductivity and viscosity of water and of inhibited glycol mixtures.

A `Coolant` holds one polynomial per property in temperature, so that a solver evaluates it with a few
multiplications. Mixtures are made for any concentration from two published two-variable fits:

- "by volume": the ASHRAE tables for inhibited glycols, in the fit of the CoolProp project [1]_;
- "by mass": Melinder's correlations for uninhibited mixtures [2]_.

They differ from one another by up to 0.4 % in density and 1.4 % in viscosity at 25 °C.

.. [1] Bell, Wronski, Quoilin, Lemort, Ind. Eng. Chem. Res. 53 (2014) 2498; fluids APG and AEG, after ASHRAE Handbook
   Fundamentals 2001, chapter 21.
.. [2] Melinder, *Properties of Secondary Working Fluids for Indirect Systems*, IIR, 2010, tables for propylene and
   ethylene glycol.
"""

import re
from dataclasses import dataclass
from functools import cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled

FloatArray = NDArray[np.float64]

REFERENCE_DEGC = 50.0  # temperatures enter the polynomials as T - 50 °C
N_COEFFICIENTS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Coolant:
    """Property polynomials of one liquid in x = T - 50 °C, lowest power first, each of shape (6,)."""

    name: str
    density_kg_m3: FloatArray
    heat_capacity_j_per_kg_k: FloatArray
    conductivity_w_per_m_k: FloatArray
    log_viscosity: FloatArray  # of the dynamic viscosity in Pa s
    lowest_degc: float
    highest_degc: float
    freezing_degc: float

    def __post_init__(self) -> None:
        for field in ("density_kg_m3", "heat_capacity_j_per_kg_k", "conductivity_w_per_m_k", "log_viscosity"):
            shape = np.shape(getattr(self, field))
            if shape != (N_COEFFICIENTS,):
                raise ValueError(f"Coolant.{field} has shape {shape}; must be ({N_COEFFICIENTS},)")

    def density(self, temperature_degc: ArrayLike) -> FloatArray:
        """Return the density [kg/m³] at a temperature [°C]."""
        return _polynomial(self.density_kg_m3, temperature_degc)

    def heat_capacity(self, temperature_degc: ArrayLike) -> FloatArray:
        """Return the specific heat capacity [J/(kg K)] at a temperature [°C]."""
        return _polynomial(self.heat_capacity_j_per_kg_k, temperature_degc)

    def conductivity(self, temperature_degc: ArrayLike) -> FloatArray:
        """Return the thermal conductivity [W/(m K)] at a temperature [°C]."""
        return _polynomial(self.conductivity_w_per_m_k, temperature_degc)

    def viscosity(self, temperature_degc: ArrayLike) -> FloatArray:
        """Return the dynamic viscosity [Pa s] at a temperature [°C]."""
        return np.exp(_polynomial(self.log_viscosity, temperature_degc))

    def prandtl(self, temperature_degc: ArrayLike) -> FloatArray:
        """Return the Prandtl number [-] at a temperature [°C]."""
        return (
            self.viscosity(temperature_degc)
            * self.heat_capacity(temperature_degc)
            / self.conductivity(temperature_degc)
        )

    def in_range(self, temperature_degc: ArrayLike) -> NDArray[np.bool_]:
        """Return where the temperatures lie inside the range that the correlations were fitted on."""
        temperature = np.asarray(temperature_degc, dtype=float)
        return (temperature >= self.lowest_degc) & (temperature <= self.highest_degc)


@compiled
def property_scalar(coefficients: FloatArray, temperature_degc: float) -> float:
    """Value of one property polynomial of a `Coolant` at a temperature [°C]; for compiled solvers."""
    x = temperature_degc - 50.0
    total = coefficients[5]
    for i in range(4, -1, -1):
        total = total * x + coefficients[i]
    return total


def _polynomial(coefficients: FloatArray, temperature_degc: ArrayLike) -> FloatArray:
    x = np.asarray(temperature_degc, dtype=float) - REFERENCE_DEGC
    total = coefficients[-1] * np.ones_like(x)
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


# Fitted over 0-100 °C at 0.1 MPa on: density Kell, J. Chem. Eng. Data 20 (1975) 97 (1.4e-5 relative); viscosity
# Pátek et al., J. Phys. Chem. Ref. Data 38 (2009) 21, eq. 10 (6e-4); heat capacity IAPWS-95 table of the saturated
# liquid (6e-5); conductivity IAPWS 2011 as CoolProp 8.0.0 gives it (2e-4).
WATER = Coolant(
    name="water",
    density_kg_m3=np.array([988.033, -0.451993, -0.00325291, 1.22167e-05, -1.26081e-07, 1.06188e-09]),
    heat_capacity_j_per_kg_k=np.array([4181.55, 0.279157, 0.00716024, -4.45676e-05, 2.88685e-06, -3.27298e-08]),
    conductivity_w_per_m_k=np.array([0.640719, 0.00111454, -8.77356e-06, 3.78768e-08, -3.33716e-10, 0.0]),
    log_viscosity=np.array([-7.51178, -0.0167926, 8.96816e-05, -5.48676e-07, 5.96369e-09, -5.42482e-11]),
    lowest_degc=0.0,
    highest_degc=100.0,
    freezing_degc=0.0,
)

# ASHRAE by CoolProp: rows are powers of T - 32.5 °C, columns powers of (volume fraction - 0.35); 10-60 % by volume.
_ASHRAE_TEMPERATURE_DEGC = 32.5
_ASHRAE_FRACTION = 0.35
_ASHRAE_RANGE = (0.10, 0.60)
_ASHRAE = {
    "propylene": {
        "density": (
            (1026.177, 72.53677, -65.32547, 34.66575, -15.82785, -213.9879),
            (-0.5350059, -0.5056296, 0.1751278, -0.092333, 0.02877433, 0.0),
            (-0.002566157, -0.0001703579, 0.001165892, -0.000207517, 0.0, 0.0),
            (-5.177316e-09, 9.673169e-09, 3.368862e-07, 0.0, 0.0, 0.0),
        ),
        "heat_capacity": (
            (3815.392, -1391.877, -1121.4, -419.3939, -243.53, 4054.145),
            (3.025751, 5.558605, -0.1073388, 0.5290725, -2.262081, 0.0),
            (4.165345e-05, -9.032069e-05, -0.003392169, 0.01079472, 0.0, 0.0),
            (-4.30948e-07, -1.33518e-06, 3.538903e-05, 0.0, 0.0, 0.0),
        ),
        "conductivity": (
            (0.4329771, -0.4535551, 0.1845012, -0.2435214, 0.06266485, 1.891363),
            (0.0007338869, -0.001966849, 0.0009861397, -1.817568e-05, -0.001628752, 0.0),
            (-5.424175e-06, 1.100798e-05, -3.754805e-06, 5.476691e-07, 0.0, 0.0),
            (5.879755e-10, -6.777231e-10, -2.213073e-08, 0.0, 0.0, 0.0),
        ),
        "log_viscosity": (
            (-6.025825, 3.573663, -1.995205, -6.42511, 36.01949, 53.50879),
            (-0.03284399, -0.03838339, 0.08223532, 0.01520795, -1.123741, 0.0),
            (0.0002492009, 0.0003529886, -0.0005119547, -0.0006572286, 0.0, 0.0),
            (-1.155771e-06, -1.216539e-06, 3.230125e-06, 0.0, 0.0, 0.0),
        ),
        # ln of the freezing point in kelvin
        "log_freezing": ((5.546103, -0.326277, -0.6666873, -0.8800598, -1.071417, -1.875782),),
    },
    "ethylene": {
        "density": (
            (1047.337, 140.4485, -48.70559, 71.41693, 52.4585, -693.3962),
            (-0.4505054, -0.3001582, -0.03952614, 0.02496264, -0.06817576, 0.0),
            (-0.002432696, -2.084384e-05, 0.0003108353, -0.0008979712, 0.0, 0.0),
            (-3.72545e-09, 1.044784e-06, -4.391164e-06, 0.0, 0.0, 0.0),
        ),
        "heat_capacity": (
            (3596.551, -1707.073, -444.7538, -552.7923, -715.9059, 7905.301),
            (3.096886, 5.184379, -0.7061384, 0.7949891, -0.6689394, 0.0),
            (-3.388642e-05, 0.0003639717, 0.0009169943, -0.005359818, 0.0, 0.0),
            (3.171299e-07, -2.457345e-06, 1.419543e-05, 0.0, 0.0, 0.0),
        ),
        "conductivity": (
            (0.4453745, -0.4067857, 0.2325883, -0.1569133, -0.1074279, 1.192263),
            (0.0008706814, -0.001560464, 0.000790936, -2.926925e-05, -0.0002372089, 0.0),
            (-5.352757e-06, 1.082907e-05, -6.117302e-06, 5.716025e-06, 0.0, 0.0),
            (-1.560759e-10, -6.139943e-09, 3.179827e-08, 0.0, 0.0, 0.0),
        ),
        "log_viscosity": (
            (-6.319551, 2.881296, 0.8374394, -19.29626, -13.10981, 252.8586),
            (-0.02410848, -0.01593008, -0.006961209, -0.06322254, -0.2651482, 0.0),
            (0.0001764482, 0.0001708786, -0.0004014337, -0.00024771, 0.0, 0.0),
            (-1.315418e-06, -1.745316e-06, 9.973464e-06, 0.0, 0.0, 0.0),
        ),
        "log_freezing": ((5.534468, -0.3574293, -0.6535113, -0.9039166, 1.048048, 4.622116),),
    },
}

# Melinder: rows are powers of 100 (mass fraction - reference), columns powers of T - reference; 0-60 % by mass.
_MELINDER_RANGE = (0.0, 0.60)
_MELINDER = {
    "propylene": {
        "reference": (0.307031, 32.7083),
        "density": (
            (1.018e3, -5.406e-1, -2.666e-3, 1.347e-5),
            (7.604e-1, -9.450e-3, 5.541e-5, -1.343e-7),
            (-2.498e-3, 2.700e-5, -4.018e-7, 3.376e-9),
            (-1.550e-4, 2.829e-6, -7.175e-9),
            (-1.131e-6, -2.221e-8),
            (2.342e-8,),
        ),
        "heat_capacity": (
            (3.882e3, 2.699, -1.659e-3, -1.032e-5),
            (-1.304e1, 5.070e-2, -4.752e-5, 1.522e-6),
            (-1.598e-1, 9.534e-5, 1.167e-5, -4.870e-8),
            (3.539e-4, 3.102e-5, -2.950e-7),
            (5.000e-5, -7.135e-7),
            (-4.959e-7,),
        ),
        "conductivity": (
            (4.513e-1, 7.955e-4, 3.482e-8, -5.966e-9),
            (-4.795e-3, -1.678e-5, 8.941e-8, 1.493e-10),
            (2.076e-5, 1.563e-7, -4.615e-9, 9.897e-12),
            (-9.083e-8, -2.518e-9, 6.543e-11),
            (-5.952e-10, -3.605e-11),
            (2.104e-11,),
        ),
        # ln of the viscosity in mPa s
        "log_viscosity": (
            (6.837e-1, -3.045e-2, 2.525e-4, -1.399e-6),
            (3.328e-2, -3.984e-4, 4.332e-6, -1.860e-8),
            (5.453e-5, -8.600e-8, -1.593e-8, -4.465e-11),
            (-3.900e-6, 1.054e-7, -1.589e-9),
            (-1.587e-8, 4.475e-10),
            (3.564e-9,),
        ),
        "freezing": (
            (-1.325e1, -3.820e-5, 7.865e-7, -1.733e-9),
            (-6.631e-1, 6.774e-6, -6.242e-8, -7.819e-10),
            (-1.094e-2, 5.332e-8, -4.169e-9, 3.288e-11),
            (-2.283e-4, -1.131e-8, 1.918e-10),
            (-3.409e-6, 8.035e-11),
            (1.465e-8,),
        ),
    },
    "ethylene": {
        "reference": (0.308462, 31.728),
        "density": (
            (1.034e3, -4.781e-1, -2.692e-3, 4.725e-6),
            (1.311, -6.876e-3, 4.805e-5, 1.690e-8),
            (7.490e-5, 7.855e-5, -3.995e-7, 4.982e-9),
            (-1.062e-4, 1.229e-6, -1.153e-8),
            (-9.623e-7, -7.221e-8),
            (4.891e-8,),
        ),
        "heat_capacity": (
            (3.737e3, 2.930, -4.675e-3, -1.389e-5),
            (-1.799e1, 1.046e-1, -4.147e-4, 1.847e-7),
            (-9.933e-2, 3.516e-4, 5.109e-6, -7.138e-8),
            (2.610e-3, -1.189e-6, -1.643e-7),
            (1.537e-5, -4.272e-7),
            (-1.618e-6,),
        ),
        "conductivity": (
            (4.720e-1, 8.903e-4, -1.058e-6, -2.789e-9),
            (-4.286e-3, -1.473e-5, 1.059e-7, -1.142e-10),
            (1.747e-5, 6.814e-8, -3.612e-9, 2.365e-12),
            (3.017e-8, -2.412e-9, 4.004e-11),
            (-1.322e-9, 2.555e-11),
            (2.678e-11,),
        ),
        "log_viscosity": (
            (4.705e-1, -2.550e-2, 1.782e-4, -7.669e-7),
            (2.471e-2, -1.171e-4, 1.052e-6, -1.634e-8),
            (3.328e-6, -1.086e-6, -1.051e-8, -6.475e-10),
            (1.695e-6, 3.157e-9, 4.063e-10),
            (3.089e-8, 1.831e-10),
            (-1.865e-9,),
        ),
        "freezing": (
            (-1.525e1, -1.566e-6, -2.278e-7, 2.169e-9),
            (-8.080e-1, -1.339e-6, 2.047e-8, -2.717e-11),
            (-1.334e-2, 6.332e-8, 2.373e-10, -2.183e-12),
            (-7.293e-5, -1.764e-9, -2.442e-11),
            (1.006e-6, -7.662e-11),
            (1.140e-9,),
        ),
    },
}


@cache
def glycol_by_volume(glycol: str, volume_frac: float) -> Coolant:
    """Return an inhibited glycol-water mixture by the ASHRAE correlation.

    Parameters
    ----------
    glycol : {"propylene", "ethylene"}
        The antifreeze.
    volume_frac : float
        Volume fraction of glycol [-], in [0.10, 0.60]; 0 is pure water.

    Raises
    ------
    ValueError
        If the glycol is unknown or the fraction is outside the tables.
    """
    if volume_frac == 0:
        return WATER
    tables = _tables(_ASHRAE, glycol)
    _check_fraction("volume_frac", volume_frac, _ASHRAE_RANGE)
    powers = (volume_frac - _ASHRAE_FRACTION) ** np.arange(6)

    def shifted(name: str) -> FloatArray:
        return _recentred(np.array(tables[name]) @ powers, _ASHRAE_TEMPERATURE_DEGC)

    freezing_degc = float(np.exp(np.array(tables["log_freezing"][0]) @ powers)) - 273.15
    return Coolant(
        name=f"{glycol} glycol {volume_frac:.0%} by volume",
        density_kg_m3=shifted("density"),
        heat_capacity_j_per_kg_k=shifted("heat_capacity"),
        conductivity_w_per_m_k=shifted("conductivity"),
        log_viscosity=shifted("log_viscosity"),
        lowest_degc=max(-35.0, freezing_degc),
        highest_degc=100.0,
        freezing_degc=freezing_degc,
    )


@cache
def glycol_by_mass(glycol: str, mass_frac: float) -> Coolant:
    """Return an uninhibited glycol-water mixture by Melinder's correlation.

    Parameters
    ----------
    glycol : {"propylene", "ethylene"}
        The antifreeze.
    mass_frac : float
        Mass fraction of glycol [-], in [0, 0.60].

    Raises
    ------
    ValueError
        If the glycol is unknown or the fraction is outside the tables.
    """
    tables = _tables(_MELINDER, glycol)
    _check_fraction("mass_frac", mass_frac, _MELINDER_RANGE)
    fraction_reference, temperature_reference = tables["reference"]
    x = 100 * (mass_frac - fraction_reference)

    def in_temperature(name: str) -> FloatArray:
        total = np.zeros(4)
        for power, row in enumerate(tables[name]):
            total[: len(row)] += x**power * np.array(row)
        return total

    viscosity = _recentred(in_temperature("log_viscosity"), temperature_reference)
    viscosity[0] += np.log(1e-3)
    # The fusion polynomial keeps a residual temperature dependence of 1e-4 K; its constant term is the value.
    freezing_degc = float(in_temperature("freezing")[0])
    return Coolant(
        name=f"{glycol} glycol {mass_frac:.1%} by mass",
        density_kg_m3=_recentred(in_temperature("density"), temperature_reference),
        heat_capacity_j_per_kg_k=_recentred(in_temperature("heat_capacity"), temperature_reference),
        conductivity_w_per_m_k=_recentred(in_temperature("conductivity"), temperature_reference),
        log_viscosity=viscosity,
        lowest_degc=freezing_degc,
        highest_degc=100.0,
        freezing_degc=freezing_degc,
    )


def coolant_by_name(name: str) -> Coolant:
    """Return the coolant that a plant sheet calls `water`, `PG25`, `EG30`, `PG25 by volume`, `PG 25.7 % by mass` …

    A name without "by mass" is read as percent by volume, as coolant makers label their products.

    Raises
    ------
    ValueError
        If the name is not of that form, or the concentration is outside the tables.
    """
    text = name.strip().lower()
    if text.split(",")[0].strip() in {"water", "deionised water", "deionized water", "di water"}:
        return WATER
    match = re.match(r"(pg|eg|propylene glycol|ethylene glycol)[\s-]*(\d+(?:\.\d+)?)", text)
    if match is None:
        raise ValueError(
            f"coolant {name!r} is unknown; use water, PGnn or EGnn (percent by volume), or 'PG nn % by mass'"
        )
    glycol = "propylene" if match[1][0] == "p" else "ethylene"
    fraction = float(match[2]) / 100
    if "mass" in text:
        return glycol_by_mass(glycol, fraction)
    return glycol_by_volume(glycol, fraction)


def _tables(family: dict[str, Any], glycol: str) -> dict[str, Any]:
    if glycol not in family:
        raise ValueError(f"glycol is {glycol!r}; must be one of {sorted(family)}")
    return family[glycol]


def _check_fraction(name: str, value: float, limits: tuple[float, float]) -> None:
    if not limits[0] <= value <= limits[1]:
        raise ValueError(f"{name} is {value:g}; must be in [{limits[0]:g}, {limits[1]:g}]")


def _recentred(coefficients: FloatArray, centre_degc: float) -> FloatArray:
    """Return a polynomial in T - centre rewritten in T - 50 °C, padded to the common length."""
    shift = REFERENCE_DEGC - centre_degc
    out = np.zeros(N_COEFFICIENTS)
    for power, coefficient in enumerate(coefficients):
        for k in range(power + 1):
            out[k] += coefficient * comb(power, k) * shift ** (power - k)
    return out


PG25 = glycol_by_volume("propylene", 0.25)
PG30 = glycol_by_volume("propylene", 0.30)
EG30 = glycol_by_volume("ethylene", 0.30)
