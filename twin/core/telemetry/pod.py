"""One pod of racks with row coolers: the heat that the air carries, the air that racks breathe, and which meters agree.

The heat is fan signal times the air's temperature difference (fan laws: flow goes with speed), as late as coil and
meter are; IT power is no part of it, so that the two can be held against each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.core.telemetry import scores
from twin.core.telemetry.alarms import samples_per_independent
from twin.core.telemetry.calibrate import Fit, Parameter, fit_map
from twin.core.telemetry.component import Answer, Rows, component_rows, parameter_row, training_rows
from twin.core.telemetry.tables import Table, listed

FloatArray = NDArray[np.float64]

QUANTITIES = ("thermal_power_out_w", "electrical_power_in_w", "it_power_w")
NEEDED = ("thermal_power_out_w", "it_power_w")
ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "thermal_power_out_w": ("thermalpowerw", "coolingpowerw", "heatremovedw", "heatw"),
    "electrical_power_in_w": ("electricalpowerw", "feedpowerw", "totalpowerw", "inputpowerw"),
    "it_power_w": ("itloadw", "podpowerw", "itw"),
}
SENSE = dict.fromkeys(QUANTITIES, (-1000000.0, 1000000000.0, "W"))
TRAIN_FRAC = 2 / 3
# Names of further columns: cooler number and what, rack number and what, sensors in the aisle.
COOLER = re.compile(r"^(?:cooler|row_?cooler|crah|crac|unit)_?(\d+)_(.*)$")
RACK_POWER = re.compile(r"^rack_?(\d+)_power_k?w$")
PDU_POWER = re.compile(r"^(?:pdu|rpp|busway)_(?:power_)?(\d+)(?:_power)?_w$")
RACK_INLET = re.compile(r"^rack.*(?:_inlet|_front).*_(?:c|degc)$")
AISLE = re.compile(r"^cold_aisle.*_(?:c|degc)$")
# A meter that covers less than this share of another is a gap worth naming.
GAP_FRAC = 0.03
FOLLOWED_FRAC = 0.5
ASSUMED_COIL_TIME_S = 120.0  # water in a coil, and the averaging of its heat meter


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """A pod's rows. `fan_pct`, `supply_degc`, `return_degc` have shape (coolers, n)."""

    seconds: FloatArray
    thermal_w: FloatArray
    electrical_w: FloatArray
    it_w: FloatArray
    fan_pct: FloatArray
    supply_degc: FloatArray
    return_degc: FloatArray
    rack_power_w: FloatArray  # shape (racks, n)
    pdu_power_w: FloatArray
    inlet_degc: FloatArray  # shape (sensors, n)
    aisle_degc: FloatArray


def pod_of(table: Table, rows: Rows) -> Pod:
    """Find coolers, racks and sensors among the columns.

    Raises
    ------
    ValueError
        If there is no cooler with a fan signal, a supply and a return temperature.
    """
    coolers: dict[str, dict[str, list[str]]] = {}
    groups: dict[str, list[str]] = {"rack": [], "pdu": [], "inlet": [], "aisle": []}
    for name in table.columns:
        plain = name.strip().lower()
        match = COOLER.match(plain)
        if match:
            what = match.group(2)
            role = next(
                (role for role, word in (("fan", "fan"), ("supply", "supply"), ("return", "return")) if word in what),
                None,
            )
            if role:
                coolers.setdefault(match.group(1), {}).setdefault(role, []).append(name)
        for group, pattern in (("rack", RACK_POWER), ("pdu", PDU_POWER), ("inlet", RACK_INLET), ("aisle", AISLE)):
            if pattern.match(plain):
                groups[group].append(name)
    whole = {number: roles for number, roles in coolers.items() if set(roles) == {"fan", "supply", "return"}}
    if not whole:
        raise ValueError(
            f"{table.name}: no cooler has columns cooler1_fan_…, cooler1_supply_… and cooler1_return…;"
            f" it has {listed(table.columns)}"
        )

    def read(names: list[str]) -> FloatArray:
        if not names:
            return np.empty((0, len(rows.seconds)))
        return np.array([table.numbers(name)[rows.order] for name in names])

    def mean_of(role: str) -> FloatArray:
        return np.array([_mean(read(whole[number][role])) for number in sorted(whole)])

    none = np.full(len(rows.seconds), np.nan)
    return Pod(
        rows.seconds,
        rows.values["thermal_power_out_w"],
        rows.values.get("electrical_power_in_w", none),
        rows.values["it_power_w"],
        mean_of("fan"),
        mean_of("supply"),
        mean_of("return"),
        read(groups["rack"]),
        read(groups["pdu"]),
        read(groups["inlet"]),
        read(groups["aisle"]),
    )


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of what is there, NaN where nothing is."""
    n = np.isfinite(values).sum(axis=0)
    return np.where(n > 0, np.nansum(values, axis=0) / np.maximum(n, 1), np.nan)


@njit(cache=True)
def _lagged(seconds: FloatArray, values: FloatArray, time_constant_s: float) -> FloatArray:
    late = np.empty(len(values))
    state = np.nan
    last = seconds[0]
    for i in range(len(values)):
        if not np.isnan(values[i]):
            if np.isnan(state):
                state = values[i]
            state += (values[i] - state) * (1 - np.exp(-(seconds[i] - last) / time_constant_s))
        last = seconds[i]
        late[i] = state
    return late


def heat_w(pod: Pod, values: Mapping[str, float]) -> FloatArray:
    """Return the heat that the coolers take from the air, as late as coil and meter are [W]."""
    carried = np.nansum((pod.fan_pct + values["fan_offset_pct"]) * (pod.return_degc - pod.supply_degc), axis=0)
    return values["air_w_per_pct_k"] * _lagged(pod.seconds, carried, values["coil_time_s"])


def fit_heat(pod: Pod, train: NDArray[np.bool_]) -> Fit:
    """Fit the air's conductance, the fans' offset and the lag of coil and meter to the training rows."""
    product = np.nansum(pod.fan_pct * (pod.return_degc - pod.supply_degc), axis=0)
    ratio = float(np.nanmedian((pod.thermal_w / np.where(product > 0, product, np.nan))[train]))
    if not ratio > 0:
        raise ValueError("fans and temperature differences of the coolers carry no heat in the training rows")
    parameters = [
        Parameter("air_w_per_pct_k", "W/(% K)", ratio, 0.3, ratio / 10, ratio * 10, logarithmic=True),
        Parameter("fan_offset_pct", "%", 0.0, 5.0, -20.0, 60.0),
        Parameter("coil_time_s", "s", ASSUMED_COIL_TIME_S, 0.7, 1.0, 3600.0, logarithmic=True),
    ]
    # Air-side heat is noisy: some percent, and farther off while a load steps.
    sigma = 0.04 * float(np.nanmedian(pod.thermal_w[train]))

    def residuals(values: Mapping[str, float]) -> FloatArray:
        return ((pod.thermal_w - heat_w(pod, values)) / sigma)[train]

    start = residuals({p.name: p.prior for p in parameters})
    tell = {frozenset(("air_w_per_pct_k", "fan_offset_pct")): "a cooler's air flow, or minutes at other fan speeds"}
    return fit_map(parameters, residuals, samples_per_independent=samples_per_independent(start), sensors=tell)


def fit_inlet(pod: Pod, measured: FloatArray, train: NDArray[np.bool_]) -> Fit:
    """Fit the air in front of the racks: what coolers supply, and a share of what they draw back."""
    supply, back = _mean(pod.supply_degc), _mean(pod.return_degc)
    parameters = [
        Parameter("recirculation_frac", "frac", 0.1, 0.2, 0.0, 1.0),
        Parameter("supply_gain_frac", "frac", 1.0, 0.3, 0.0, 2.0),
        Parameter("inlet_offset_k", "K", 1.0, 3.0, -15.0, 25.0),
    ]
    middle = float(np.nanmedian(supply[train]))

    def residuals(values: Mapping[str, float]) -> FloatArray:
        return ((measured - inlet_degc(values, supply, back, middle)) / 0.2)[train]

    start = residuals({p.name: p.prior for p in parameters})
    tell = {frozenset(("recirculation_frac", "inlet_offset_k")): "air that the coolers supply, at the cooler's face"}
    return fit_map(parameters, residuals, samples_per_independent=samples_per_independent(start), sensors=tell)


def inlet_degc(values: Mapping[str, float], supply: FloatArray, back: FloatArray, middle: float) -> FloatArray:
    """Return the temperature in front of the racks [degC] from the coolers' supply and return."""
    cold = middle + values["supply_gain_frac"] * (supply - middle) + values["inlet_offset_k"]
    return cold + values["recirculation_frac"] * (back - supply)


def calibrate_pod(
    table: Table,
    named: Mapping[str, str],
    design_row: Mapping[str, str] | None = None,
    *,
    train_until: float | None = None,
    train_frac: float | None = None,
) -> Answer:
    """Calibrate a pod on its earlier minutes and score heat and cold-aisle temperature on later ones.

    Parameters
    ----------
    table, named
        Readings and where columns are called otherwise, see `QUANTITIES`; coolers, racks and sensors by their names.
    design_row : mapping, optional
        Not needed; the readings hold what the laws take.
    train_until, train_frac : float, optional
        End of the training part; two thirds of the rows where neither is given.
    """
    rows = component_rows(table, named, QUANTITIES, NEEDED, SENSE, ALSO_CALLED)
    pod = pod_of(table, rows)
    train = training_rows(rows, train_until, train_frac if train_frac or train_until else TRAIN_FRAC)
    heat = fit_heat(pod, train)
    measured = {
        "thermal_power_w": scores.scored("thermal_power_w", pod.thermal_w, heat_w(pod, heat.values), train),
    }
    parameters = [parameter_row("pod", estimate) for estimate in heat.estimates]
    supply, back = _mean(pod.supply_degc), _mean(pod.return_degc)
    middle = float(np.nanmedian(supply[train]))
    breathed = _mean(pod.inlet_degc) if len(pod.inlet_degc) else _mean(pod.aisle_degc)
    if np.isfinite(breathed[train]).sum() >= 30:
        inlet = fit_inlet(pod, breathed, train)
        predicted = inlet_degc(inlet.values, supply, back, middle)
        measured["cold_aisle_degc"] = scores.scored("cold_aisle_degc", breathed, predicted, train) | {
            "sensors": f"mean of {len(pod.inlet_degc) or len(pod.aisle_degc)} in front of the racks"
        }
        parameters += [parameter_row("pod", estimate) for estimate in inlet.estimates]
    if len(pod.inlet_degc) and len(pod.aisle_degc):
        measured |= _strip(pod, supply, back, middle, breathed, train)
    return Answer(measured, parameters, [], [], _coverage(pod), list(rows.times.findings), rows.columns)


def _strip(
    pod: Pod, supply: FloatArray, back: FloatArray, middle: float, breathed: FloatArray, train: NDArray[np.bool_]
) -> dict[str, Any]:
    """Score sensors that are labelled as the cold aisle's but stand apart from what the racks breathe."""
    strip = _mean(pod.aisle_degc)
    if np.isfinite(strip[train]).sum() < 30:
        return {}
    fit = fit_inlet(pod, strip, train)
    alone = inlet_degc(fit.values, supply, back, middle)
    entry = scores.scored("cold_aisle_strip_degc", strip, _followed(strip, alone), train)
    entry["rmse_without_following_k"] = scores.rmse(strip[~train], alone[~train])
    over = float(np.nanmedian(strip - breathed))
    note = f"one row ahead, its error followed; reads {over:+.1f} K from the sensors in front of the racks"
    if np.nanmedian(strip) > np.nanmedian(back) - 2.0:
        note += ", near what the coolers draw back: it does not stand in cold air"
    return {"cold_aisle_strip_degc": entry | {"sensors": note}}


@njit(cache=True)
def _followed(measured: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return predictions one row ahead: each with the error of the rows before, the last one half of it."""
    ahead = np.empty(len(measured))
    error = 0.0
    for i in range(len(measured)):
        ahead[i] = predicted[i] + error
        if not np.isnan(measured[i] - predicted[i]):
            error += FOLLOWED_FRAC * (measured[i] - predicted[i] - error)
    return ahead


def _coverage(pod: Pod) -> list[dict[str, Any]]:
    """Return how sums of meters stand to the meter above them, the gap named."""
    sections = []

    def compare(name: str, total: FloatArray, meter: str, against: FloatArray, why: str) -> None:
        both = np.isfinite(total) & np.isfinite(against) & (against > 0)
        if not both.any():
            return
        shares = total[both] / against[both]
        ratio = float(total[both].sum() / against[both].sum())
        gap = f"{1 - ratio:.0%} of {meter} is not covered: {why}" if ratio < 1 - GAP_FRAC else ""
        low, high = (float(v) for v in np.percentile(shares, [5, 95]))
        sections.append({"sum_of": name, "meter": meter, "ratio": ratio, "low": low, "high": high, "gap": gap})

    if len(pod.rack_power_w):
        # A rack whose meter is silent for a while keeps its mean, so that the sum does not jump.
        usual = np.nanmean(pod.rack_power_w, axis=1, keepdims=True)
        racks = np.where(np.isfinite(pod.rack_power_w), pod.rack_power_w, usual).sum(axis=0)
        why = "losses of power supplies and servers without a meter"
        compare(f"{len(pod.rack_power_w)} racks' own meters", racks, "it_power_w", pod.it_w, why)
    if len(pod.pdu_power_w):
        compare(
            f"{len(pod.pdu_power_w)} PDUs", pod.pdu_power_w.sum(axis=0), "it_power_w", pod.it_w, "PDUs without a meter"
        )
    if np.isfinite(pod.electrical_w).any():
        compare(
            "it_power_w", pod.it_w, "electrical_power_in_w", pod.electrical_w, "losses and cooling before the IT meter"
        )
        compare(
            "thermal_power_out_w",
            pod.thermal_w,
            "electrical_power_in_w",
            pod.electrical_w,
            "heat that leaves otherwise",
        )
    else:
        compare("thermal_power_out_w", pod.thermal_w, "it_power_w", pod.it_w, "heat that leaves otherwise")
    return sections
