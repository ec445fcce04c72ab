"""What a system serves of a model at set speeds per user, by kind of run: throughput, watts and what a token costs.

A kind is whether prompts are read apart and whether tokens are drafted: measured runs are of one kind, and how far a
prediction can be trusted is known by kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compute.calibration.coefficients import CoefficientSet
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import ModelShape
from compute.steady.claims import ELECTRICITY_USD_PER_J, System
from compute.steady.frontier import Frontier, serving_frontier
from compute.steady.pins import Restrictions
from compute.steady.serving import Configuration, prompt_time_frac
from compute.steps.rules import Drafting
from compute.steps.speculation import MOST_DRAFTS
from compute.token_mix import blended_usd
from compute.workload import Workload

SMALLEST_APART = 16  # accelerators among which two pools are sought where a scale-up domain is smaller


@dataclass(frozen=True, slots=True)
class KindPoint:
    """One kind of run at one speed per user; rates and watts per accelerator. Bands hold 80 %.

    Attributes
    ----------
    user_tokens_per_s : float
        Asked for: the users see at least this speed.
    tokens_per_s, low, high : float
        Output tokens.
    megawatt_tokens_per_s : float
        Output tokens per second of a megawatt of IT power: accelerators and their share of the rest of the rack.
    usd_per_million_input, usd_per_million_output, usd_per_million_blended : float
        What a million tokens cost: the bill shared by the time that reading prompts takes.
    configuration : str
        Written as pins are.
    """

    user_tokens_per_s: float
    tokens_per_s: float
    low: float
    high: float
    megawatt_tokens_per_s: float
    usd_per_million_input: float
    usd_per_million_output: float
    usd_per_million_blended: float
    configuration: str

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the band."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class KindCurve:
    """Points of one kind at the speeds asked for, None where it is not that fast; the reason where nothing fits."""

    is_apart: bool
    has_drafts: bool
    points: tuple[KindPoint | None, ...]
    reason: str


def kind_curves(
    coefficients: CoefficientSet,
    model: ModelShape,
    workload: Workload,
    system: System,
    user_tokens_per_s: Sequence[float],
    electricity_usd_per_j: float = ELECTRICITY_USD_PER_J,
) -> list[KindCurve]:
    """Return what a system serves of a model, a curve for each kind: together and apart, without and with drafts.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    model, workload : ModelShape, Workload
        What is served to whom. Models without a prediction module have no kinds with drafts.
    system : System
        What serves; its price and the rest of its power per accelerator count.
    user_tokens_per_s : sequence of float
        Speeds that each user sees at least [1/s].
    electricity_usd_per_j : float
        Price of energy.
    """
    kinds = [(apart, drafts) for drafts in (False, True) for apart in (False, True) if not drafts or model.mtp_layers]
    found = []
    for is_apart, has_drafts in kinds:
        band = half_bands(
            coefficients.record,
            system.accelerator.name,
            model.name,
            mode="disaggregated" if is_apart else "aggregated",
            drafts=has_drafts,
        )["throughput"]
        frontiers = [
            serving_frontier(
                coefficients,
                system.accelerator,
                model,
                workload,
                max_accelerators=max(system.max_accelerators, SMALLEST_APART if is_apart else 1),
                precisions=(system.weight_precision,) if system.weight_precision else None,
                allow_disaggregated=is_apart,
                allow_drafts=has_drafts,
                drafting=Drafting(tokens=tokens),
                restrictions=Restrictions("disaggregated" if is_apart else "aggregated"),
            )
            for tokens in (range(1, MOST_DRAFTS + 1) if has_drafts else (None,))
        ]
        points = tuple(
            _point(coefficients, frontiers, workload, system, speed, band, electricity_usd_per_j)
            for speed in user_tokens_per_s
        )
        found.append(
            KindCurve(is_apart, has_drafts, points, "; ".join(dict.fromkeys(f.reason for f in frontiers if f.reason)))
        )
    return found


def _point(
    coefficients: CoefficientSet,
    frontiers: Sequence[Frontier],
    workload: Workload,
    system: System,
    speed: float,
    band: float,
    electricity_usd_per_j: float,
) -> KindPoint | None:
    places = [(frontier, k) for frontier in frontiers if (k := frontier.at_interactivity(speed)) is not None]
    if not places:
        return None
    frontier, k = max(places, key=lambda place: float(place[0].accelerator_tokens_per_s[place[1]]))
    rate = float(frontier.accelerator_tokens_per_s[k])
    watts = float(frontier.accelerator_power_w[k]) + system.overhead_w
    usd_per_s = system.capital_usd / system.lifetime_s + watts * electricity_usd_per_j
    read, written = token_costs_usd(coefficients, frontier.units[k], workload, rate, usd_per_s)
    return KindPoint(
        user_tokens_per_s=float(speed),
        tokens_per_s=rate,
        low=rate * float(np.exp(-band)),
        high=rate * float(np.exp(band)),
        megawatt_tokens_per_s=rate / watts * 1e6,
        usd_per_million_input=read,
        usd_per_million_output=written,
        usd_per_million_blended=blended_usd(read, written),
        configuration=frontier.configuration[k],
    )


def token_costs_usd(
    coefficients: CoefficientSet, unit: Configuration, workload: Workload, output_tokens_per_s: float, usd_per_s: float
) -> tuple[float, float]:
    """Return what a million tokens read and a million tokens written cost [USD], the bill shared by busy time.

    Parameters
    ----------
    coefficients, unit, workload
        Whose time is shared, as `prompt_time_frac` does it.
    output_tokens_per_s, usd_per_s : float
        Of the same accelerators.
    """
    share = prompt_time_frac(coefficients, unit, workload)
    input_tokens_per_s = output_tokens_per_s * workload.input_tokens / workload.output_tokens
    return share * usd_per_s / input_tokens_per_s * 1e6, (1.0 - share) * usd_per_s / output_tokens_per_s * 1e6
