"""Which runs no other run beats: the same tokens for less, or more tokens for the same price, is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from twin.core.comparison.runs import ComparedRun

#: What tokens per second are bought with: figure, label, unit.
PRICES = (
    ("cost_per_million_output_tokens_usd", "Cost of a million output tokens", "$/M tok"),
    ("mean_power_w", "Mean power at the meter", "W"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One run: its tokens per second against what they take; bands are [low, high] or None."""

    run: int  # its place among the compared runs
    name: str
    output_tokens_per_s: float
    output_band: list[float] | None
    price: float
    price_band: list[float] | None
    efficient: bool


@dataclass(frozen=True, slots=True)
class TokenFrontier:
    """Runs in the plane of tokens per second and one price; runs without one of the two are left out."""

    price: str
    label: str
    unit: str
    points: list[Point]


def token_frontiers(runs: Sequence[ComparedRun]) -> list[TokenFrontier]:
    """Return the plane of every price of `PRICES` in which at least one run can be placed."""
    found = [TokenFrontier(price, label, unit, points(runs, price)) for price, label, unit in PRICES]
    return [frontier for frontier in found if frontier.points]


def points(runs: Sequence[ComparedRun], price: str) -> list[Point]:
    """Return the runs that have tokens and this price, and whether each is Pareto-efficient among them."""
    places: dict[int, tuple[float, float]] = {}
    for i, run in enumerate(runs):
        tokens, asked = run.figures.get("output_tokens_per_s"), run.figures.get(price)
        if tokens and asked is not None:
            places[i] = (tokens, asked)
    found = []
    for i, place in places.items():
        bands = (runs[i].bands.get(name) for name in ("output_tokens_per_s", price))
        efficient = not any(dominates(other, place) for other in places.values())
        (tokens, asked), (token_band, price_band) = place, bands
        found.append(Point(i, runs[i].name, tokens, token_band, asked, price_band, efficient))
    return found


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether `one`, (tokens, price), has at least the tokens for no more, and is not the same."""
    return one[0] >= other[0] and one[1] <= other[1] and one != other
