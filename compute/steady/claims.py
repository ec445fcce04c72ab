"""Published claims about generations of accelerators, recomputed from the model: ratios at equal speed per user.

A ratio of tokens per megawatt means nothing without the interactivity at which both sides serve: at a speed that the
older system barely reaches it can be made as large as one likes. Each ratio therefore comes per interactivity, with
the band of both predictions, and with none where one side cannot serve that speed at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compute.accelerators import Accelerator
from compute.calibration.coefficients import CoefficientSet
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import ModelShape
from compute.steady.frontier import Frontier, serving_frontier
from compute.workload import Workload

ELECTRICITY_USD_PER_J = 0.08 / 3.6e6  # 8 cents a kWh, about what large American sites pay


@dataclass(frozen=True, slots=True)
class System:
    """One side of a claim: accelerators with what their rack draws and costs per accelerator."""

    name: str
    accelerator: Accelerator
    max_accelerators: int  # of one instance: the scale-up domain
    weight_precision: str  # blank: the best of those possible
    overhead_w: float  # beside the accelerator: host, network, fans, conversion; per accelerator
    capital_usd: float  # per accelerator, rack included
    lifetime_s: float = 4 * 8760 * 3600.0

    def __post_init__(self) -> None:
        for name in ("max_accelerators", "lifetime_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"System {self.name}.{name} is {getattr(self, name)}; must be greater than 0")
        for name in ("overhead_w", "capital_usd"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"System {self.name}.{name} is {getattr(self, name)}; must be 0 or more")


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """New over old at one interactivity; `None` where one of them cannot serve it. Bands hold 80 %."""

    user_tokens_per_s: float
    old_tokens_per_s_per_mw: float | None
    new_tokens_per_s_per_mw: float | None
    power_ratio: float | None  # tokens per second and megawatt, new over old
    power_ratio_low: float | None
    power_ratio_high: float | None
    cost_ratio: float | None  # cost per token, old over new: how many times cheaper
    cost_ratio_low: float | None
    cost_ratio_high: float | None
    old_configuration: str
    new_configuration: str


def claim_rows(
    coefficients: CoefficientSet,
    model: ModelShape,
    workload: Workload,
    *,
    old: System,
    new: System,
    user_tokens_per_s: Sequence[float] = (10.0, 20.0, 35.0, 50.0, 75.0, 100.0),
    electricity_usd_per_j: float = ELECTRICITY_USD_PER_J,
) -> list[ClaimRow]:
    """Return tokens per megawatt and cost per token of two systems at several interactivities.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    model, workload : ModelShape, Workload
        What is served to whom.
    old, new : System
        The two sides.
    user_tokens_per_s : sequence of float
        Speeds that each user sees at least [1/s].
    electricity_usd_per_j : float
        Price of energy; 8 cents per kWh where omitted.
    """
    sides = {
        side.name: serving_frontier(
            coefficients,
            side.accelerator,
            model,
            workload,
            max_accelerators=side.max_accelerators,
            precisions=(side.weight_precision,),
        )
        for side in (old, new)
    }
    old_band, new_band = (
        half_bands(coefficients.record, side.accelerator.name, model.name)["throughput"] for side in (old, new)
    )
    spread = np.hypot(old_band, new_band)
    rows = []
    for speed in user_tokens_per_s:
        points = [_point(sides[side.name], side, speed, electricity_usd_per_j) for side in (old, new)]
        (old_mw, old_usd, old_text), (new_mw, new_usd, new_text) = points
        power = new_mw / old_mw if old_mw and new_mw else None
        cost = old_usd / new_usd if old_usd and new_usd else None
        rows.append(
            ClaimRow(
                user_tokens_per_s=float(speed),
                old_tokens_per_s_per_mw=old_mw,
                new_tokens_per_s_per_mw=new_mw,
                power_ratio=power,
                power_ratio_low=power * float(np.exp(-spread)) if power else None,
                power_ratio_high=power * float(np.exp(spread)) if power else None,
                cost_ratio=cost,
                cost_ratio_low=cost * float(np.exp(-spread)) if cost else None,
                cost_ratio_high=cost * float(np.exp(spread)) if cost else None,
                old_configuration=old_text,
                new_configuration=new_text,
            )
        )
    return rows


def _point(
    frontier: Frontier, side: System, speed: float, electricity_usd_per_j: float
) -> tuple[float | None, float | None, str]:
    """Return tokens per second and megawatt, dollars per token, and the configuration at a speed per user."""
    k = frontier.at_interactivity(speed)
    if k is None:
        return None, None, frontier.reason or "no configuration is that fast"
    rate = float(frontier.accelerator_tokens_per_s[k])
    watts = float(frontier.accelerator_power_w[k]) + side.overhead_w
    usd_per_s = side.capital_usd / side.lifetime_s + watts * electricity_usd_per_j
    return rate / watts * 1e6, usd_per_s / rate, frontier.configuration[k]
