"""Fault alarms on a plain table of signals: flows, vibrations, currents, pressures, row by row.

Each signal is smoothed and compared with a reference that follows slow change while nothing is wrong and stands still
during an alarm. An alarm starts far from the reference and ends nearer to it. What the signals do together names the
kind. Columns that hold the truth are never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.core.telemetry.tables import Table, listed, plain_name
from twin.core.telemetry.times import read_times

FloatArray = NDArray[np.float64]

TRUTH = frozenset({"anomaly", "changepoint", "fault", "faultkind", "faulttype", "label", "groundtruth"})
WINDOW = 21  # rows of the centred mean
MEMORY = 300  # rows in which the reference follows
ALARM_FROM, ALARM_UNTIL = 4.0, 3.0  # spreads of the smoothed signal
TRAIN_FRAC, LEAST_TRAIN = 0.3, 60
# The smoothed signal's spread in training is never taken smaller than this share of the raw spread: a calm training
# part says little of the hours after it.
LEAST_SPREAD_FRAC = 0.3
# Bearings and couplings change their vibration by some percent with load and temperature; ISO 20816 speaks of a change
# from a quarter on. An alarm starts at a tenth.
LEAST_VIBRATION_FRAC = 0.1 / ALARM_FROM
SLOW = "temperature"  # follows the room for hours: no alarm of its own, but evidence
ROLES = (
    ("flow", ("flow", "lpermin", "lmin", "kgs", "m3h")),
    ("vibration", ("vibration", "accelerometer", "accel")),
    ("temperature", ("temperature", "temp", "thermocouple", "degc")),
    ("pressure", ("pressure", "bar", "kpa")),
    ("current", ("current", "ampere")),
    ("voltage", ("voltage", "volt")),
    ("power", ("power", "watt")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What was found, row by row, in the order of the table."""

    group: tuple[str, ...]
    time: tuple[str, ...]
    train: NDArray[np.bool_]
    alarm: NDArray[np.bool_]
    kind: tuple[str, ...]  # empty where there is no alarm
    score: FloatArray  # distance from the reference over that from which an alarm starts
    signals: dict[str, str]  # column: role

    def as_rows(self) -> list[dict[str, Any]]:
        """Return the rows as the answer lists them."""
        return [
            {"group": g, "time": t, "alarm": bool(a), "kind": k, "score": None if np.isnan(s) else round(float(s), 3)}
            for g, t, a, k, s in zip(self.group, self.time, self.alarm, self.kind, self.score, strict=True)
        ]


def role_of(column: str) -> str:
    """Return what kind of signal a column is, by its name."""
    name = plain_name(column) or column.lower()
    full = "".join(c for c in column.lower() if c.isalnum())
    return next((role for role, words in ROLES if any(word in name or word in full for word in words)), "other")


def detect_faults(
    table: Table,
    *,
    group: str | None = None,
    train_rows: int | None = None,
    train_until: float | None = None,
    train_groups: Sequence[str] = (),
) -> Detection:
    """Raise alarms on the rows of a table.

    Parameters
    ----------
    table : Table
        A time column and signals; rows of a group in time order.
    group : str, optional
        Column that tells experiments or machines apart.
    train_rows, train_until, train_groups
        Which rows are normal running: the first so many of each group, those before a time, or whole groups. The first
        30 % of each group where nothing is said.

    Raises
    ------
    ValueError
        If a column is missing, nothing is left to learn from, or no column holds a signal.
    """
    given_ways = [
        name for name, given in (("rows", train_rows), ("until", train_until), ("groups", train_groups)) if given
    ]
    if len(given_ways) > 1:
        raise ValueError(f"training rows are given by --train-{' and --train-'.join(given_ways)}; give one of them")
    by_plain = {plain_name(name): name for name in reversed(list(table.columns))}
    time_column = next((by_plain[name] for name in ("time", "timestamp", "datetime", "date") if name in by_plain), None)
    if time_column is None:
        raise ValueError(
            f"{table.name} has no column time, timestamp, datetime or date; it has {listed(table.columns)}"
        )
    groups = np.array(table.cells(group)) if group else np.full(table.n_rows, "")
    left = {time_column, group} | {name for name in table.columns if plain_name(name) in TRUTH}
    signals = {name: role_of(name) for name in table.columns if name not in left}
    values = {}
    for name in signals:
        try:
            column = table.numbers(name)
        except ValueError:
            continue  # a text column
        if np.isfinite(column).any() and np.nanstd(column) > 0:
            values[name] = column
    signals = {name: role for name, role in signals.items() if name in values}
    if not any(role != SLOW for role in signals.values()):
        raise ValueError(f"{table.name} has no signal to watch besides temperatures; it has {listed(table.columns)}")
    seconds = read_times(table.cells(time_column)).seconds
    unknown = sorted(set(train_groups) - set(groups))
    if unknown:
        raise ValueError(f"--train-groups {listed(unknown)}: no such group; there are {listed(dict.fromkeys(groups))}")
    n = table.n_rows
    train, alarm, score = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), np.full(n, np.nan)
    kind = [""] * n
    for name in dict.fromkeys(groups):
        rows = np.flatnonzero(groups == name)
        train[rows] = _trained(rows, seconds, name, train_rows, train_until, train_groups)
    if not train.any():
        raise ValueError(f"{table.name}: no row is left for training")
    shared = (
        _learned(values, signals, [np.flatnonzero(groups == name) for name in train_groups]) if train_groups else None
    )
    for name in dict.fromkeys(groups):
        rows = np.flatnonzero(groups == name)
        own = train[rows]
        if shared is None and own.sum() < LEAST_TRAIN:
            place = f"group {name}" if group else "the table"
            raise ValueError(
                f"{table.name}: {int(own.sum())} training rows in {place}; {LEAST_TRAIN} or more are needed"
            )
        learned = shared or _learned(values, signals, [rows[own]])
        _watch(values, signals, rows, own, learned, alarm, score, kind)
    return Detection(tuple(groups.tolist()), table.cells(time_column), train, alarm, tuple(kind), score, signals)


def _trained(
    rows: NDArray[np.intp],
    seconds: FloatArray,
    name: str,
    train_rows: int | None,
    train_until: float | None,
    train_groups: Sequence[str],
) -> NDArray[np.bool_]:
    if train_groups:
        return np.full(len(rows), name in train_groups)
    if train_until is not None:
        return seconds[rows] < train_until
    return np.arange(len(rows)) < (train_rows or round(TRAIN_FRAC * len(rows)))


def _learned(
    values: dict[str, FloatArray], signals: dict[str, str], parts: Sequence[NDArray[np.intp]]
) -> dict[str, tuple[float, float]]:
    """Return mean and spread of each smoothed signal about its reference in normal running."""
    learned = {}
    for name, role in signals.items():
        off, raw, means = [], [], []
        for rows in parts:
            x = _filled(values[name][rows])
            if len(x) < WINDOW:
                continue
            z, _ = _follow(_smoothed(x), x, np.ones(len(x), dtype=np.bool_), float(np.mean(x)), 1.0, 1e9, 1e9, MEMORY)
            off.append(z[min(60, len(z) // 2) :])
            raw.append(np.std(x))
            means.append(np.mean(x))
        if not off:
            continue
        spread = max(float(np.std(np.concatenate(off))), LEAST_SPREAD_FRAC * float(np.mean(raw)))
        mean = float(np.mean(means))
        if role == "vibration":
            spread = max(spread, LEAST_VIBRATION_FRAC * abs(mean))
        learned[name] = (mean, max(spread, 1e-9 * max(abs(mean), 1.0)))
    return learned


def _watch(
    values: dict[str, FloatArray],
    signals: dict[str, str],
    rows: NDArray[np.intp],
    train: NDArray[np.bool_],
    learned: dict[str, tuple[float, float]],
    alarm: NDArray[np.bool_],
    score: FloatArray,
    kind: list[str],
) -> None:
    """Follow every signal of one group and write alarms, scores and kinds of its rows."""
    away: dict[str, FloatArray] = {}
    raised: dict[str, NDArray[np.bool_]] = {}
    for name, (mean, spread) in learned.items():
        x = _filled(values[name][rows])
        start = float(np.mean(x[: min(60, len(x))])) if train.any() else mean
        z, on = _follow(_smoothed(x), x, train, start, spread, ALARM_FROM, ALARM_UNTIL, MEMORY)
        away[name] = z
        raised[name] = on if signals[name] != SLOW else np.zeros(len(rows), dtype=bool)
    if not away:
        return
    any_on = np.logical_or.reduce(list(raised.values()))
    alarm[rows] = any_on
    watched = [np.abs(z) for name, z in away.items() if signals[name] != SLOW]
    score[rows] = np.max(watched, axis=0) / ALARM_FROM if watched else np.nan
    for i in np.flatnonzero(any_on).tolist():
        kind[rows[i]] = _kind(i, signals, away, learned)


def _kind(i: int, signals: dict[str, str], away: dict[str, FloatArray], learned: dict[str, tuple[float, float]]) -> str:
    """Name what the signals do together: most telling first."""
    by_role: dict[str, list[tuple[float, float]]] = {}
    for name, z in away.items():
        mean, spread = learned[name]
        by_role.setdefault(signals[name], []).append((z[i], z[i] * spread / mean if mean else 0.0))
    flow = max(by_role.get("flow", [(0.0, 0.0)]), key=lambda pair: abs(pair[0]))
    shake = max(by_role.get("vibration", [(0.0, 0.0)]), key=lambda pair: abs(pair[0]))
    warm = max((abs(pair[0]) for pair in by_role.get(SLOW, [])), default=0.0)
    if flow[1] < -0.5:
        return "air_in_loop"  # a pump that lost most of its flow draws gas, or nothing
    if abs(shake[0]) >= ALARM_UNTIL and abs(shake[0]) >= abs(flow[0]):
        return "rotor_imbalance"
    if flow[0] <= -ALARM_UNTIL:
        return "valve_stuck"
    if flow[0] >= ALARM_UNTIL:
        return "fluid_added" if warm >= 2 * ALARM_FROM else "bypass"
    others = {role: max(abs(pair[0]) for pair in found) for role, found in by_role.items() if role != SLOW}
    return f"{max(others, key=lambda role: others[role])}_changed" if others else "changed"


def _filled(x: FloatArray) -> FloatArray:
    """Return a signal with its gaps bridged, so that a mean over a window stands on what is there."""
    good = np.isfinite(x)
    if good.all() or not good.any():
        return np.nan_to_num(x)
    return np.interp(np.arange(len(x)), np.flatnonzero(good), x[good])


def _smoothed(x: FloatArray) -> FloatArray:
    """Return the centred mean over `WINDOW` rows, at the ends over those that are there."""
    ones = np.ones(min(WINDOW, len(x)))
    return np.convolve(x, ones, "same") / np.convolve(np.ones(len(x)), ones, "same")


@njit(cache=True)
def _follow(
    smooth: FloatArray,
    raw: FloatArray,
    train: NDArray[np.bool_],
    start: float,
    spread: float,
    upper: float,
    lower: float,
    memory: float,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Distance from the reference in spreads, and alarms with two thresholds; the reference waits during an alarm."""
    n = len(raw)
    away = np.zeros(n)
    alarm = np.zeros(n, dtype=np.bool_)
    reference = start
    on = False
    for t in range(n):
        away[t] = (smooth[t] - reference) / spread
        if train[t]:
            reference += (raw[t] - reference) / min(memory, t + 60)
            continue
        if on:
            on = abs(away[t]) >= lower
        else:
            on = abs(away[t]) > upper
        alarm[t] = on
        if not on:
            reference += (raw[t] - reference) / memory
    return away, alarm
