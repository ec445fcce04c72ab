"""Racks over their limits: which are switched off, and chips that are taken to have run away."""

import numpy as np
from numba import njit

from power_cooling.chips import NO_STEADY_STATE, RUNAWAY_POSSIBLE
from power_cooling.it_load import ACCELERATORS_OFF, ALL_OFF, COOLANT, INLET, JUNCTION, OTHER, RAN_AWAY, RUNNING, STATUS


@njit(cache=True)
def latch(weight, off, scratch):
    """Put racks whose chips can run away on their hot root.

    Such a chip jumps at a fold; between its two roots a site may have no steady state, while in fact the chip, once
    hot, stays hot. They keep that root through the element.
    """
    for i in range(weight.size):
        may = scratch[i, STATUS] == RUNAWAY_POSSIBLE and scratch[i, RAN_AWAY] == 0.0
        if may and weight[i] > 0.0 and off[i] == RUNNING:
            scratch[i, RAN_AWAY] = 1.0
            scratch[i, COOLANT] = np.nan


@njit(cache=True)
def over_limit(racks, weight, off, scratch):
    """Largest excess over a trip limit [K], 0 or less where there is none."""
    worst = 0.0
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF:
            worst = max(worst, _excess(racks[i], off[i], scratch, i))
    return worst


@njit(cache=True)
def trip(racks, weight, off, scratch):
    """Switch off what is over its limits, hottest half first; return whether anything was."""
    worst = over_limit(racks, weight, off, scratch)
    if worst <= 0.0:
        return False
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF and _excess(racks[i], off[i], scratch, i) >= 0.5 * worst:
            if off[i] == RUNNING and scratch[i, INLET] <= racks[i].inlet_trip_degc:
                off[i] = ACCELERATORS_OFF
                scratch[i, OTHER] = racks[i].fixed_w
                scratch[i, JUNCTION] = 60.0
            else:
                off[i] = ALL_OFF
    return True


@njit(cache=True)
def _excess(r, off, scratch, i):
    """Kelvin above the junction's or the inlet's trip limit."""
    over = scratch[i, INLET] - r.inlet_trip_degc if r.air_flow_kg_s > 0.0 else 0.0
    if off == RUNNING and r.n_accelerators > 0.0:
        over = max(over, scratch[i, JUNCTION] - r.trip_degc)
        if scratch[i, STATUS] == NO_STEADY_STATE:
            over = max(over, 1e-3)
    return over
