"""Which balances the sensors close: sums of points beside the meter of the same, as measured and as predicted.

A balance closes where its measured ratio is the predicted one within two sigmas of usual sensors; it cannot be judged
where a point of it is not measured. The predicted ratio holds what lies between: losses, cooling, unlike coolants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.inputs.feed_ratings import PRIME, is_shaving
from twin.core.inputs.layout import LayoutInputs
from twin.core.telemetry.quantities import QUANTITIES, point_name

FloatArray = NDArray[np.float64]
Key = tuple[str, str]  # object and quantity
Points = Mapping[Key, FloatArray]
CLOSES, OPEN, CANNOT = "closes", "open", "cannot"
SIGMAS = 2.0
MOST_NAMED = 20  # points of a balance that are not measured


@dataclass(frozen=True, slots=True)
class Stream:
    """A flow with what it is warmed by; its heat is flow × difference, but for the coolant's specific heat."""

    flow: Key
    supply: Key
    back: Key

    def keys(self) -> tuple[Key, ...]:
        """Return its points."""
        return self.flow, self.supply, self.back


Term = Key | Stream


@dataclass(frozen=True, slots=True)
class Balance:
    """What adds up to what."""

    sum_of: str
    terms: tuple[Term, ...]
    meter_name: str
    meter: Term


def balances(inputs: LayoutInputs, racks: Sequence[str]) -> list[Balance]:
    """Return the balances of a layout, those that something is described for.

    Parameters
    ----------
    inputs : LayoutInputs
    racks : sequence of str
        Names of the racks on the wire, in their order.
    """
    found = [
        Balance(
            f"power_w of {len(racks)} racks",
            tuple((name, "power_w") for name in racks),
            "site|power_w",
            ("site", "power_w"),
        )
    ]
    sources = [feed for feed in inputs.feeds if feed.kind == "utility" or feed.operation == PRIME or is_shaving(feed)]
    on_site = any(feed.kind != "utility" for feed in sources)
    if on_site:  # they carry together what hangs on the utilities
        terms = tuple((f"feed/{feed.name}", "power_w") for feed in sources)
        found.append(Balance(f"power_w of {len(terms)} sources", terms, "site|power_w", ("site", "power_w")))
    fed = {feed_id for column in (inputs.racks.feed_a_id, inputs.racks.feed_b_id) for feed_id in column}
    for feed in inputs.feeds:
        below = [other.name for other in inputs.feeds if other.parent_id == feed.id]
        if below and feed.id not in fed and not (on_site and feed.kind == "utility"):
            terms = tuple((f"feed/{name}", "power_w") for name in below)
            meter = (f"feed/{feed.name}", "power_w")
            found.append(
                Balance(
                    f"power_w of {len(below)} {'feed' if len(below) == 1 else 'feeds'} below",
                    terms,
                    point_name(*meter),
                    meter,
                )
            )
    for cdu in inputs.cdus:
        own = f"cdu/{cdu.name}"
        cooled = [name for name, at in zip(racks, inputs.racks.cdu_id, strict=True) if at == cdu.id]
        meter = (own, "secondary_flow_kg_s")
        alike = [other for other in inputs.cdus if other.group and other.group == cdu.group]
        if cooled and len(alike) < 2:  # a group's CDUs share its racks' flow
            terms = tuple((name, "liquid_flow_kg_s") for name in cooled)
            found.append(Balance(f"liquid_flow_kg_s of {len(cooled)} racks", terms, point_name(*meter), meter))
        sides = [
            Stream(*((own, f"{side}_{what}") for what in ("flow_kg_s", "supply_degc", "return_degc")))
            for side in ("secondary", "primary")
        ]
        found.append(Balance("heat of the secondary side", (sides[0],), f"{own} heat of the primary side", sides[1]))
    for plant in inputs.plants:
        served = [f"cdu/{cdu.name}" for cdu in inputs.cdus if cdu.plant_id == plant.id]
        aired = any(hall.plant_id == plant.id and hall.n_air_units for hall in inputs.halls)
        meter = (f"plant/{plant.name}", "liquid_flow_kg_s")
        if served and not aired:  # air units' water has no meter of its own
            terms = tuple((name, "primary_flow_kg_s") for name in served)
            found.append(Balance(f"primary_flow_kg_s of {len(served)} CDUs", terms, point_name(*meter), meter))
    return found


def judged(balance: Balance, measured: Points, predicted: Points) -> dict[str, Any] | None:
    """Return one row of a comparison's coverage, or None where nothing of the balance is measured or predicted.

    With some terms missing the ratio is that of the measured ones, beside the predicted ratio of the same.
    """
    asked = [term for term in balance.terms if all(key in predicted for key in _keys(term))]
    missing = [key for term in (balance.meter, *asked) for key in _keys(term) if key not in measured]
    there = [term for term in asked if all(key in measured for key in _keys(term))]
    if not asked or not all(key in predicted for key in _keys(balance.meter)):
        return None
    if len(missing) == len({key for term in (*asked, balance.meter) for key in _keys(term)}):
        return None  # nobody measures it
    row: dict[str, Any] = {
        "sum_of": balance.sum_of,
        "meter": balance.meter_name,
        "ratio": None,
        "predicted_ratio": None,
        "tolerance_frac": None,
        "state": CANNOT,
        "missing": [point_name(*key) for key in missing[:MOST_NAMED]],
        "n_missing": len(missing),
    }
    if not there or any(key not in measured for key in _keys(balance.meter)):
        return row
    if len(there) < len(balance.terms):
        row["sum_of"] = balance.sum_of.replace(f"of {len(balance.terms)}", f"of {len(there)} of {len(balance.terms)}")
    parts = [[np.sum([_value(term, points) for term in there], axis=0) for points in (measured, predicted)]]
    parts.append([_value(balance.meter, points) for points in (measured, predicted)])
    known = np.all(np.isfinite(np.stack([*parts[0], *parts[1]])), axis=0)
    totals = [[float(np.mean(column[known])) if known.any() else 0.0 for column in pair] for pair in parts]
    if min(totals[1]) <= 0.0:
        return row
    row["ratio"], row["predicted_ratio"] = (totals[0][i] / totals[1][i] for i in (0, 1))
    # sensors of one make may err together: a sum is no surer than one of them
    sigma = np.sqrt(_sigma_frac(there[0], predicted, known) ** 2 + _sigma_frac(balance.meter, predicted, known) ** 2)
    row["tolerance_frac"] = float(SIGMAS * sigma)
    if not missing:
        off = abs(row["ratio"] / row["predicted_ratio"] - 1.0) if row["predicted_ratio"] else np.inf
        row["state"] = CLOSES if off <= row["tolerance_frac"] else OPEN
    return row


def coverage(
    inputs: LayoutInputs, racks: Sequence[str], measured: Points, predicted: Points
) -> tuple[dict[str, Any], ...]:
    """Return every balance of a layout that something is measured of, in the order of the layout."""
    rows = (judged(balance, measured, predicted) for balance in balances(inputs, racks))
    return tuple(row for row in rows if row is not None)


def _keys(term: Term) -> tuple[Key, ...]:
    return term.keys() if isinstance(term, Stream) else (term,)


def _value(term: Term, points: Points) -> FloatArray:
    if not isinstance(term, Stream):
        return points[term]
    return points[term.flow] * (points[term.back] - points[term.supply])


def _sigma_frac(term: Term, predicted: Points, known: NDArray[np.bool_]) -> float:
    """Return a usual sensor's sigma of a term over its predicted mean."""
    if not isinstance(term, Stream):
        usual, mean = QUANTITIES[term[1]], float(np.mean(np.abs(predicted[term][known])))
        return usual.sigma if usual.relative else usual.sigma / mean if mean else np.inf
    rise = float(np.mean(np.abs(predicted[term.back][known] - predicted[term.supply][known])))
    degc = QUANTITIES[term.supply[1]].sigma * np.sqrt(2.0)
    return float(np.hypot(QUANTITIES[term.flow[1]].sigma, degc / rise)) if rise else np.inf
