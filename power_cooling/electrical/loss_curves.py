"""Data-sheet figures of electrical equipment as the quadratic loss that `electrical.FeedTree` reads.

Every function returns shares of the unit's rating, so that ``loss = rating * (a + b*x + c*x**2)`` with x the output
over the rating.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

COPPER_PER_K = 0.00393  # temperature coefficient of resistance at 20 degC, IEC 60028
ALUMINIUM_PER_K = 0.00403  # at 20 degC, IEC 60889


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Loss of one unit as shares of its rating, and how well it meets the points it was fitted to."""

    no_load_frac: float
    proportional_frac: float
    square_frac: float
    worst_efficiency_error_frac: float = 0.0

    def loss_frac(self, load_frac: ArrayLike) -> FloatArray:
        """Return the loss over the rating at these loads."""
        load = np.asarray(load_frac, dtype=np.float64)
        return self.no_load_frac + load * (self.proportional_frac + load * self.square_frac)

    def efficiency_frac(self, load_frac: ArrayLike) -> FloatArray:
        """Return output over input at these loads (0 at no load)."""
        load = np.asarray(load_frac, dtype=np.float64)
        taken = load + self.loss_frac(load)
        return np.divide(load, taken, out=np.zeros_like(load), where=taken > 0)


def curve_from_efficiency(load_frac: ArrayLike, efficiency_frac: ArrayLike) -> LossCurve:
    """Return the loss curve through efficiencies of a data sheet, without a negative term.

    No term may be negative: a fitted curve must not gain at no load, nor lose less at more load than it shows. Two
    points are met exactly where that allows; more are fitted with least error of input per output.

    Parameters
    ----------
    load_frac : array_like, shape (n_points,)
        Output over rating [-], in (0, 2].
    efficiency_frac : array_like, shape (n_points,)
        Output over input [-], in (0, 1].

    Raises
    ------
    ValueError
        For a value out of range, a repeated load, or a loss that falls as the load rises; names the point.
    """
    load = np.atleast_1d(np.asarray(load_frac, dtype=np.float64))
    efficiency = np.atleast_1d(np.asarray(efficiency_frac, dtype=np.float64))
    if load.shape != efficiency.shape or load.ndim != 1:
        raise ValueError(f"{load.size} loads and {efficiency.size} efficiencies; one of each per point is needed")
    for i in range(load.size):
        if not 0 < load[i] <= 2:
            raise ValueError(f"load_frac[{i}] is {load[i]:g}; must be in (0, 2]")
        if not 0 < efficiency[i] <= 1:
            raise ValueError(f"efficiency_frac[{i}] is {efficiency[i]:g}; must be in (0, 1]")
    order = np.argsort(load)
    load, efficiency = load[order], efficiency[order]
    loss = load * (1 / efficiency - 1)
    for i in range(1, load.size):
        if load[i] == load[i - 1]:
            raise ValueError(f"load_frac {load[i]:g} is given twice")
        # An efficiency near one holds its loss only to the rounding of one.
        rounding = 8 * np.finfo(np.float64).eps * load[i]
        if loss[i] < loss[i - 1] * (1 - 1e-9) - rounding:
            raise ValueError(
                f"efficiency {efficiency[i]:g} at load {load[i]:g} means less loss than {efficiency[i - 1]:g} at "
                f"{load[i - 1]:g}; a loss cannot fall as the load rises"
            )
    powers = [1, 2, 0] if load.size == 1 else [0, 2] if load.size == 2 else [0, 1, 2]
    terms, misfit = _non_negative_terms(powers, load, loss)
    if load.size == 2 and misfit > 1e-9:  # loss grows faster than the square from zero, or slower than linearly
        terms, misfit = _non_negative_terms([0, 1, 2], load, loss)
    curve = LossCurve(*(float(term) for term in terms))
    worst = float(np.max(np.abs(curve.efficiency_frac(load) - efficiency)))
    return LossCurve(curve.no_load_frac, curve.proportional_frac, curve.square_frac, worst)


def _non_negative_terms(powers: list[int], load: FloatArray, loss: FloatArray) -> tuple[FloatArray, float]:
    """Return the terms of no load, load and its square with least error of loss over load, none negative; that error.

    The best fit is a plain one of the terms that are not 0, so each choice of them is tried. Where one point leaves
    several the steepest is taken, as Lawson and Hanson's active sets do [1]_.

    References
    ----------
    .. [1] C. Lawson, R. Hanson, *Solving Least Squares Problems* (1974), chapter 23. `scipy.optimize.nnls` does the
       same, and a fifth of a second's import with it.
    """
    target = loss / load
    best, least = np.zeros(3), float(np.linalg.norm(target))
    rounding = 1e-12 * least
    steepest_first = sorted(powers, key=lambda p: -float(load ** (p - 1.0) @ target))
    for n in range(1, min(len(powers), load.size) + 1):
        for chosen in combinations(steepest_first, n):
            columns = np.stack([load ** (p - 1.0) for p in chosen], axis=1)
            terms = np.linalg.lstsq(columns, target)[0]
            misfit = float(np.linalg.norm(columns @ terms - target))
            if np.all(terms >= 0) and misfit < least - rounding:
                best, least = np.zeros(3), misfit
                best[list(chosen)] = terms
    return best, least


def transformer_curve(rating_w: float, no_load_loss_w: float, load_loss_full_w: float) -> LossCurve:
    """Return the loss curve of a transformer.

    Parameters
    ----------
    rating_w : float
        Rated power [W].
    no_load_loss_w, load_loss_full_w : float
        Iron loss, and load loss at rating [W].
    """
    if rating_w <= 0:
        raise ValueError(f"rating_w is {rating_w:g} W; must be greater than 0")
    if no_load_loss_w < 0 or load_loss_full_w < 0:
        raise ValueError(f"transformer losses are {no_load_loss_w:g} and {load_loss_full_w:g} W; must be at least 0")
    return LossCurve(no_load_loss_w / rating_w, 0.0, load_loss_full_w / rating_w)


def line_curve(
    rating_w: float, resistance_ohm: float, voltage_v: float, power_factor: float = 1.0, n_taps: int = 1
) -> LossCurve:
    """Return the loss curve of a three-phase cable or busway at its nominal voltage.

    Parameters
    ----------
    rating_w : float
        Rated power [W].
    resistance_ohm : float
        Of one conductor over the whole length, at its temperature [ohm].
    voltage_v : float
        Between phases [V].
    power_factor : float
        Of the load [-], in (0, 1].
    n_taps : int
        Equal loads tapped off at equal distances; 1 is all load at the far end. The share of the loss that is left is
        (n+1)(2n+1)/(6n^2), one third for many.
    """
    if rating_w <= 0 or voltage_v <= 0 or resistance_ohm < 0:
        raise ValueError(
            f"line of {rating_w:g} W, {voltage_v:g} V and {resistance_ohm:g} ohm; rating and voltage must be greater "
            "than 0 and resistance at least 0"
        )
    if not 0 < power_factor <= 1 or n_taps < 1:
        raise ValueError(f"power_factor is {power_factor:g} and n_taps {n_taps}; must be in (0, 1] and at least 1")
    spread = (n_taps + 1) * (2 * n_taps + 1) / (6 * n_taps**2)
    return LossCurve(0.0, 0.0, spread * rating_w * resistance_ohm / (voltage_v * power_factor) ** 2)


def warm_resistance_ohm(
    resistance_20_ohm: ArrayLike, temperature_degc: ArrayLike, coefficient_per_k: float = COPPER_PER_K
) -> FloatArray:
    """Return the resistance at a temperature from that at 20 degC: R = R20·(1 + α·(T - 20))."""
    warmer_k = np.asarray(temperature_degc, dtype=np.float64) - 20.0
    return np.asarray(resistance_20_ohm, dtype=np.float64) * (1 + coefficient_per_k * warmer_k)


def harmonic_derating_frac(eddy_loss_frac: float, harmonic_current_frac: ArrayLike) -> float:
    """Return the share of rated current that a transformer may carry with these harmonics.

    Parameters
    ----------
    eddy_loss_frac : float
        Winding eddy loss over ohmic loss at rated sinusoidal current [-].
    harmonic_current_frac : array_like, shape (n_harmonics,)
        Currents of orders 1, 2, 3 ... over the fundamental [-].

    References
    ----------
    .. [1] IEEE Std C57.110, recommended practice for transformers with non-sinusoidal load currents: the harmonic loss
       factor F_HL = Σ h²·I_h² / Σ I_h² multiplies the eddy loss; I_max = sqrt((1 + P_EC) / (1 + F_HL·P_EC)).
    """
    current = np.asarray(harmonic_current_frac, dtype=np.float64)
    if eddy_loss_frac < 0 or current.ndim != 1 or current.size == 0 or current[0] <= 0 or np.any(current < 0):
        raise ValueError("eddy_loss_frac and harmonic currents must be at least 0, the fundamental greater than 0")
    order = np.arange(1, current.size + 1)
    factor = np.sum((order * current) ** 2) / np.sum(current**2)
    return float(np.sqrt((1 + eddy_loss_frac) / (1 + factor * eddy_loss_frac)))
