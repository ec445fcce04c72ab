"""The YorkCalc curve: approach of an open tower against wet bulb, range and liquid-to-gas ratio.

A polynomial fitted on one maker's towers. Prefer `towers` for the small ranges of data centres; the curve is here
because plant simulators offer it and sheets are given in it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# York International's tower curve as published in EnergyPlus ("YorkCalc") and LBNL's Modelica Buildings library:
# approach over powers of wet bulb (fastest), range, liquid-to-gas ratio (slowest).
YORK_COEFFICIENTS = np.array(
    [
        [
            [-0.359741205, -0.055053608, 0.0023850432],
            [0.173926877, -0.0248473764, 0.00048430224],
            [-0.005589849456, 0.0005770079712, -0.00001342427256],
        ],
        [
            [2.84765801111111, -0.121765149, 0.0014599242],
            [1.680428651, -0.0166920786, -0.0007190532],
            [-0.025485194448, 0.0000487491696, 0.00002719234152],
        ],
        [
            [-0.0653766255555556, -0.002278167, 0.0002500254],
            [-0.0910565458, 0.00318176316, 0.000038621772],
            [-0.0034285382352, 0.00000856589904, -0.000001516821552],
        ],
    ]
)
YORK_WET_BULB_RANGE_DEGC = (-34.4, 29.4444)
YORK_RANGE_RANGE_K = (1.1111, 22.2222)
YORK_APPROACH_RANGE_K = (1.1111, 40.0)
YORK_HIGHEST_LIQUID_GAS_RATIO = 8.0


def york_approach_k(
    wet_bulb_degc: ArrayLike, range_k: ArrayLike, liquid_gas_ratio: ArrayLike
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the approach by the YorkCalc curve, and where its inputs lie inside its range.

    Parameters
    ----------
    wet_bulb_degc : array_like
        Entering wet bulb [°C]; the curve holds in [-34.4, 29.44].
    range_k : array_like
        Water in minus water out [K]; [1.11, 22.2].
    liquid_gas_ratio : array_like
        Water flow over rated water flow, divided by air flow over rated air flow [-]; at most 8.

    Returns
    -------
    tuple of ndarray
        Approach [K], and the mask of values inside the curve's range. Values outside are extrapolated: the mask says
        so.
    """
    wet, span, ratio = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (wet_bulb_degc, range_k, liquid_gas_ratio))
    )
    approach = np.polynomial.polynomial.polyval3d(ratio, span, wet, YORK_COEFFICIENTS)
    inside = (
        (wet >= YORK_WET_BULB_RANGE_DEGC[0])
        & (wet <= YORK_WET_BULB_RANGE_DEGC[1])
        & (span >= YORK_RANGE_RANGE_K[0])
        & (span <= YORK_RANGE_RANGE_K[1])
        & (ratio <= YORK_HIGHEST_LIQUID_GAS_RATIO)
        & (approach >= YORK_APPROACH_RANGE_K[0])
        & (approach <= YORK_APPROACH_RANGE_K[1])
    )
    return approach, inside


def york_outlet_degc(
    inlet_degc: ArrayLike, wet_bulb_degc: ArrayLike, liquid_gas_ratio: ArrayLike
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the leaving water [°C] of a YorkCalc tower for entering water [°C], and the mask of values in range.

    The range is the root of inlet - range = wet bulb + approach(range), bisected; where the curve has none the water
    leaves as it came and the mask is false.
    """
    inlet, wet, ratio = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (inlet_degc, wet_bulb_degc, liquid_gas_ratio))
    )

    def excess(span: FloatArray) -> FloatArray:
        return inlet - span - wet - york_approach_k(wet, span, ratio)[0]

    low, high = np.full(inlet.shape, 1e-3), np.full(inlet.shape, YORK_RANGE_RANGE_K[1])
    solvable = (excess(low) > 0) & (excess(high) < 0)
    for _ in range(60):
        mid = 0.5 * (low + high)
        above = excess(mid) > 0
        low, high = np.where(above, mid, low), np.where(above, high, mid)
    span = 0.5 * (low + high)
    inside = york_approach_k(wet, span, ratio)[1]
    return np.where(solvable, inlet - span, inlet), solvable & inside


def york_liquid_gas_ratio(wet_bulb_degc: ArrayLike, range_k: ArrayLike, approach_k: ArrayLike) -> FloatArray:
    """Return the liquid-to-gas ratio [-] at which the curve gives an approach [K], bisected in [0.01, 8].

    A data sheet's approach fixes the water flow of the curve; a wanted approach fixes the air flow.
    """
    wet, span, approach = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (wet_bulb_degc, range_k, approach_k))
    )
    low, high = np.full(wet.shape, 0.01), np.full(wet.shape, YORK_HIGHEST_LIQUID_GAS_RATIO)
    for _ in range(60):
        mid = 0.5 * (low + high)
        below = york_approach_k(wet, span, mid)[0] < approach
        low, high = np.where(below, mid, low), np.where(below, high, mid)
    return 0.5 * (low + high)
