"""Air in a hall: server flow, recirculation, bypass, air units with coils, and the metrics of air management.

Servers draw N = sum m (1 - r) of supply air and r m of hot air; the units blow N / (1 - b), of which b leaks back
unused (pressure control), between their limits. Where the units cannot give N the servers draw more hot air: every
rack's own share (1 - r) shrinks by the same factor. Hot aisle T_hot = T_supply + Q / (N cp); lighting, pumps and feeds
warm the return air. Fans sit behind the coil (draw-through), so their heat is in the supply.

Coils are dry. A hall has no source of moisture that is described (no people's, no outdoor air's), so a coil colder than
the dew point dries the room until it no longer wets: the steady state of an hour carries no latent heat.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from power_cooling.compiled import compiled_part
from power_cooling.cooling.cdus import supply_scalar
from power_cooling.fluids.psychrometrics import heat_capacity_j_per_kg_k
from power_cooling.racks.it_load import AIR_HEAT, BY_COLD, BY_HOT, NET_AIR, NET_BY_COLD, NET_BY_HOT
from power_cooling.site_arrays import FloatArray

ASSUMED_HUMIDITY_RATIO = 0.008  # of halls: dew point 11 °C, amid what ASHRAE TC 9.9 recommends (-9 to 15 °C)
# Flows of hall air are kilograms of mixture, so its heat capacity per kilogram of dry air is shared by the vapour.
AIR_CP_J_PER_KG_K = float(heat_capacity_j_per_kg_k(ASSUMED_HUMIDITY_RATIO)) / (1.0 + ASSUMED_HUMIDITY_RATIO)

LINEAR_K = 15.0  # reach of the racks' linearised heat, and so of one step

# Columns of a solved hall.
COLD, HOT, OWN, UNIT_AIR, COIL_HEAT, CONDUCTANCE, VALVE_STATE, FAN_W, OTHER_HEAT = 0, 1, 2, 3, 4, 5, 6, 7, 8
N_HALL_STATE = 9


@compiled_part
def hall_scalar(
    h: Any,
    running: float,
    sums: FloatArray,
    start: FloatArray,
    other_heat: float,
    outdoor: float,
    water: float,
    water_w_per_k: float,
    out: FloatArray,
) -> None:
    """Solve a hall for its racks' heat and air flow, both linear about `start`; fill the row `out`.

    `start` is cold and hot temperature and the share of the racks' own air that the units can give.
    `water` is the facility water's temperature, `water_w_per_k` what the open valves of all running units pass.
    """
    if running <= 0.0:
        for k in range(N_HALL_STATE):
            out[k] = 0.0
        out[COLD], out[HOT], out[OWN] = h.supply_set_degc, h.supply_set_degc, 1.0
        return
    cold0, hot0, own0 = start[0], start[1], start[2]
    cold, hot, own = cold0, hot0, own0
    # The inlet is hot - own (1 - r)(hot - cold), so slopes by `own` follow from those by `cold`.
    heat_by_own = -sums[BY_COLD] / own0 * (hot0 - cold0)
    net_by_own = -sums[NET_BY_COLD] / own0 * (hot0 - cold0)
    least_part = h.coil_water_film_frac * h.min_valve_frac**-h.coil_film_exponent
    most = running * h.unit_air_kg_s
    through = most * (1.0 - h.bypass_frac)
    last_step, damping = 0.0, 1.0
    for _ in range(80):
        heat = sums[AIR_HEAT] + sums[BY_COLD] * (cold - cold0) + sums[BY_HOT] * (hot - hot0)
        heat = max(heat + heat_by_own * (own - own0), 0.0)
        net = sums[NET_AIR] + sums[NET_BY_COLD] * (cold - cold0) + sums[NET_BY_HOT] * (hot - hot0)
        net = max(net + net_by_own * (own - own0), 0.0)
        new_own = 1.0
        air = max(net / (1.0 - h.bypass_frac), h.fan_min_frac * most)
        net_slope = sums[NET_BY_HOT]
        if net > through:
            new_own = min(max(own - (own * net - through) / max(net + own * net_by_own, 0.2 * net), 0.02), 1.0)
            net = through
            air = most
            net_slope = 0.0
        warmth = other_heat + max(h.envelope_ua_w_per_k * (outdoor - cold), 0.0)
        fan = running * h.unit_fan_w * (air / most) ** h.fan_exponent
        rate = air * AIR_CP_J_PER_KG_K
        coil = heat + warmth + fan
        leaving, state, conductance, slope = supply_scalar(
            coil,
            rate,
            h.supply_set_degc - fan / rate,
            water,
            water_w_per_k,
            h.min_valve_frac,
            running * h.coil_ua_w_per_k,
            h.coil_air_film_frac * (air / most) ** -h.coil_film_exponent,
            h.coil_water_film_frac,
            least_part,
            1.0 - h.coil_air_film_frac - h.coil_water_film_frac,
            np.int64(1),
        )
        envelope = h.envelope_ua_w_per_k if outdoor > cold else 0.0
        gain = 1.0 - slope * (sums[BY_COLD] + sums[BY_HOT] - envelope)
        new_cold = cold + (leaving + fan / rate - cold) / max(gain, 0.3)
        # A held coil lands on the set point exactly, not on its rounded sum with the fans' rise.
        if state == 0:
            new_cold = h.supply_set_degc
        # At a kink (valve at its least, outdoor air as warm as the room) full steps may jump to and fro.
        if (new_cold - cold) * last_step < 0.0:
            damping *= 0.5
        elif damping < 1.0:
            damping = min(1.0, 1.3 * damping)
        if damping < 1.0:
            new_cold = cold + damping * (new_cold - cold)
        last_step = new_cold - cold
        new_hot = new_cold
        if net > 0.0:
            carried = net * AIR_CP_J_PER_KG_K
            tangent = carried + (hot - cold) * AIR_CP_J_PER_KG_K * net_slope - sums[BY_HOT]
            if tangent < 0.3 * carried:
                tangent = carried
            new_hot = hot + (heat - (hot - cold) * carried) / tangent + (new_cold - cold)
        # The racks' heat is linear only near where they were evaluated.
        new_cold = min(max(new_cold, cold0 - LINEAR_K), cold0 + LINEAR_K)
        new_hot = min(max(new_hot, hot0 - LINEAR_K), hot0 + LINEAR_K)
        moved = max(abs(new_cold - cold), abs(new_hot - hot), abs(new_own - own))
        cold, hot, own = new_cold, new_hot, new_own
        out[COLD], out[HOT], out[OWN], out[UNIT_AIR], out[COIL_HEAT] = cold, hot, own, air, coil
        out[CONDUCTANCE], out[VALVE_STATE], out[FAN_W], out[OTHER_HEAT] = conductance, state, fan, warmth
        if moved < 2e-12:
            return
    out[COLD] = np.nan  # never read as solved


@dataclass(frozen=True, slots=True, eq=False)
class AirMetrics:
    """How well a hall's air is managed; arrays of the broadcast shape."""

    shi: FloatArray  # supply heat index: share of the heat that the inlet air already carries
    rhi: FloatArray  # return heat index, 1 - SHI
    rti_frac: FloatArray  # return temperature index: above 1 recirculation, below 1 bypass


def air_metrics(
    supply_degc: ArrayLike, inlet_degc: ArrayLike, hot_degc: ArrayLike, return_degc: ArrayLike
) -> AirMetrics:
    """Return SHI, RHI and RTI of a hall.

    Parameters
    ----------
    supply_degc, inlet_degc, hot_degc, return_degc : array_like
        Air leaving the units, mean air entering racks, leaving racks, and entering the units [°C].

    Returns
    -------
    AirMetrics
        Dimensionless; NaN where nothing warms the air. With no source but the racks SHI is the recirculated share and
        RTI the servers' over the units' flow.

    References
    ----------
    .. [1] R. Sharma, C. Bash, C. Patel, AIAA 2002-3091 (SHI, RHI).
    .. [2] M. Herrlin, ASHRAE Transactions 114 (2008), "Airflow and cooling performance of data centers: two
       performance metrics" (RTI).
    """
    supply, inlet, hot, back = (np.asarray(a, dtype=float) for a in (supply_degc, inlet_degc, hot_degc, return_degc))
    whole, servers = hot - supply, hot - inlet
    shi = np.divide(inlet - supply, whole, out=np.full(np.shape(whole + inlet), np.nan), where=whole > 0)
    rti = np.divide(back - supply, servers, out=np.full(np.shape(servers + back), np.nan), where=servers > 0)
    return AirMetrics(shi, 1 - shi, rti)


def rack_cooling_index_high(
    inlet_degc: ArrayLike,
    weight: ArrayLike = 1.0,
    *,
    recommended_max_degc: float = 27.0,
    allowable_max_degc: float = 32.0,
) -> float:
    """Return RCI_HI [-]: 1 when no inlet exceeds the recommended limit, 0 when all sit at the allowable one.

    Parameters
    ----------
    inlet_degc, weight : array_like
        Inlet of each rack [°C], NaN of a rack that never runs, and how many racks it stands for.
    recommended_max_degc, allowable_max_degc : float
        ASHRAE TC 9.9 class limits [°C] (defaults: A1).

    Returns
    -------
    float
        RCI_HI [-]; NaN where no rack runs.

    Raises
    ------
    ValueError
        If the allowable limit is not above the recommended one.

    References
    ----------
    .. [1] M. Herrlin, ASHRAE Transactions 111 (2005), "Rack cooling effectiveness in data centers and telecom central
       offices: the rack cooling index".
    """
    if not allowable_max_degc > recommended_max_degc:
        raise ValueError(
            f"allowable_max_degc is {allowable_max_degc:g}; must be above recommended_max_degc {recommended_max_degc:g}"
        )
    inlet, count = np.broadcast_arrays(np.asarray(inlet_degc, dtype=float), np.asarray(weight, dtype=float))
    runs = np.isfinite(inlet)
    if not np.any(count[runs] > 0):
        return float("nan")
    over = np.maximum(inlet[runs] - recommended_max_degc, 0.0)
    return float(1 - np.sum(count[runs] * over) / (np.sum(count[runs]) * (allowable_max_degc - recommended_max_degc)))


# Reduced-order position model: assumed orders of magnitude for the two paths by which hot air reaches an inlet, round
# the end of the row and over its top. Containment closes both but for leakage through its seams.
ASSUMED_END_SHARE = {"none": 0.12, "cold_aisle": 0.03, "hot_aisle": 0.02, "chimney": 0.01}
ASSUMED_TOP_SHARE = {"none": 0.10, "cold_aisle": 0.03, "hot_aisle": 0.02, "chimney": 0.01}
ASSUMED_FLOOR_SHARE = {"none": 0.02, "cold_aisle": 0.01, "hot_aisle": 0.01, "chimney": 0.005}
ASSUMED_END_REACH_RACKS = 1.5  # e-folding depth of the end effect into the row


def recirculation_by_position(
    position: ArrayLike, racks_in_row: ArrayLike, containment: str = "hot_aisle", *, top_share: ArrayLike = 1.0
) -> FloatArray:
    """Return the share of hot air in the inlet of each rack of a row.

    A rack's inlet mixes hot air that spills round the nearer row end, decaying by e every `ASSUMED_END_REACH_RACKS`
    racks, hot air that spills over the top, averaged over the rack's height, and leakage through floor and blanks.
    Shares add as the flows do while they are small.

    Parameters
    ----------
    position : array_like
        Place in the row, 0 to racks_in_row - 1.
    racks_in_row : array_like
        Racks in the row, at least 1.
    containment : str
        `none`, `cold_aisle`, `hot_aisle` or `chimney`.
    top_share : array_like
        How much of the over-the-top path is open: 1 for a rack as tall as its row, less under a ceiling plenum.

    Returns
    -------
    ndarray
        Recirculated share r [-]; the inlet is (1 - r) T_supply + r T_hot. Assumed magnitudes: measure SHI to replace.

    Raises
    ------
    ValueError
        If the containment is unknown or a position lies outside its row.
    """
    if containment not in ASSUMED_END_SHARE:
        raise ValueError(f"containment is {containment!r}; must be one of {', '.join(ASSUMED_END_SHARE)}")
    place = np.asarray(position, dtype=float)
    n = np.asarray(racks_in_row, dtype=float)
    bad = ~((place >= 0) & (place <= n - 1))
    if np.any(bad):
        where = np.broadcast_to(place, bad.shape)[bad].flat[0]
        raise ValueError(f"position {where:g} lies outside its row; must be 0 to racks_in_row - 1")
    left = np.exp(-place / ASSUMED_END_REACH_RACKS)
    right = np.exp(-(n - 1 - place) / ASSUMED_END_REACH_RACKS)
    end = ASSUMED_END_SHARE[containment] * np.maximum(left, right)
    # Over the top: the share falls linearly from the top to nothing at half height, a quarter of it on average.
    top = 0.25 * ASSUMED_TOP_SHARE[containment] * np.asarray(top_share, dtype=float)
    return end + top + ASSUMED_FLOOR_SHARE[containment]
