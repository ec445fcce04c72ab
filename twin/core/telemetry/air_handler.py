"""One air handler from its controller's log: how its dampers mix, how its coils answer, and on which days they do not.

The rules are those of NIST's air-handler performance assessment (House, Vaezi-Nejad and Whitcomb 2001): a coil that is
called must move the supply air its way, one that is not called must not, mixed air lies between what is mixed. A day is
reported where a rule fails for most of the time that it applies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry import scores
from twin.core.telemetry.alarms import samples_per_independent
from twin.core.telemetry.calibrate import Fit, Parameter, fit_map
from twin.core.telemetry.component import Answer, Rows, component_rows, parameter_row, training_rows
from twin.core.telemetry.tables import Table

FloatArray = NDArray[np.float64]

QUANTITIES = (
    "supply_air_degc",
    "outdoor_air_degc",
    "mixed_air_degc",
    "return_air_degc",
    "supply_air_set_point_degc",
    "fan_status",
    "fan_speed_frac",
    "outdoor_damper_frac",
    "cooling_valve_frac",
    "heating_valve_frac",
    "occupied",
)
NEEDED = (
    "supply_air_degc",
    "outdoor_air_degc",
    "mixed_air_degc",
    "return_air_degc",
    "outdoor_damper_frac",
    "cooling_valve_frac",
)
ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "supply_air_degc": ("supplyairtemperaturec", "supplyairtemperature", "sat", "supplyairc", "supplyc"),
    "outdoor_air_degc": ("outdoorairtemperaturec", "outdoorairtemperature", "oat", "outdoorairc", "outdoorc"),
    "mixed_air_degc": ("mixedairtemperaturec", "mixedairtemperature", "mat", "mixedairc", "mixedc"),
    "return_air_degc": ("returnairtemperaturec", "returnairtemperature", "rat", "returnairc", "returnc"),
    "supply_air_set_point_degc": ("supplyairtemperaturesetpointc", "supplyairsetpointc", "satsetpoint"),
    "fan_status": ("supplyairfanstatus", "supplyfanstatus"),
    "fan_speed_frac": ("supplyairfanspeedcontrolsignal", "supplyfanspeed", "fanspeed"),
    "outdoor_damper_frac": ("outdoorairdampercontrolsignal", "outdoordamper", "oadamper"),
    "cooling_valve_frac": ("coolingcoilvalvecontrolsignal", "coolingvalve"),
    "heating_valve_frac": ("heatingcoilvalvecontrolsignal", "heatingvalve"),
    "occupied": ("occupancymodeindicator", "occupancy"),
}
SENSE = {name: (-60.0, 120.0, "degC") for name in QUANTITIES if name.endswith("_degc")}
TRAIN_FRAC = 0.5
DAY_S = 86_400.0

# Tolerances of the assessment rules: two temperature sensors and a stratified mixing box differ by some kelvins.
TOLERANCE_K = 2.0
COIL_TOLERANCE_K = 1.0
CALLED_FRAC, SHUT_FRAC = 0.05, 0.01  # a valve is called from, and shut below
OPEN_FRAC = 0.3  # from here on a coil must be felt; a valve that hunts near its seat need not
MIXING_SPAN_K = 4.0  # outdoor and return air must differ by this much before a mixture can be told
DAMPER_TOLERANCE_FRAC = 0.35  # between the outdoor share that a damper gives and what it should
FAILS_FRAC, FAILS_HOURS = 0.5, 1.0  # of the time that a rule applies, and for at least this long
ODD_DAY_FRAC = 0.5  # a schedule that differs this much from the usual day's


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """An air handler's rows; every array of shape (n,)."""

    seconds: FloatArray
    day: NDArray[np.intp]
    supply_degc: FloatArray
    outdoor_degc: FloatArray
    mixed_degc: FloatArray
    return_degc: FloatArray
    set_point_degc: FloatArray
    damper_frac: FloatArray
    cooling_frac: FloatArray
    heating_frac: FloatArray
    fan_speed_frac: FloatArray
    runs: NDArray[np.bool_]  # fan on, building occupied
    fan_on: NDArray[np.bool_]
    occupied: NDArray[np.bool_]
    step_s: float


def handler_of(rows: Rows) -> Handler:
    """Collect an air handler's columns; without fan status or occupancy it is taken to run."""
    n = len(rows.seconds)

    def got(name: str, otherwise: float) -> FloatArray:
        return rows.values.get(name, np.full(n, otherwise))

    fan_on = got("fan_status", 1.0) > 0.5
    occupied = got("occupied", 1.0) > 0.5
    return Handler(
        rows.seconds,
        np.floor(rows.seconds / DAY_S).astype(np.intp),
        rows.values["supply_air_degc"],
        rows.values["outdoor_air_degc"],
        rows.values["mixed_air_degc"],
        rows.values["return_air_degc"],
        got("supply_air_set_point_degc", np.nan),
        np.clip(rows.values["outdoor_damper_frac"], 0, 1),
        np.clip(rows.values["cooling_valve_frac"], 0, 1),
        np.clip(got("heating_valve_frac", 0.0), 0, 1),
        got("fan_speed_frac", np.nan),
        fan_on & occupied,
        fan_on,
        occupied,
        float(np.median(np.diff(rows.seconds))),
    )


def outdoor_share(values: Mapping[str, float], damper_frac: FloatArray) -> FloatArray:
    """Return the share of outdoor air that a damper position gives: leakage, and a curve up to all of its way."""
    rise = values["outdoor_full_frac"] - values["outdoor_leak_frac"]
    return values["outdoor_leak_frac"] + rise * damper_frac ** values["damper_exponent"]


def fit_mixing(handler: Handler, train: NDArray[np.bool_]) -> Fit:
    """Fit what share of outdoor air the damper gives, from mixed, outdoor and return air of the training rows."""
    use = train & handler.runs & (np.abs(handler.outdoor_degc - handler.return_degc) > MIXING_SPAN_K)
    if use.sum() < 60:
        raise ValueError(
            f"{int(use.sum())} training rows run with outdoor and return air {MIXING_SPAN_K:g} K apart; 60 are needed"
        )
    parameters = [
        Parameter("outdoor_leak_frac", "frac", 0.05, 0.05, 0.0, 0.5),
        Parameter("outdoor_full_frac", "frac", 0.9, 0.1, 0.3, 1.05),
        Parameter("damper_exponent", "-", 1.0, 0.4, 0.3, 4.0, logarithmic=True),
    ]

    def residuals(values: Mapping[str, float]) -> FloatArray:
        return ((handler.mixed_degc - mixed_air_degc(values, handler)) / 1.0)[use]

    start = residuals({p.name: p.prior for p in parameters})
    return fit_map(parameters, residuals, samples_per_independent=samples_per_independent(start))


def mixed_air_degc(values: Mapping[str, float], handler: Handler) -> FloatArray:
    """Return the temperature of the mixture [degC]."""
    share = outdoor_share(values, handler.damper_frac)
    return handler.return_degc + share * (handler.outdoor_degc - handler.return_degc)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Where a rule applies and where it fails, row by row; what it means."""

    kind: str
    object: str
    applies: NDArray[np.bool_]
    fails: NDArray[np.bool_]
    meaning: str


def rules_of(handler: Handler, mixing: Mapping[str, float], fan_rise_k: float) -> list[Rule]:
    """Return the assessment rules of every row."""
    h = handler
    rise = h.supply_degc - h.mixed_degc - fan_rise_k
    cooling, heating = h.cooling_frac > CALLED_FRAC, h.heating_frac > CALLED_FRAC
    idle = (h.cooling_frac < SHUT_FRAC) & (h.heating_frac < SHUT_FRAC)
    apart = np.abs(h.outdoor_degc - h.return_degc) > MIXING_SPAN_K
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (h.mixed_degc - h.return_degc) / np.where(apart, h.outdoor_degc - h.return_degc, np.nan)
        off = share - outdoor_share(mixing, h.damper_frac)
        outside = (h.mixed_degc > np.maximum(h.return_degc, h.outdoor_degc) + TOLERANCE_K) | (
            h.mixed_degc < np.minimum(h.return_degc, h.outdoor_degc) - TOLERANCE_K
        )
        missed = np.abs(h.supply_degc - h.set_point_degc) > TOLERANCE_K
        full = (h.cooling_frac > 0.95) | (h.heating_frac > 0.95)
        wide_open = h.runs & full & np.isfinite(h.set_point_degc)
        table = (
            (
                "valve_stuck",
                "cooling_valve",
                (h.cooling_frac > OPEN_FRAC) & ~heating,
                rise > -COIL_TOLERANCE_K,
                "called, yet the air is not cooled",
            ),
            (
                "valve_stuck",
                "heating_valve",
                (h.heating_frac > OPEN_FRAC) & ~cooling,
                rise < COIL_TOLERANCE_K,
                "called, yet the air is not warmed",
            ),
            ("valve_leak", "cooling_valve", ~cooling, rise < -TOLERANCE_K, "not called, yet the air is cooled"),
            ("valve_leak", "heating_valve", idle, rise > TOLERANCE_K, "not called, yet the air is warmed"),
            (
                "valve_stuck",
                "outdoor_damper",
                apart,
                np.abs(off) > DAMPER_TOLERANCE_FRAC,
                "the outdoor share is not what the damper's position gives",
            ),
            ("sensor_bias", "mixed_air", h.runs, outside, "mixed air lies outside what is mixed"),
            ("rejection_degraded", "coil", wide_open, missed, "a valve is wide open and the set point is missed"),
        )
    return [Rule(kind, place, h.runs & applies, fails, meaning) for kind, place, applies, fails, meaning in table]


def calibrate_air_handler(
    table: Table,
    named: Mapping[str, str],
    design_row: Mapping[str, str] | None = None,
    *,
    train_until: float | None = None,
    train_frac: float | None = None,
) -> Answer:
    """Calibrate how an air handler mixes, score mixed air on later rows, and report the days on which rules fail.

    Parameters
    ----------
    table, named
        A controller's log and where columns are called otherwise, see `QUANTITIES`. A column `fault` is never read.
    design_row : mapping, optional
        Not needed.
    train_until, train_frac : float, optional
        End of the part that the mixing is learned from; half of the rows where neither is given. The rules need none.
    """
    rows = component_rows(table, named, QUANTITIES, NEEDED, SENSE, ALSO_CALLED)
    train = training_rows(rows, train_until, train_frac if train_frac or train_until else TRAIN_FRAC)
    handler = handler_of(rows)
    mixing = fit_mixing(handler, train)
    idle = handler.runs & (handler.cooling_frac < SHUT_FRAC) & (handler.heating_frac < SHUT_FRAC)
    idle_rise = (handler.supply_degc - handler.mixed_degc)[idle]
    # A fan warms its air by some tenths of a kelvin to two; leaks must not pass for it.
    fan_rise_k = float(np.clip(np.nanmedian(idle_rise), 0.0, 2.0)) if idle_rise.size > 30 else 1.0
    # Rules hold a damper to the law of a sound one, not to what a broken one may have taught.
    sound = {estimate.name: estimate.before for estimate in mixing.estimates}
    use = handler.runs & (np.abs(handler.outdoor_degc - handler.return_degc) > MIXING_SPAN_K)
    measured = {
        "mixed_air_degc": scores.scored(
            "mixed_air_degc", np.where(use, handler.mixed_degc, np.nan), mixed_air_degc(mixing.values, handler), train
        )
    }
    parameters = [parameter_row("air-handler", estimate) for estimate in mixing.estimates]
    parameters.append(
        {
            "object": "air-handler",
            "parameter": "fan_rise_k",
            "unit": "K",
            "value": fan_rise_k,
            "low": 0.0,
            "high": 2.0,
            "identifiable": bool(idle_rise.size > 30),
            "reason": "median with both coils shut",
        }
    )
    faults = _faults(rows, handler, rules_of(handler, sound, fan_rise_k))
    return Answer(measured, parameters, faults, [], [], list(rows.times.findings), rows.columns)


def _faults(rows: Rows, handler: Handler, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return one entry per rule that fails on some day, and per odd schedule, most convincing first."""
    found = []
    days = np.unique(handler.day)
    for rule in rules:
        failed, shares = [], []
        for day in days:
            here = rule.applies & (handler.day == day)
            bad = here & rule.fails
            if bad.sum() * handler.step_s >= FAILS_HOURS * 3600 and bad.sum() > FAILS_FRAC * here.sum():
                failed.append(day)
                shares.append(bad.sum() / here.sum())
        if failed:
            found.append(_entry(rows, rule.kind, rule.object, failed, len(days), float(np.mean(shares)), rule.meaning))
    found += _odd_days(rows, handler, days)
    return sorted(found, key=lambda one: -one["score"])


def _odd_days(rows: Rows, handler: Handler, days: NDArray[np.intp]) -> list[dict[str, Any]]:
    """Return days on which the fan keeps other hours, or another speed, than on the usual day."""
    found = []
    for name, values, where, meaning in (
        ("schedule", handler.fan_on.astype(float), ~handler.occupied, "runs at other hours than usual"),
        ("fan", handler.fan_speed_frac, handler.runs, "runs at another speed than usual, all day"),
    ):
        share = np.array(
            [
                np.nanmean(values[where & (handler.day == day)])
                if np.isfinite(values[where & (handler.day == day)]).any()
                else np.nan
                for day in days
            ]
        )
        usual = np.nanmedian(share) if np.isfinite(share).any() else np.nan
        bound = ODD_DAY_FRAC if name == "schedule" else 0.2
        odd = days[np.abs(share - usual) > bound]
        if len(days) >= 5 and odd.size and odd.size < 0.5 * len(days):
            kind = "cap_misset" if name == "schedule" else "fan_failed"
            found.append(_entry(rows, kind, name, list(odd), len(days), 1.0, meaning))
    return found


def _entry(
    rows: Rows, kind: str, place: str, failed: Sequence[int], n_days: int, share: float, meaning: str
) -> dict[str, Any]:
    dates = [rows.times.iso(day * DAY_S)[:10] for day in failed]
    return {
        "kind": kind,
        "object": place,
        "since": dates[0],
        "size": share,
        "low": FAILS_FRAC,
        "high": 1.0,
        "score": share * len(failed) / n_days,
        "unit": "frac",
        "days": dates,
        "evidence": f"{meaning} on {len(failed)} of {n_days} days",
    }
