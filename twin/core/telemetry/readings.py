"""Readings out of CSV and Parquet: points mapped to objects and quantities, units to SI, refused rows under a reason.

Nothing that reads two ways is guessed: a date with slashes, a decimal comma and a time without a zone are refused with
the option that settles them.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.parquet import TIME_COLUMNS
from twin.core.telemetry.quantities import QUANTITIES, Quantity, Unit, split_point, unit_named
from twin.core.telemetry.tables import Table, listed, plain_cell, read_table

FORMATS = ("long-csv", "wide-csv", "parquet")
DATES = ("iso", "day-first", "month-first")
ROW_FIELDS = ("time", "point", "value", "unit", "quality")
FIRST_MS, LAST_MS = 631_152_000_000, 4_102_444_800_000  # 1990 to 2100
OUTSIDE_TIME = "time outside 1990 to 2100"
MOST_SHOWN = 20  # refused rows that are kept as they came
MOST_FACTOR = 1e12  # of a mapping's scale and offset
QUALITY = re.compile(r"[0-9]{1,3}(\.0*)?")
PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")  # a number that reads one way
NO_SCALE = (float("nan"),) * 6
PointColumns = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]  # times [ms], values, quality
LEAST_CONFIDENCE = 0.5  # of a proposal that is written down; below it a point is left to the reader

_SLASHED = re.compile(r"^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?$")
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\])]+?)\s*[\])]\s*$")

# Words of a point's name, the quantity that they mean and the unit that it must be in; the first that fits counts.
RULES: Sequence[tuple[str, str, str]] = (
    (r"wet.?bulb|wb.?temp", "wet_bulb_degc", "degC"),
    (r"dry.?bulb|outdoor|outside|oat\b|ambient", "dry_bulb_degc", "degC"),
    *(
        (rf"({side}).*({end})", f"{name}_{quantity}_degc", "degC")
        for side, name in (("pri|facility|fws", "primary"), ("sec|tcs|rack.?side", "secondary"))
        for end, quantity in (("ret|out", "return"), ("sup|in", "supply"))
    ),
    (r"(pri|facility|fws).*(flow|flw)", "primary_flow_kg_s", "kg/s"),
    (r"(sec|tcs).*(flow|flw)", "secondary_flow_kg_s", "kg/s"),
    (r"(pri|facility|fws).*(dp|diff|pressure)", "primary_differential_pressure_pa", "Pa"),
    (r"(sec|tcs).*(dp|diff|pressure)", "secondary_differential_pressure_pa", "Pa"),
    (r"gpu.*temp|accelerator.*temp", "accelerator_temperature_degc", "degC"),
    (r"air.*ret", "air_return_degc", "degC"),
    (r"air.*sup", "air_supply_degc", "degC"),
    (r"ret|leaving|outlet", "liquid_return_degc", "degC"),
    (r"sup|entering|inlet", "liquid_supply_degc", "degC"),
    (r"flow|flw", "liquid_flow_kg_s", "kg/s"),
    (r"power|watt|kw|demand|meter|load", "power_w", "W"),
    (r"valve|vlv", "valve_frac", "1"),
    (r"speed|vfd", "speed_frac", "1"),
    (r"util", "utilisation_frac", "1"),
    (r"input.*tok|prompt.*tok", "input_tokens_per_s", "1/s"),
    (r"tok", "output_tokens_per_s", "1/s"),
    (r"clock", "accelerator_clock_hz", "Hz"),
)


# A unit proposed from how a name ends, where none is written; it goes into the mapping, to be seen before it is used.
UNIT_ENDINGS: Mapping[str, str] = {
    "_kw": "kW",
    "_mw": "MW",
    "_w": "W",
    "_degc": "degC",
    "_degf": "degF",
    "_c": "degC",
    "_f": "degF",
    "_kpa": "kPa",
    "_kg_s": "kg/s",
    "_l_s": "l/s",
    "_l_min": "l/min",
    "_gpm": "gpm",
    "_pct": "%",
    "_frac": "1",
}


@dataclass(frozen=True, slots=True)
class MappedPoint:
    """What a point means. A reading is value × scale + offset in `unit`; `time_zone` is of times without a zone."""

    point: str
    object: str
    quantity: str
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    time_zone: str = ""

    def __hash__(self) -> int:  # by what tells points apart: a batch looks each of thousands up several times
        return hash((self.point, self.object, self.quantity))

    def as_json(self) -> dict[str, Any]:
        """Return it as an entry of a mapping file."""
        return {key: value for key, value in asdict(self).items() if value != ""}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a point seems to be, how surely (0 to 1) and why."""

    mapped: MappedPoint | None
    point: str
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken, as it came; `row` counts from 1 below the header, a wide table's time by time."""

    row: int
    time: str
    point: str
    value: str
    reason: str


@dataclass(slots=True)
class Readings:
    """Readings of a file in SI: times [ms since 1970], values and quality by point; and refused rows by reason."""

    points: dict[MappedPoint, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]] = field(
        default_factory=dict
    )
    refused: Counter[str] = field(default_factory=Counter)
    first_refused: list[RefusedRow] = field(default_factory=list)  # at most MOST_SHOWN


@dataclass(frozen=True, slots=True)
class Reading:
    """What settles how a file is read."""

    format: str = ""  # blank: by its columns
    dates: str = "iso"
    decimal: str = "point"
    time_zone: str = ""


def mapping_of(document: Any, objects: Iterable[str]) -> dict[str, MappedPoint]:
    """Read a mapping file's document.

    Raises
    ------
    ValueError
        If it has another version, an unknown field, object, quantity, unit or zone, or names a point or the same
        quantity of an object twice.
    """
    if (
        not isinstance(document, Mapping)
        or document.get("version") != 1
        or not isinstance(document.get("points"), list)
    ):
        raise ValueError("a mapping file has `version: 1` and a list `points`")
    there, allowed = set(objects), [entry.name for entry in fields(MappedPoint)]
    mapped: dict[str, MappedPoint] = {}
    taken: dict[tuple[str, str], str] = {}
    for i, row in enumerate(document["points"]):
        where = f"points[{i}]"
        if not isinstance(row, Mapping):
            raise ValueError(f"{where} must have {listed(allowed)}")
        if unknown := sorted(map(str, set(row) - set(allowed))):
            raise ValueError(f"{where} has {unknown[0]}; there are {listed(allowed)}")
        texts = {name: str(row.get(name) or "") for name in ("point", "object", "quantity", "unit", "time_zone")}
        entry = MappedPoint(**texts, scale=_number(where, row, "scale", 1.0), offset=_number(where, row, "offset", 0.0))
        _check(where, entry, there)
        if entry.point in mapped:
            raise ValueError(f"{where}: point {entry.point} is mapped twice, to {mapped[entry.point].object} as well")
        if (key := (entry.object, entry.quantity)) in taken:
            raise ValueError(f"{where}: {entry.object} {entry.quantity} is point {taken[key]} already")
        mapped[entry.point], taken[key] = entry, entry.point
    return mapped


def _check(where: str, entry: MappedPoint, objects: set[str]) -> None:
    if not entry.point or len(entry.point) > 200:
        raise ValueError(f"{where}: point must have 1 to 200 characters")
    if not _is_object(entry.object, objects):
        raise ValueError(f"{where}: {entry.object or 'no object'} is no object of the layout")
    if entry.quantity not in QUANTITIES:
        raise ValueError(f"{where}: {entry.quantity or 'no quantity'} is unknown; there are {listed(QUANTITIES, 99)}")
    if entry.unit:
        unit, si = unit_named(entry.unit), QUANTITIES[entry.quantity].unit
        if unit is None or unit.si != si:
            raise ValueError(f"{where}: {entry.unit} is no unit of {entry.quantity}, which is in {si}")
    if not entry.scale:
        raise ValueError(f"{where}: scale is 0; must be another number")
    if entry.time_zone:
        zone_named(entry.time_zone)


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"time zone {name} is unknown; write one such as America/New_York") from error


def _number(where: str, row: Mapping[str, Any], key: str, default: float) -> float:
    value = row.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST_FACTOR:
        raise ValueError(f"{where}: {key} is {value!r}; must be a number, at most {MOST_FACTOR:g} either way")
    return float(value)


def _is_object(name: str, objects: set[str]) -> bool:
    return name in objects or (name.startswith("workload/") and len(name) > len("workload/"))


def file_points(table: Table, wanted: Reading) -> dict[str, str]:
    """Return the points of a table with the unit that each is written in, blank where none is."""
    if _is_long(table, wanted):
        units: dict[str, str] = {}
        written = table.cells("unit") if table.has("unit") else ("",) * table.n_rows
        for point, unit in zip(table.cells("point"), written, strict=True):
            if point:
                units[point] = units.get(point) or unit
        return units
    return {name: _unit_of(name) for name in list(table.columns)[1:]}


def _unit_of(column: str) -> str:
    match = _UNIT_IN_NAME.search(column)
    return match.group(1) if match else ""


def _is_long(table: Table, wanted: Reading) -> bool:
    long = all(table.has(name) for name in ("time", "point", "value"))
    if wanted.format == "long-csv" and not long:
        raise ValueError(f"{table.name} has no time, point and value; it has {listed(table.columns)}")
    if not long and next(iter(table.columns)).lower() not in TIME_COLUMNS:
        raise ValueError(
            f"{table.name}: the first column is {next(iter(table.columns))}; a long CSV has time,point,value,"
            "unit,quality, a wide one starts with time"
        )
    return wanted.format != "wide-csv" and long


def propose(points: Mapping[str, str], objects: Iterable[str]) -> list[Proposal]:
    """Return what each point, given with its unit, seems to be; an object's quantity goes to the surest point only."""
    there = sorted(set(objects), key=len, reverse=True)
    known = set(there)
    plain = [
        (name, words) for name in there if (words := _words(name.rpartition("/")[2])) and "accelerators" not in name
    ]
    return each_once([_proposal(point, unit, known, plain) for point, unit in points.items()])


def each_once(found: Sequence[Proposal]) -> list[Proposal]:
    """Return proposals in which an object's quantity goes to the surest point only."""
    best: dict[tuple[str, str], Proposal] = {}
    for entry in found:
        if entry.mapped:
            key = (entry.mapped.object, entry.mapped.quantity)
            if key not in best or entry.confidence > best[key].confidence:
                best[key] = entry
    return [
        entry
        if entry.mapped is None or best[entry.mapped.object, entry.mapped.quantity] is entry
        else Proposal(
            None,
            entry.point,
            0.0,
            f"{entry.mapped.object} {entry.mapped.quantity} is"
            f" {best[entry.mapped.object, entry.mapped.quantity].point} already",
        )
        for entry in found
    ]


def _proposal(point: str, unit: str, known: set[str], plain: Sequence[tuple[str, str]]) -> Proposal:
    if carried := split_point(point):
        name, quantity = carried
        if quantity in QUANTITIES and _is_object(name, known):
            return Proposal(MappedPoint(point, name, quantity, unit), point, 1.0, "its name says so")
        return Proposal(None, point, 0.0, f"{name} is no object of the layout, or {quantity} no quantity")
    words = _words(_UNIT_IN_NAME.sub("", point))
    ending = "" if unit else next((u for end, u in UNIT_ENDINGS.items() if point.lower().endswith(end)), "")
    unit = unit or ending
    written = unit_named(unit) if unit else None
    fitting = [q for rule, q, si in RULES if re.search(rule, words) and (written is None or written.si == si)]
    if not fitting:
        return Proposal(None, point, 0.0, "no rule knows its name and unit")
    quantity = fitting[0]
    names = [name for name, spelled in plain if re.search(rf"(?:^| ){re.escape(spelled)}(?: |$)", words)]
    longest = [name for name in names if len(name.rpartition("/")[2]) == len(names[0].rpartition("/")[2])]
    if quantity in ("dry_bulb_degc", "wet_bulb_degc"):
        longest = ["weather"]
    elif not longest and re.search(r"\b(site|meter|utility|main)\b", words) and quantity == "power_w":
        longest = ["site"]
    if len(longest) != 1:
        many = f"could be {listed(longest, 3)}" if longest else "no object's name is in it"
        return Proposal(None, point, 0.2, f"{quantity}, but {many}")
    confidence = (0.7 if ending else 0.9) if written else 0.6
    reason = f"name and {unit} by its ending" if ending else f"name{' and unit' if written else ', without a unit'}"
    return Proposal(MappedPoint(point, longest[0], quantity, unit if written else ""), point, confidence, reason)


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def read_readings(path: Path, mapping: Mapping[str, MappedPoint], objects: Iterable[str], wanted: Reading) -> Readings:
    """Read a file's readings.

    Parameters
    ----------
    path : Path
        Long (time, point, value, unit, quality) or wide (time and a column a point): CSV, gzip-packed or not, or
        Parquet.
    mapping : mapping of MappedPoint
        By point. Points that it does not have may carry their mapping in their name, `object|quantity`.
    objects : iterable of str
        Of the layout.
    wanted : Reading

    Raises
    ------
    ValueError, OSError
        If the file cannot be read as a table at all. Rows that cannot be read are counted under their reason.
    """
    return table_readings(read_table(path), mapping, objects, wanted)


def table_readings(
    table: Table, mapping: Mapping[str, MappedPoint], objects: Iterable[str], wanted: Reading
) -> Readings:
    """Read a table's readings as `read_readings` does a file's."""
    taken = Taken(mapping, objects, wanted)
    if table.left_out:
        taken.result.refused["fewer cells than the header"] += table.left_out
    if _is_long(table, wanted):
        blank = ("",) * table.n_rows
        units = table.cells("unit") if table.has("unit") else blank
        qualities = table.cells("quality") if table.has("quality") else blank
        taken.take_columns(table.cells("time"), table.cells("point"), table.cells("value"), units, qualities)
    else:
        times, blank = table.cells(next(iter(table.columns))), ("",) * table.n_rows
        for name in list(table.columns)[1:]:
            carried = split_point(name)
            unit = _unit_of(name) or (QUANTITIES[carried[1]].unit if carried and carried[1] in QUANTITIES else "")
            alike = (name,) * table.n_rows, table.cells(name), (unit,) * table.n_rows, blank
            taken.take_columns(times, *alike)
    return taken.readings()


def row_readings(
    rows: Iterable[Any], mapping: Mapping[str, MappedPoint], objects: Iterable[str], wanted: Reading
) -> Readings:
    """Read the readings of rows as programs send them: mappings of time, point, value, unit and quality."""
    taken = Taken(mapping, objects, wanted)
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            taken.refuse(i + 1, "", "", "", f"row is no object with {listed(ROW_FIELDS)}")
            continue
        cells = {name: plain_cell("" if row.get(name) is None else str(row[name])) for name in ROW_FIELDS}
        if unknown := sorted(str(name)[:40] for name in set(row) - set(ROW_FIELDS)):
            reason = f"row has {listed(unknown, 3)}; there are {listed(ROW_FIELDS)}"
            taken.refuse(i + 1, cells["time"], cells["point"], cells["value"], reason)
            continue
        taken.take(i + 1, *cells.values())
    return taken.readings()


class Taken:
    """Takes rows one by one: those that can be read by point, the others under their reason."""

    def __init__(
        self, mapping: Mapping[str, MappedPoint] | None = None, objects: Iterable[str] = (), wanted: Reading = Reading()
    ) -> None:
        self.result = Readings()
        mapping = mapping or {}
        self._scales: dict[tuple[str, str, float, float], Scale | str] = {}
        self._mapping, self._objects, self._wanted, self._clock = mapping, set(objects), wanted, _Clock(wanted)
        self._kept: dict[MappedPoint, list[tuple[int, float, int]]] = {}
        self._columns: list[dict[MappedPoint, PointColumns]] = []
        self._meant: dict[str, MappedPoint | None] = {}

    def take(self, row: int, time: str, point: str, value: str, unit: str, quality: str) -> None:
        """Take a row as it is written."""
        if (reading := self._read(row, time, point, value, unit, quality)) is not None:
            self._kept.setdefault(reading[0], []).append(reading[1:])

    def _read(
        self, row: int, time: str, point: str, value: str, unit: str, quality: str
    ) -> tuple[MappedPoint, int, float, int] | None:
        """Return what a row says, None where it is refused, which is counted."""
        entry = self._meaning(point)
        if entry is None:
            self.refuse(row, time, point, value, "point not mapped")
            return None
        reading = _read_row(entry, time, value, unit, quality, self._clock, self._wanted)
        if isinstance(reading, str):
            self.refuse(row, time, point, value, reading)
            return None
        return entry, *reading

    def _meaning(self, point: str) -> MappedPoint | None:
        if point not in self._meant:
            self._meant[point] = self._mapping.get(point) or _carried(point, self._objects)
        return self._meant[point]

    def take_columns(
        self,
        times: Sequence[str],
        points: Sequence[str],
        values: Sequence[str],
        units: Sequence[str],
        qualities: Sequence[str],
    ) -> None:
        """Take rows as they are written, by column.

        What is plain is read by column: thousands of rows at once. A row that is not, is read alone, as `take` does,
        which finds its reason or a rarer spelling.
        """
        number, good = _numbers(values, self._wanted.decimal)
        quality, said = _looked_up(qualities, _quality, np.uint8)
        entries, place, scale = self._placed(points, units)
        zones = {entry.time_zone for entry in entries if entry is not None}
        zone = zones.pop() if len(zones) == 1 else None
        at_ms, told = _looked_up(times, lambda text: "" if zone is None else self._clock.ms(text, zone), np.int64)
        good &= said & told
        with np.errstate(invalid="ignore", over="ignore"):
            si = (number * scale[0][place] + scale[1][place]) * scale[2][place] + scale[3][place]
            good &= (si >= scale[4][place]) & (si <= scale[5][place])
        for i in np.flatnonzero(~good).tolist():
            reading = self._read(i + 1, times[i], points[i], values[i], units[i], qualities[i])
            if reading is not None:
                good[i] = True
                _, at_ms[i], si[i], quality[i] = reading
        number_of: dict[MappedPoint | None, int] = {}  # two names, or a name in two units, may mean the same
        numbered = np.array([number_of.setdefault(entry, len(number_of)) for entry in entries], np.int64)
        self._columns.append(_by_entry(list(number_of), numbered[place], (at_ms, si, quality), good))

    def _placed(
        self, points: Sequence[str], units: Sequence[str]
    ) -> tuple[list[MappedPoint | None], NDArray[np.int64], NDArray[np.float64]]:
        """Return what the points mean in each unit, which of these each row is, and their scales as columns.

        A scale is that of the mapping, its offset, the unit's, its offset, and the least and largest value; NaN where
        the rows are read alone.
        """
        pairs = list(zip(points, units, strict=True))
        known = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
        place = np.fromiter(map(known.__getitem__, pairs), np.int64, len(pairs))
        entries = [self._meaning(point) for point, _ in known]
        columns: list[tuple[float, ...]] = []
        for entry, (_, unit) in zip(entries, known, strict=True):
            scale = None if entry is None else self._scale(entry, unit)
            columns.append(scale.columns if isinstance(scale, Scale) else NO_SCALE)
        return entries, place, np.array(columns).reshape(-1, len(NO_SCALE)).T

    def _scale(self, entry: MappedPoint, unit: str) -> "Scale | str":
        key = (entry.quantity, unit or entry.unit, entry.scale, entry.offset)
        if (scale := self._scales.get(key)) is None:
            scale = self._scales[key] = scale_of(entry, unit)
        return scale

    def take_number(self, entry: MappedPoint, unit: str, time_ms: int, value: float, quality: int) -> str:
        """Take a reading whose parts are numbers already; return the reason where it is refused, else nothing."""
        scale = self._scale(entry, unit)
        number = scale if isinstance(scale, str) else scale.si(value)
        if isinstance(number, str):
            return number
        if not FIRST_MS <= time_ms < LAST_MS:
            return OUTSIDE_TIME
        self._kept.setdefault(entry, []).append((time_ms, number, quality))
        return ""

    def refuse(self, row: int, time: str, point: str, value: str, reason: str) -> None:
        """Count a row under the reason that refuses it; the first are kept as they came."""
        self.result.refused[reason] += 1
        if len(self.result.first_refused) < MOST_SHOWN:
            self.result.first_refused.append(RefusedRow(row, time[:80], point[:200], value[:80], reason))

    def readings(self) -> Readings:
        """Return what was taken, and what was refused."""
        if len(self._columns) == 1 and not self._kept:
            self.result.points = self._columns[0]
            return self.result
        parts: dict[MappedPoint, list[PointColumns]] = {}
        for columns in self._columns:
            for entry, part in columns.items():
                parts.setdefault(entry, []).append(part)
        for entry, rows in self._kept.items():
            times_ms, values, quality = zip(*rows, strict=True)
            part = np.array(times_ms, np.int64), np.array(values, float), np.array(quality, np.uint8)
            parts.setdefault(entry, []).append(part)
        for entry, own in parts.items():
            times, numbers, good = own[0]
            if len(own) > 1:
                times, numbers, good = (np.concatenate(column) for column in zip(*own, strict=True))
            self.result.points[entry] = times, numbers, good
        return self.result


def _numbers(cells: Sequence[str], decimal: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return cells as numbers, and which of them are numbers as everybody writes them."""
    if decimal == "comma":
        cells = ["" if "." in cell else cell.replace(",", ".", 1) for cell in cells]
    try:
        number = np.fromiter(map(float, cells), float, len(cells))
    except ValueError:
        number = np.array([float(cell) if PLAIN.fullmatch(cell) else np.nan for cell in cells])
    return number, np.isfinite(number)


def _quality(cell: str) -> int | str:
    return int(float(cell)) if QUALITY.fullmatch(cell) and float(cell) <= 255 else 1 if not cell else "odd"


def _looked_up(
    cells: Sequence[str], read: Callable[[str], int | str], kind: type
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return cells as whole numbers, each text read once, and which of them could be read."""
    known = {text: read(text) for text in set(cells)}
    whole = {text: 0 if isinstance(value, str) else value for text, value in known.items()}
    told = np.ones(len(cells), bool)
    if odd := {text for text, value in known.items() if isinstance(value, str)}:
        told = np.fromiter((cell not in odd for cell in cells), bool, len(cells))
    return np.fromiter(map(whole.__getitem__, cells), kind, len(cells)), told


def _by_entry(
    entries: Sequence[MappedPoint | None],
    place: NDArray[np.int64],
    columns: PointColumns,
    taken: NDArray[np.bool_],
) -> dict[MappedPoint, PointColumns]:
    """Return the rows that were taken by what they mean, in their order."""
    kept = np.flatnonzero(taken)
    kept = kept[np.argsort(place[kept], kind="stable")]
    own, (times, values, quality) = place[kept], (columns[0][kept], columns[1][kept], columns[2][kept])
    starts = np.flatnonzero(np.diff(own, prepend=-1)).tolist()
    ends = [*starts[1:], own.size] if starts else []
    found: dict[MappedPoint, PointColumns] = {}
    for start, end, which in zip(starts, ends, own[starts].tolist(), strict=True):
        entry = entries[which]
        assert entry is not None, "a row without a meaning was taken"
        found[entry] = times[start:end], values[start:end], quality[start:end]
    return found


def _carried(point: str, objects: set[str]) -> MappedPoint | None:
    carried = split_point(point) if len(point) <= 200 and point.isprintable() else None
    if carried is None or carried[1] not in QUANTITIES or not _is_object(carried[0], objects):
        return None
    return MappedPoint(point, *carried)


@dataclass(frozen=True, slots=True)
class Scale:
    """What turns a source's number into a quantity in SI."""

    scale: float  # of the mapping
    offset: float
    unit: Unit
    quantity: Quantity

    @property
    def columns(self) -> tuple[float, ...]:
        """The same as columns of many: factors and offsets in their order, and the range."""
        quantity = self.quantity
        return self.scale, self.offset, self.unit.scale, self.unit.offset, quantity.low, quantity.high

    def si(self, number: float) -> float | str:
        """Return a number in SI, or the reason that refuses it."""
        number = (number * self.scale + self.offset) * self.unit.scale + self.unit.offset
        if not self.quantity.low <= number <= self.quantity.high:
            return f"outside the range of {self.quantity.name}"
        return number


def scale_of(entry: MappedPoint, unit: str) -> Scale | str:
    """Return what turns numbers of a point into SI, or the reason why nothing does.

    Parameters
    ----------
    entry : MappedPoint
    unit : str
        As written beside the reading; blank: that of the mapping.
    """
    quantity = QUANTITIES[entry.quantity]
    written = unit_named(unit or entry.unit) if unit or entry.unit else None
    if written is None:
        unit = (unit or entry.unit)[:40]
        return f"unit {unit} is unknown" if unit else "no unit: give it in the mapping"
    if written.si != quantity.unit:
        return f"{unit or entry.unit} is no unit of {entry.quantity}"
    return Scale(entry.scale, entry.offset, written, quantity)


def _read_row(
    entry: MappedPoint, time: str, value: str, unit: str, quality: str, clock: "_Clock", wanted: Reading
) -> tuple[int, float, int] | str:
    """Return time [ms since 1970], SI value and quality of one row, or the reason that refuses it."""
    if not value:
        return "no value"
    number = _decimal(value, wanted.decimal)
    if isinstance(number, str):
        return number
    scale = scale_of(entry, unit)
    if isinstance(scale, str):
        return scale
    number = scale.si(number)
    if isinstance(number, str):
        return number
    if quality and (not QUALITY.fullmatch(quality) or float(quality) > 255):
        return "quality is no whole number 0 to 255"
    when = clock.ms(time, entry.time_zone)
    return when if isinstance(when, str) else (when, number, int(float(quality)) if quality else 1)


def _decimal(cell: str, decimal: str) -> float | str:
    if decimal == "comma":
        if "." in cell:
            return "decimal point under --decimal comma"
        cell = cell.replace(",", ".", 1)
    elif "," in cell:
        return "comma in a number: say --decimal comma, or write it without"
    try:
        number = float(cell)
    except ValueError:
        return "value is no number"
    return number if np.isfinite(number) else "no value"


class _Clock:
    """Reads times; the same text is read once."""

    def __init__(self, wanted: Reading) -> None:
        self._wanted = wanted
        self._read: dict[tuple[str, str], int | str] = {}

    def ms(self, text: str, time_zone: str) -> int | str:
        """Return a time in ms since 1970, or the reason that refuses it."""
        key = (text, time_zone)
        if key not in self._read:
            if len(self._read) > 1_000_000:
                self._read.clear()
            self._read[key] = self._ms(text, time_zone or self._wanted.time_zone)
        return self._read[key]

    def _ms(self, text: str, time_zone: str) -> int | str:
        when = self._moment(text)
        if isinstance(when, str):
            return when
        if when.tzinfo is None:
            if not time_zone:
                return "time without a zone: say --time-zone, or time_zone in the mapping"
            zone = zone_named(time_zone)
            first, second = (when.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
            if first.utcoffset() != second.utcoffset():
                return "time that the clock's change makes double or skips: write it with its zone"
            when = first
        ms = round(when.timestamp() * 1e3)
        return ms if FIRST_MS <= ms < LAST_MS else OUTSIDE_TIME

    def _moment(self, text: str) -> dt.datetime | str:
        if re.fullmatch(r"\d{9,10}(\.\d+)?|\d{12,13}", text):
            seconds = float(text) / (1e3 if float(text) > 1e11 else 1.0)
            return dt.datetime.fromtimestamp(seconds, dt.UTC)
        match = _SLASHED.match(text)
        if match is None:
            try:
                return dt.datetime.fromisoformat(text)
            except ValueError:
                return "time unreadable"
        if self._wanted.dates == "iso":
            return "date reads two ways: say --dates day-first or month-first"
        first, second, year, hour, minute, whole_s = (int(part or 0) for part in match.groups())
        day, month = (first, second) if self._wanted.dates == "day-first" else (second, first)
        try:
            return dt.datetime(year, month, day, hour, minute, whole_s)  # noqa: DTZ001  its zone is given by the caller
        except ValueError:
            return f"no {self._wanted.dates} date"
