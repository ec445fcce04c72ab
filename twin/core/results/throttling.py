"""How far accelerators are from losing clock to heat: at which hour, coolant temperature and flow tokens would go.

A junction is at its coolant's temperature plus resistance times power (`power_cooling.racks.chips`). At the hour when
an accelerator is hottest its load is known, so the power that it would draw at its limit is known too, and with it the
coolant that would bring it there, and the flow at which today's coolant would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from power_cooling.site_arrays import FloatArray, RackBank
from twin.core.results.details import ThrottleMargin
from twin.core.solved import Solved

LEAST_FLOW_FRAC = 0.01  # of the design flow: less is none


def throttle_margins(solved: Solved) -> list[ThrottleMargin]:
    """Return the margin of each kind of liquid-cooled rack at its nearest hour, least first."""
    groups = list(dict.fromkeys(cdu.group for cdu in solved.inputs.cdus))
    first = {int(k): i for i, k in reversed(list(enumerate(solved.rack_class.tolist())))}
    least: dict[tuple[str, str], _Nearest] = {}
    for near in _nearest_hours(solved):
        key = (str(solved.table.system[first[near.rack_class]]), groups[near.cdu_group])
        if key not in least or near.margin_k < least[key].margin_k:
            least[key] = near
    rows = [_margin(solved, system, group, near) for (system, group), near in least.items()]
    return sorted(rows, key=lambda row: row.margin_k)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The hour in which a rack class is nearest to throttling."""

    rack_class: int
    cdu_group: int
    hour: int
    flow_frac: float
    onset_degc: float
    margin_k: float
    power_w: float


def _nearest_hours(solved: Solved) -> Iterator[_Nearest]:
    racks, c = solved.site.racks, solved.coupled
    drawn = cache(partial(_drawn_w, solved))
    flow_of = cache(lambda g: np.maximum(c.cdu_flow_frac[:, g].astype(float), LEAST_FLOW_FRAC))
    thinned = cache(lambda g, exponent: flow_of(g) ** -exponent)
    for k in range(racks.n_racks):
        g, pool = int(racks.cdu_index[k]), int(racks.pool_index[k])
        if g < 0 or pool < 0 or racks.accelerator_liquid_frac[k] <= 0 or racks.n_accelerators[k] <= 0:
            continue
        limit_w = _power_at_limit_w(racks, k, *drawn(pool, float(racks.load_share[k])))
        flow = flow_of(g)
        resistance = _resistance_k_per_w(racks, k, thinned(g, float(racks.r_th_flow_exponent[k])), flow)
        onset = racks.throttle_degc[k] - resistance * limit_w
        left = onset - c.cdu_supply_degc[:, g]
        if np.any(np.isfinite(left)):
            hour = int(np.nanargmin(left))
            at_hour = (float(values[hour]) for values in (flow, onset, left, limit_w))
            yield _Nearest(k, g, hour, *at_hour)


def _margin(solved: Solved, system: str, group: str, near: _Nearest) -> ThrottleMargin:
    racks, k = solved.site.racks, near.rack_class
    supply_degc = float(solved.coupled.cdu_supply_degc[near.hour, near.cdu_group])
    sheet = next((p for p in solved.inputs.products.by_id.values() if p.kind == "systems" and p.slug == system), None)
    return ThrottleMargin(
        system=sheet.name if sheet else system,
        cdu_group=group,
        hour=near.hour,
        supply_degc=supply_degc,
        throttling_from_degc=near.onset_degc,
        margin_k=near.margin_k,
        flow_frac=near.flow_frac,
        throttling_below_flow_frac=onset_flow_frac(racks, k, supply_degc, near.power_w),
        limit_degc=float(racks.throttle_degc[k]),
        power_w=near.power_w,
        resistance_k_per_w=float(resistance_k_per_w(racks, k, np.ones(1))[0]),
        basis="published" if sheet and sheet.facts.get("cold_plate_k_per_w") else "assumed",
    )


def power_at_limit_w(solved: Solved, k: int) -> FloatArray:
    """Return what an accelerator of rack class k draws at full clock with its junction at the limit [W], (n_hours,)."""
    racks = solved.site.racks
    return _power_at_limit_w(racks, k, *_drawn_w(solved, int(racks.pool_index[k]), float(racks.load_share[k])))


def _drawn_w(solved: Solved, pool: int, load_share: float) -> tuple[FloatArray, FloatArray]:
    """Return static and dynamic power of an accelerator of a pool at full clock [W], each of shape (n_hours,)."""
    pools = solved.site.pools
    grid = np.linspace(0.0, 1.0, pools.static_power_w.shape[1])
    load = np.clip(np.minimum(solved.load_frac[:, pool], 1.0) * load_share, 0.0, 1.0)
    return np.interp(load, grid, pools.static_power_w[pool]), np.interp(load, grid, pools.dynamic_power_w[pool])


def _power_at_limit_w(racks: RackBank, k: int, static_w: FloatArray, dynamic_w: FloatArray) -> FloatArray:
    leak = np.minimum(racks.leakage_frac[k] * racks.tdp_w[k], static_w)
    leaking = leak * np.expm1(racks.leakage_per_k[k] * (racks.throttle_degc[k] - racks.reference_degc[k]))
    return np.minimum(static_w + dynamic_w + leaking, racks.power_limit_w[k])


def resistance_k_per_w(racks: RackBank, k: int, flow_frac: FloatArray) -> FloatArray:
    """Return junction to coolant of rack class k at flows over the design flow [K/W]."""
    return _resistance_k_per_w(racks, k, flow_frac ** -racks.r_th_flow_exponent[k], flow_frac)


def _resistance_k_per_w(racks: RackBank, k: int, thinned: FloatArray, flow_frac: FloatArray) -> FloatArray:
    varying = racks.r_th_flow_k_per_w[k] * thinned
    return racks.r_th_fixed_k_per_w[k] + varying + racks.r_th_rise_k_per_w[k] / flow_frac


def onset_flow_frac(racks: RackBank, k: int, supply_degc: float, power_w: float) -> float | None:
    """Return the flow over the design flow below which the limit is passed; None where no flow would do.

    The resistance falls with flow, so halving finds it.
    """
    allowed = (racks.throttle_degc[k] - supply_degc) / power_w

    def over(flow: float) -> bool:
        return bool(resistance_k_per_w(racks, k, np.array([flow]))[0] > allowed)

    low, high = LEAST_FLOW_FRAC, 100.0
    if over(high):
        return None
    if not over(low):
        return 0.0
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if over(middle) else (low, middle)
    return high
