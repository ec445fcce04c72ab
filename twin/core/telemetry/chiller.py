"""One water-cooled chiller from its building-system export: power from load, lift and current, and slow fouling.

Where no water flow is metered the temperature differences stand for the load: the pumps run at one speed. Power is a
fixed part and one that goes with load times lift (Carnot over an efficiency), corrected for throttled guide vanes; a
current and a voltage give the power a second time, up to the power factor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry import scores
from twin.core.telemetry.alarms import robust_sigma, samples_per_independent
from twin.core.telemetry.calibrate import Z_OF_INTERVAL, Fit, Parameter, fit_map, judged
from twin.core.telemetry.component import Answer, Rows, component_rows, parameter_row, training_rows
from twin.core.telemetry.tables import Table

FloatArray = NDArray[np.float64]

QUANTITIES = (
    "power_kw",
    "power_w",
    "chilled_water_supply_c",
    "chilled_water_return_c",
    "condenser_water_supply_c",
    "condenser_water_return_c",
    "condenser_refrigerant_c",
    "evaporator_refrigerant_c",
    "condenser_approach_k",
    "evaporator_approach_k",
    "guide_vane_pct",
    "line_current_pct",
    "line_voltage_v",
    "chilled_water_flow_kg_s",
)
NEEDED = ("chilled_water_supply_c", "chilled_water_return_c")
ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "power_w": ("compressorpowerw", "chillerpowerw", "inputpowerw"),
    "power_kw": ("compressorpowerkw", "chillerpowerkw", "inputpowerkw", "kw"),
    "chilled_water_supply_c": ("chilledwatersupplydegc", "chwsupplyc", "chwst", "evaporatorleavingc", "chwsdegc"),
    "chilled_water_return_c": ("chilledwaterreturndegc", "chwreturnc", "chwrt", "evaporatorenteringc", "chwrdegc"),
    "condenser_water_supply_c": ("condenserwatersupplydegc", "cwsupplyc", "condenserenteringc", "ecwtdegc"),
    "condenser_water_return_c": ("condenserwaterreturndegc", "cwreturnc", "condenserleavingc", "lcwtdegc"),
    "condenser_refrigerant_c": ("condenserrefrigerantdegc", "condensingtemperaturec", "condensingdegc"),
    "evaporator_refrigerant_c": ("evaporatorrefrigerantdegc", "evaporatingtemperaturec", "evaporatingdegc"),
    "line_current_pct": ("linecurrenta", "currenta", "linecurrent", "motorcurrenta"),
    "line_voltage_v": ("voltagev", "linevoltage"),
    "guide_vane_pct": ("guidevane", "igvpct", "vanepositionpct"),
}
SENSE = {
    "power_kw": (-50.0, 50_000.0, "kW"),
    "power_w": (-5e4, 5e7, "W"),
    **{name: (-60.0, 150.0, "degC") for name in QUANTITIES if name.endswith("_c")},
}
TRAIN_FRAC = 2 / 3
RUNNING_FRAC = 0.015  # of the usual full power: below it the machine is off
# An hour's power is its mean, its temperatures are those at its end. A machine that started or stopped within the hour
# has a part of its power, or power but no lift left: such rows are scored apart, and nothing is learned from them.
LEAST_LIFT_FRAC, LEAST_DIFFERENCE_FRAC = 0.4, 0.2
# How much an approach may rise over the record before it is called fouling: a tenth and a fifth of a kelvin.
FOULING_FRAC, FOULING_K = 0.10, 0.15
MONTH_S = 30.4 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """The rows of a chiller that have power. Arrays of shape (n,); NaN where a sensor is missing."""

    seconds: FloatArray
    power_w: FloatArray
    evaporator_k: FloatArray  # chilled water's difference
    condenser_k: FloatArray  # condenser water's difference
    lift_k: FloatArray  # condensing over evaporating temperature; of the waters where the refrigerant is not known
    evaporating_degc: FloatArray
    vane_frac: FloatArray
    volt_ampere: FloatArray  # voltage times current, in whatever unit the current has
    whole: NDArray[np.bool_]  # it ran in the row before, and when the readings were taken
    train: NDArray[np.bool_]
    row: NDArray[np.intp]


def machine_of(rows: Rows, train: NDArray[np.bool_]) -> Machine:
    """Return the rows in which the machine has power, and which of them it runs through.

    Raises
    ------
    ValueError
        If there is no power, or it hardly runs in one of the parts.
    """
    n = len(rows.seconds)
    none = np.full(n, np.nan)
    got = {name: rows.values.get(name, none) for name in QUANTITIES}
    power = got["power_w"] if "power_w" in rows.values else got["power_kw"] * 1e3
    if not np.isfinite(power).any():
        raise ValueError(f"{rows.name}: no column found for power_w or power_kw; name it with --columns power_w=COLUMN")
    full = float(np.nanpercentile(power, 99))
    if not full > 0:
        raise ValueError(f"{rows.name}: power is never above 0 W")
    evaporator = got["chilled_water_return_c"] - got["chilled_water_supply_c"]
    condenser = got["condenser_water_return_c"] - got["condenser_water_supply_c"]
    condensing, evaporating = got["condenser_refrigerant_c"], got["evaporator_refrigerant_c"]
    if not np.isfinite(condensing).any():
        condensing = got["condenser_water_return_c"] + 2.0  # assumed: a clean condenser's approach
    if not np.isfinite(evaporating).any():
        evaporating = got["chilled_water_supply_c"] - 1.0  # assumed: a clean evaporator's
    lift = condensing - evaporating
    powered = power > RUNNING_FRAC * full
    usual_lift = float(np.nanmedian(lift[powered])) if np.isfinite(lift[powered]).any() else np.nan
    usual_difference = float(np.nanmedian(evaporator[powered]))
    with np.errstate(invalid="ignore"):
        runs = powered & (evaporator > LEAST_DIFFERENCE_FRAC * usual_difference)
        if np.isfinite(usual_lift):
            runs &= lift > LEAST_LIFT_FRAC * usual_lift
        current = got["line_current_pct"]
        if np.isfinite(current).any():
            runs &= ~(current <= 0)
    runs &= np.r_[False, powered[:-1]]
    for part, mask in (("training", train), ("held-out", ~train)):
        if (runs & mask).sum() < 48:
            raise ValueError(
                f"{rows.name}: the machine runs through {int((runs & mask).sum())} {part} rows; 48 or more are needed"
            )
    at = np.flatnonzero(powered)
    return Machine(
        rows.seconds[at],
        power[at],
        evaporator[at],
        condenser[at],
        lift[at],
        evaporating[at],
        got["guide_vane_pct"][at] / 100,
        (current * got["line_voltage_v"])[at],
        runs[at],
        train[at],
        at,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What power is made of, each over its mean in training: shape (n,)."""

    power_w: float  # mean in training
    carnot: FloatArray
    load: FloatArray
    condenser: FloatArray
    vane: FloatArray
    current: FloatArray
    has: Mapping[str, bool]

    def predicted_w(self, values: Mapping[str, float]) -> FloatArray:
        """Return power [W] of every row."""
        thermal = (
            values["fixed_frac"]
            + values["carnot_frac"] * self.carnot
            + values.get("load_frac", 0.0) * self.load
            + values.get("condenser_frac", 0.0) * self.condenser
            + values.get("vane_frac", 0.0) * self.vane
        )
        share = values.get("current_share", 0.0)
        return self.power_w * ((1 - share) * thermal + share * values.get("power_factor_frac", 1.0) * self.current)


def law_of(machine: Machine) -> Law:
    """Return the terms of a machine's power over their training medians."""
    learned = machine.train & machine.whole
    n = len(machine.seconds)

    def known(values: FloatArray) -> bool:
        return bool(np.isfinite(values[learned]).mean() > 0.5)

    def over_median(values: FloatArray) -> FloatArray:
        if not known(values):
            return np.zeros(n)
        median = float(np.nanmedian(values[learned]))
        return np.where(np.isfinite(values), values, median) / (median or 1.0)

    evaporating_k = np.where(np.isfinite(machine.evaporating_degc), machine.evaporating_degc, 7.0) + 273.15
    carnot = machine.lift_k / evaporating_k
    vane = machine.vane_frac
    vane_away = np.nan_to_num(vane - np.nanmedian(vane[learned])) if known(vane) else np.zeros(n)
    return Law(
        float(np.median(machine.power_w[learned])),
        over_median(machine.evaporator_k * carnot),
        over_median(machine.evaporator_k),
        over_median(machine.condenser_k * carnot),
        vane_away,
        over_median(machine.volt_ampere),
        {"condenser": known(machine.condenser_k), "vane": known(vane), "current": known(machine.volt_ampere)},
    )


def fit_power(machine: Machine, law: Law) -> Fit:
    """Fit the law to the training rows; shares are of the mean training power."""
    parameters = [
        Parameter("fixed_frac", "frac", 0.15, 0.15, -0.5, 0.8),
        Parameter("carnot_frac", "frac", 0.6, 0.3, 0.0, 1.8),
        Parameter("load_frac", "frac", 0.15, 0.3, -1.0, 1.5),
    ]
    if law.has["condenser"]:
        parameters.append(Parameter("condenser_frac", "frac", 0.1, 0.3, -1.0, 1.5))
    if law.has["vane"]:
        parameters.append(Parameter("vane_frac", "frac", 0.1, 0.3, -1.5, 1.5))
    if law.has["current"]:
        parameters.append(Parameter("current_share", "frac", 0.5, 0.3, 0.0, 1.0))
        parameters.append(Parameter("power_factor_frac", "frac", 1.0, 0.05, 0.7, 1.3))
    sigma = 0.02 * law.power_w  # a power transducer and hourly readings of temperatures

    def residuals(values: Mapping[str, float]) -> FloatArray:
        return ((machine.power_w - law.predicted_w(values)) / sigma)[machine.train & machine.whole]

    start = residuals({p.name: p.prior for p in parameters})
    return fit_map(parameters, residuals, samples_per_independent=samples_per_independent(start))


def approach_drift(seconds: FloatArray, approach_k: FloatArray, load: FloatArray) -> dict[str, Any] | None:
    """Return how an approach drifts at equal load [K per year], None where too little is known.

    The logarithm of the approach goes with that of the load (heat through the tubes) and with time; the interval is
    widened by what neighbouring rows repeat.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        y, x = np.log(approach_k), np.log(load)
    # An approach that reads the resolution of its sensor says nothing of the tubes.
    good = np.isfinite(x) & np.isfinite(y) & (approach_k >= 0.3)
    if good.sum() < 100:
        return None
    years = (seconds - seconds[good].mean()) / (365.25 * 86_400)
    terms = np.column_stack([np.ones(good.sum()), x[good] - x[good].mean(), years[good]])
    weight = np.ones(good.sum())
    for _ in range(12):
        root = np.sqrt(weight)
        law, *_ = np.linalg.lstsq(terms * root[:, None], y[good] * root, rcond=None)
        left = y[good] - terms @ law
        weight = 1 / np.sqrt(1 + (left / (1.5 * max(robust_sigma(left), 1e-6))) ** 2)
    repeat = samples_per_independent(left)
    # Within a day an approach wanders with the weather: a day of rows counts no more than one.
    step = float(np.median(np.diff(seconds)))
    repeat = max(repeat, 86_400 / max(step, 1.0) / 4)
    inverse = np.linalg.inv((terms * weight[:, None]).T @ terms)
    sigma = float(np.sqrt(np.mean(weight * left**2) * inverse[2, 2] * repeat))
    mean = float(np.exp(law[0]))
    slope = float(law[2])
    half = Z_OF_INTERVAL * sigma
    return {
        "per_year": slope * mean,
        "low": (slope - half) * mean,
        "high": (slope + half) * mean,
        "unit": "K",
        "mean_k": mean,
        "span_years": float(np.ptp(years[good])),
    }


def calibrate_chiller(
    table: Table,
    named: Mapping[str, str],
    design_row: Mapping[str, str] | None = None,
    *,
    train_until: float | None = None,
    train_frac: float | None = None,
) -> Answer:
    """Calibrate a chiller on its earlier rows, score power on later ones, and say how its approaches drift.

    Parameters
    ----------
    table, named
        Readings and where columns are called otherwise, see `QUANTITIES`.
    design_row : mapping, optional
        Not needed; the readings hold what the law takes.
    train_until, train_frac : float, optional
        End of the training part; two thirds of the rows where neither is given.
    """
    rows = component_rows(table, named, QUANTITIES, NEEDED, SENSE, ALSO_CALLED)
    train = training_rows(rows, train_until, train_frac if train_frac or train_until else TRAIN_FRAC)
    machine = machine_of(rows, train)
    law = law_of(machine)
    fit = fit_power(machine, law)
    predicted = law.predicted_w(fit.values)
    whole, held = machine.whole, ~machine.train
    plain = np.full(len(predicted), float(np.mean(machine.power_w[machine.train & whole])))
    verdict = judged((machine.power_w - plain)[held & whole], (machine.power_w - predicted)[held & whole], unit="W")
    measured = {
        "power_w": scores.scored("power_w", np.where(whole, machine.power_w, np.nan), predicted, machine.train)
        | {"rows": f"those that the machine runs through; against its mean power: {verdict.reason}"},
        "power_all_rows_w": scores.scored("power_all_rows_w", machine.power_w, predicted, machine.train)
        | {"rows": "all with power, also those that it starts or stops within"},
    }
    drifts, faults = _drifts(rows, machine)
    return Answer(
        measured,
        [
            *(parameter_row("chiller", estimate) for estimate in fit.estimates),
            {
                "object": "chiller",
                "parameter": "reference_power_w",
                "unit": "W",
                "value": law.power_w,
                "low": law.power_w,
                "high": law.power_w,
                "identifiable": True,
                "reason": "median training power",
            },
        ],
        faults,
        drifts,
        [],
        list(rows.times.findings),
        rows.columns,
    )


def _drifts(rows: Rows, machine: Machine) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the drifts of both approaches, and fouling where one rises beyond doubt and by much."""
    drifts, faults = [], []
    for side, load in (("condenser", machine.condenser_k), ("evaporator", machine.evaporator_k)):
        name = f"{side}_approach_k"
        if name not in rows.values:
            continue
        whole = machine.whole
        found = approach_drift(machine.seconds[whole], rows.values[name][machine.row][whole], load[whole])
        if found is None:
            continue
        drifts.append({"parameter": name} | found)
        rise = found["per_year"] * found["span_years"]
        if found["low"] > 0 and rise > FOULING_K and rise > FOULING_FRAC * found["mean_k"]:
            began = found["mean_k"] - 0.5 * rise
            low, high = (
                max(end * found["span_years"] / (began + end * found["span_years"]), 0.0)
                for end in (found["low"], found["high"])
            )
            faults.append(
                {
                    "kind": "fouling",
                    "object": side,
                    "since": rows.times.iso(machine.seconds[0]),
                    "size": rise / (began + rise),
                    "low": low,
                    "high": high,
                    "score": found["per_year"] / max((found["high"] - found["low"]) / (2 * Z_OF_INTERVAL), 1e-9),
                    "unit": "frac",
                    "form": "ramp",
                    "evidence": f"approach rose from {began:.2f} to {began + rise:.2f} K at equal load",
                }
            )
    return drifts, faults
