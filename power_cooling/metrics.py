"""Key figures of a data centre's use of energy, water and carbon, as the ISO/IEC 30134 series defines them.

Figures of a period are ratios of sums over its elements, never means of hourly ratios.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_J_PER_KWH = 3.6e6


def _zero() -> FloatArray:
    return np.zeros(())


def _hour() -> FloatArray:
    return np.array(3600.0)


@dataclass(frozen=True, slots=True, eq=False)
class SiteAccount:
    """Where the meter's power goes in each element, and what comes with it. Arrays of shape (n,); scalars are spread.

    The meter is by definition the sum of IT, cooling, electrical losses and other loads.
    """

    it_w: FloatArray  # at the racks' inputs
    cooling_w: FloatArray  # pumps, fans, chillers, towers
    electrical_loss_w: FloatArray  # from the meter to the racks' inputs
    other_w: FloatArray = field(default_factory=_zero)  # lighting, offices, security
    compute_w: FloatArray | None = None  # part of IT that reaches processors, memory and network; None where unknown
    heat_removed_w: FloatArray | None = None  # by the cooling; None for all heat of IT, losses and other loads
    reused_heat_w: FloatArray = field(default_factory=_zero)  # handed to a user outside
    renewable_w: FloatArray = field(
        default_factory=_zero
    )  # part of the meter's power covered by owned or contracted renewables
    carbon_kg_per_kwh: FloatArray = field(default_factory=_zero)  # of the meter's energy
    water_kg_s: FloatArray = field(default_factory=_zero)  # used on site
    energy_water_l_per_kwh: FloatArray = field(default_factory=_zero)  # used where the meter's energy is made
    duration_s: FloatArray = field(default_factory=_hour)

    def __post_init__(self) -> None:
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        n = max(np.size(value) for value in given.values() if value is not None)
        for name, value in given.items():
            if value is None:
                continue
            values = np.asarray(value, dtype=np.float64)
            if values.ndim > 1 or values.size not in (1, n):
                raise ValueError(f"SiteAccount.{name} has shape {values.shape}; ({n},) is needed")
            values = np.broadcast_to(values, (n,)).copy()
            wrong = ~np.isfinite(values) | (values < 0)
            if np.any(wrong):
                at = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"SiteAccount.{name}[{at}] is {values[at]:g}; must be at least 0")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        for part, whole, name in (
            (self.compute_w, self.it_w, "compute_w exceeds it_w"),
            (self.renewable_w, self.meter_w, "renewable_w exceeds the meter's power"),
        ):
            if part is not None and np.any(part > whole * (1 + 1e-9)):
                at = int(np.argmax(part - whole))
                raise ValueError(f"SiteAccount.{name} in element {at}: {part[at]:g} of {whole[at]:g} W")

    @property
    def meter_w(self) -> FloatArray:
        """Power at the utility meter [W], shape (n,)."""
        return self.it_w + self.cooling_w + self.electrical_loss_w + self.other_w


@dataclass(frozen=True, slots=True)
class SiteMetrics:
    """Key figures of a period. NaN where IT used no energy, or where the account lacks what a figure needs."""

    pue: float  # power usage effectiveness, ISO/IEC 30134-2
    cooling_ppue: float  # partial PUE of the cooling, ISO/IEC 30134-2 annex
    electrical_ppue: float
    other_ppue: float
    ref: float  # renewable energy factor, ISO/IEC 30134-3
    erf: float  # energy reuse factor, ISO/IEC 30134-6
    ere: float  # energy reuse effectiveness, The Green Grid white paper 29: (1 - ERF)·PUE
    cer: float  # cooling efficiency ratio, ISO/IEC 30134-7
    cue_kg_per_kwh: float  # carbon usage effectiveness, ISO/IEC 30134-8
    wue_l_per_kwh: float  # water usage effectiveness, ISO/IEC 30134-9, category 1: on site
    source_wue_l_per_kwh: float  # with the water of the energy's making
    itue: float  # IT over compute: PUE of the racks' inside (M. Patterson et al., ISC 2013)
    tue: float  # ITUE · PUE: meter over compute
    meter_energy_j: float
    it_energy_j: float
    water_l: float
    carbon_kg: float


def site_metrics(account: SiteAccount) -> SiteMetrics:
    """Return the key figures of the whole period."""
    seconds = account.duration_s

    def energy(power_w: FloatArray) -> float:
        return float(power_w @ seconds)

    meter, it, cooling = energy(account.meter_w), energy(account.it_w), energy(account.cooling_w)
    loss, other = energy(account.electrical_loss_w), energy(account.other_w)
    removed = it + loss + other if account.heat_removed_w is None else energy(account.heat_removed_w)
    compute = np.nan if account.compute_w is None else energy(account.compute_w)
    reuse = _ratio(energy(account.reused_heat_w), meter)
    carbon_kg = energy(account.meter_w * account.carbon_kg_per_kwh) / _J_PER_KWH
    water_l = energy(account.water_kg_s)  # a kilogram of water is a litre
    away_l = energy(account.meter_w * account.energy_water_l_per_kwh) / _J_PER_KWH
    pue, it_kwh = _ratio(meter, it), it / _J_PER_KWH
    itue = _ratio(it, compute)
    return SiteMetrics(
        pue=pue,
        cooling_ppue=_ratio(it + cooling, it),
        electrical_ppue=_ratio(it + loss, it),
        other_ppue=_ratio(it + other, it),
        ref=_ratio(energy(account.renewable_w), meter),
        erf=reuse,
        ere=(1 - reuse) * pue,
        cer=_ratio(removed, cooling),
        cue_kg_per_kwh=_ratio(carbon_kg, it_kwh),
        wue_l_per_kwh=_ratio(water_l, it_kwh),
        source_wue_l_per_kwh=_ratio(water_l + away_l, it_kwh),
        itue=itue,
        tue=itue * pue,
        meter_energy_j=meter,
        it_energy_j=it,
        water_l=water_l,
        carbon_kg=carbon_kg,
    )


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else float("nan")


def power_usage_effectiveness(meter_w: ArrayLike, it_w: ArrayLike) -> FloatArray:
    """Return PUE of each element, NaN where IT draws nothing.

    Raises
    ------
    ValueError
        If the meter reads less than IT: something is counted twice or left out.
    """
    meter, it = np.broadcast_arrays(np.asarray(meter_w, dtype=np.float64), np.asarray(it_w, dtype=np.float64))
    if np.any(meter < it * (1 - 1e-9)):
        at = np.unravel_index(int(np.argmax(it - meter)), meter.shape)
        raise ValueError(f"the meter reads {meter[at]:g} W in element {at}, less than IT's {it[at]:g} W")
    return np.divide(meter, it, out=np.full(meter.shape, np.nan), where=it > 0)


def tokens_per_joule(tokens_per_s: ArrayLike, power_w: ArrayLike, duration_s: ArrayLike = 3600.0) -> float:
    """Return tokens over energy of a period: (tokens/s) per watt.

    Parameters
    ----------
    tokens_per_s, power_w : array_like, shape (n,)
        Rate and power of each element; power at the meter, or at the racks' inputs for the IT figure.
    duration_s : array_like
        Length of each element [s].
    """
    rate, power, seconds = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (tokens_per_s, power_w, duration_s))
    )
    return _ratio(float(np.sum(rate * seconds)), float(np.sum(power * seconds)))


def tokens_per_litre(tokens_per_s: ArrayLike, water_kg_s: ArrayLike, duration_s: ArrayLike = 3600.0) -> float:
    """Return tokens over site water of a period; NaN where no water is used."""
    return tokens_per_joule(tokens_per_s, water_kg_s, duration_s)


def it_equipment_utilisation(used_frac: ArrayLike, weight: ArrayLike = 1.0) -> float:
    """Return mean utilisation of servers weighted by their number or rating (ITEUsv, ISO/IEC 30134-5)."""
    used, weights = np.broadcast_arrays(np.asarray(used_frac, dtype=np.float64), np.asarray(weight, dtype=np.float64))
    if np.any((used < 0) | (used > 1)):
        raise ValueError(f"used_frac must be in [0, 1]; found {used.min():g} to {used.max():g}")
    return _ratio(float(np.sum(used * weights)), float(np.sum(weights)))
