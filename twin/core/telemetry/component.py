"""What the plain tables of all components share: finding columns, training rows, and the shape of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.calibrate import Estimate
from twin.core.telemetry.tables import Table, listed, plain_name
from twin.core.telemetry.times import Times, read_times

FloatArray = NDArray[np.float64]

TIME_NAMES = ("time", "timestamp", "datetime", "date", "ts", "timeutc", "datetimeutc", "timestamputc")
# Where exports name a quantity otherwise: plain names (no case, units or separators), best first.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "primary_supply_degc": ("facilitysupplydegc", "fwssupplydegc", "primarysupplyc", "primarysupplytemperature"),
    "primary_return_degc": ("facilityreturndegc", "fwsreturndegc", "primaryreturnc", "primaryreturntemperature"),
    "primary_flow_kg_s": ("facilityflowkgs", "fwsflowkgs", "primaryflow"),
    "secondary_supply_degc": ("tcssupplydegc", "secondarysupplyc", "secondarysupplytemperature"),
    "secondary_return_degc": ("tcsreturndegc", "secondaryreturnc", "secondaryreturntemperature"),
    "secondary_flow_kg_s": ("tcsflowkgs", "secondaryflow"),
    "heat_w": ("itpowerw", "loadw", "itloadw", "heatload"),
    "pump_power_w": ("secondarypumppowerw", "pumppower"),
    "rejection_fan_power_w": ("fanpowerw", "towerfanpowerw", "fanpower"),
    "dry_bulb_degc": ("outdoordrybulbdegc", "oatdegc", "drybulbc", "drybulb"),
    "wet_bulb_degc": ("outdoorwetbulbdegc", "wetbulbc", "wetbulb"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A component's rows in time order; `values` by quantity, each of shape (n,), NaN where nothing was read."""

    name: str
    seconds: FloatArray
    values: Mapping[str, FloatArray]
    columns: Mapping[str, str]
    times: Times
    order: NDArray[np.intp]  # which row of the table each one is


@dataclass(frozen=True, slots=True)
class Answer:
    """What `calibrate_component` prints, in the shape of the interface."""

    scores: dict[str, Any]
    parameters: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    drifts: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    date_findings: list[dict[str, Any]]
    columns: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the answer as a dictionary."""
        return {
            "scores": self.scores,
            "parameters": self.parameters,
            "faults": self.faults,
            "drifts": self.drifts,
            "coverage": self.coverage,
            "date_findings": self.date_findings,
            "columns": dict(self.columns),
        }


def component_rows(
    table: Table,
    named: Mapping[str, str],
    quantities: Sequence[str],
    needed: Sequence[str],
    sense: Mapping[str, tuple[float, float, str]],
    also_called: Mapping[str, tuple[str, ...]],
) -> Rows:
    """Find, read and check the columns of a component.

    Raises
    ------
    ValueError
        If a needed column or the time is missing, or a value is outside what can be.
    """
    by_plain = {plain_name(name): name for name in reversed(list(table.columns))}
    columns = {}
    for role in ("time", *quantities):
        candidates = TIME_NAMES if role == "time" else (plain_name(role), *also_called.get(role, ()))
        if role in named:
            table.cells(named[role])
            columns[role] = named[role]
        else:
            column = next((by_plain[name] for name in candidates if name in by_plain), None)
            if column is not None:
                columns[role] = column
    missing = [role for role in ("time", *needed) if role not in columns]
    if missing:
        raise ValueError(
            f"{table.name}: no column found for {listed(missing)}; it has {listed(table.columns)};"
            f" name them with --columns {','.join(f'{role}=COLUMN' for role in missing)}"
        )
    exported = next((table.cells(name) for name in table.columns if plain_name(name) == "timeasexported"), None)
    times = read_times(table.cells(columns["time"]), exported)
    good = np.flatnonzero(np.isfinite(times.seconds))
    if good.size < 48:
        raise ValueError(f"{table.name}: {good.size} rows have a time that can be read; 48 or more are needed")
    _, first = np.unique(times.seconds[good], return_index=True)
    order = good[first]
    values = {}
    for role, column in columns.items():
        if role == "time":
            continue
        numbers = table.numbers(column)
        low, high, unit = sense.get(role, (-np.inf, np.inf, ""))
        bad = np.flatnonzero((numbers < low) | (numbers > high))
        if bad.size:
            row = int(bad[0])
            raise ValueError(
                f"{table.name}: column {column}, row {row + 1}: {numbers[row]:g} {unit} is outside {low:g} to {high:g}"
                f" ({bad.size} such rows)"
            )
        values[role] = numbers[order]
    empty = [columns[role] for role in needed if not np.isfinite(values[role]).any()]
    if empty:
        raise ValueError(f"{table.name}: column {listed(empty)} holds no value")
    kept = {role: array for role, array in values.items() if np.isfinite(array).any()}
    return Rows(table.name, times.seconds[order], kept, columns, times, order)


def training_rows(rows: Rows, until: float | None, frac: float | None) -> NDArray[np.bool_]:
    """Return which rows train: those before a time, or the first share of them.

    Raises
    ------
    ValueError
        If both or neither is given, the share is not between 0 and 1, or nothing is left on one side.
    """
    n = len(rows.seconds)
    if frac is not None and until is None:
        if not 0 < frac < 1:
            raise ValueError(f"--train-frac is {frac:g}; must be between 0 and 1")
        train = np.arange(n) < round(frac * n)
    elif until is not None and frac is None:
        train = rows.seconds < until
    else:
        raise ValueError("say where training ends: by --train-until or by --train-frac")
    if not train.any() or train.all():
        raise ValueError(
            f"{rows.name}: {int(train.sum())} of {n} rows are for training; some must be left on either side"
        )
    return train


def parameter_row(name: str, estimate: Estimate) -> dict[str, Any]:
    """Return a fitted parameter as the answer lists it."""
    return {
        "object": name,
        "parameter": estimate.name,
        "unit": estimate.unit,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "identifiable": estimate.identifiable,
        "reason": estimate.reason,
    }
