"""One server's accelerators from its monitoring export: watts from utilisation, temperature from watts.

Power is an idle level, a step for being awake, and work that grows with utilisation and memory activity up to the power
limit. A row is a mean over its interval, so where the least and greatest utilisation are known it is a mixture of both.
Two things no export of utilisation holds: which idle state the driver keeps, and how hard a job works at the same
utilisation. `follow` learns both from the rows before, the way a twin in operation does; what utilisation alone says is
scored beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.core.telemetry import scores
from twin.core.telemetry.alarms import samples_per_independent
from twin.core.telemetry.calibrate import Fit, Parameter, fit_map
from twin.core.telemetry.component import parameter_row
from twin.core.telemetry.tables import Table, listed, plain_name
from twin.core.telemetry.times import Times, parse_time, read_times

FloatArray = NDArray[np.float64]

OBJECT = "accelerators"
LEAST_BUSY = 20  # rows
BUSY_FROM_FRAC = 0.01  # below it a row is idle: its power is the driver's idle state, which utilisation does not tell

# Plain names (no case, units or separators) that exports use, best first: nvidia-smi, DCGM and its exporter, cluster
# monitors. A label set in braces behind a Prometheus name is cut off first.
NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "datetime", "date", "ts", "timestamputc", "timeutc", "localtime", "unixtime"),
    "power_w": (
        "powerave",
        "poweravg",
        "poweraverage",
        "powermean",
        "powerdraw",
        "powerdrawaverage",
        "dcgmfidevpowerusage",
        "powerusage",
        "gpupower",
        "gpupowerw",
        "powerw",
        "power",
        "averagepower",
        "gpupowerdraw",
        "powerwatts",
        "watts",
        "powerdraww",
        "gpupowerusage",
        "gpupowerave",
        "gpupowerdraww",
    ),
    "temperature_degc": (
        "tempave",
        "tempavg",
        "tempaverage",
        "tempmean",
        "temperaturegpu",
        "dcgmfidevgputemp",
        "gputemp",
        "gputemperature",
        "temperature",
        "temp",
        "temperaturec",
        "temperaturedegc",
        "gputempc",
        "gputempave",
        "tempc",
    ),
    "utilisation_pct": (
        "utilave",
        "utilavg",
        "utilaverage",
        "utilmean",
        "utilizationgpu",
        "utilisationgpu",
        "dcgmfidevgpuutil",
        "dcgmfiprofgrengineactive",
        "gpuutil",
        "gpuutilization",
        "gpuutilisation",
        "utilization",
        "utilisation",
        "util",
        "utilizationpct",
        "utilisationpct",
        "smutil",
        "gputilave",
        "gpuutilave",
        "gpuutilizationpct",
        "sm",
    ),
    "utilisation_min_pct": ("utilmin", "utilizationmin", "utilisationmin", "gpuutilmin"),
    "utilisation_max_pct": ("utilmax", "utilizationmax", "utilisationmax", "gpuutilmax"),
    "memory_pct": (
        "gmemave",
        "gmemavg",
        "gmemmean",
        "utilizationmemory",
        "utilisationmemory",
        "dcgmfidevmemcopyutil",
        "dcgmfiprofdramactive",
        "memcopyutil",
        "memutil",
        "memoryutilization",
        "memoryutilisation",
        "gmem",
        "mem",
    ),
    "memory_min_pct": ("gmemmin", "memutilmin"),
    "memory_max_pct": ("gmemmax", "memutilmax"),
    "device": ("uuid", "gpuuuid", "index", "gpuindex", "gpu", "gpuid", "device", "deviceid", "pcibusid"),
}
NEEDED = ("time", "power_w", "utilisation_pct")
# DCGM's profiling counters are fractions; every other utilisation is percent.
FRACTIONS = ("dcgmfiprofgrengineactive", "dcgmfiprofdramactive")
SENSE = {
    "power_w": (0.0, 20_000.0, "W"),
    "temperature_degc": (-20.0, 130.0, "degC"),
    "utilisation_pct": (0.0, 100.0, "%"),
    "memory_pct": (0.0, 100.0, "%"),
}

# How fast the state behind utilisation moves, per row: variances of the idle level [W^2], of a job's offset [W^2] and
# slope [-], the offset's step [W^2] and the relative error of work. Some jobs draw steady watts whatever the counter
# says, others follow it: four filters stand side by side, weighted by how well each did lately.
ASSUMED_NOISE = np.array([[200.0, 1000.0, 0.05, step, rel] for step in (50.0, 400.0) for rel in (0.05, 0.2)])
# What is kept of a job's offset and slope from one row to the next, and from one job to the next.
KEPT_BUSY, KEPT_NEXT_JOB, SLOPE_NOISE = 0.985, 0.7, 0.001
WEIGHT_KEPT, WEIGHT_SIGMA = 0.95, 20.0
# Jobs come back: busy rows before that looked alike (utilisation and memory activity within a twentieth), recent first.
RECALLED_ROWS, LEAST_RECALLED, ALIKE_FRAC, RECALL_ROWS = 4_000, 50, 0.05, 3_000.0
# The same for temperature: the inlet moves with the room, the resistance with fans and dust. Kelvins, not watts.
ASSUMED_NOISE_K = np.array([[0.3, 1.0, 0.02, 0.3, 0.03]])


@dataclass(frozen=True, slots=True, eq=False)
class ServerRows:
    """A server's rows in time order, means over its accelerators. Arrays of shape (n,), NaN where nothing was read."""

    seconds: FloatArray
    power_w: FloatArray
    temperature_degc: FloatArray  # all NaN where there is none
    utilisation: FloatArray  # mean, least, greatest of the interval as fractions, shape (3, n)
    memory: FloatArray  # the same of memory activity; zeros where there is none
    columns: Mapping[str, str]  # which column of the table is what
    times: Times
    n_left_out: int


def server_rows(table: Table, named: Mapping[str, str]) -> ServerRows:
    """Find and check the columns of a server's export.

    Parameters
    ----------
    table : Table
        nvidia-smi's CSV, a DCGM or Prometheus export, or a cluster's hourly statistics; one row per time, or one per
        time and device (then averaged over the devices).
    named : mapping
        Columns that the user named, by role (a key of `NAMES`).

    Raises
    ------
    ValueError
        If a needed column is missing, or a value is outside what can be.
    """
    columns = {}
    for role, candidates in NAMES.items():
        if role in named:
            table.cells(named[role])
            columns[role] = [named[role]]
            continue
        by_plain: dict[str, list[str]] = {}
        for name in table.columns:
            by_plain.setdefault(plain_name(name.partition("{")[0]), []).append(name)
        found = next((by_plain[candidate] for candidate in candidates if candidate in by_plain), None)
        if found:
            columns[role] = found
    missing = [role for role in NEEDED if role not in columns]
    if missing:
        raise ValueError(
            f"{table.name}: no column found for {listed(missing)}; it has {listed(table.columns)};"
            f" name them with --columns {','.join(f'{role}=COLUMN' for role in missing)}"
        )
    times = read_times(table.cells(columns["time"][0]))
    values = {role: _mean_of(table, role, columns[role]) for role in columns if role not in ("time", "device")}
    for role, (low, high, unit) in SENSE.items():
        if role in values:
            _check(table, columns[role][0], values[role], low, high, unit)
    arrays = _by_time(times.seconds, values, table.cells(columns["device"][0]) if "device" in columns else None)
    n = len(arrays["seconds"])
    kept = np.isfinite(arrays["power_w"]) & np.isfinite(arrays["utilisation_pct"])
    if kept.sum() < 60:
        raise ValueError(f"{table.name}: {int(kept.sum())} rows hold both power and utilisation; 60 or more are needed")

    def spread(role: str) -> FloatArray:
        mean = arrays[f"{role}_pct"] if f"{role}_pct" in arrays else np.zeros(n)
        least = arrays.get(f"{role}_min_pct", mean)
        most = arrays.get(f"{role}_max_pct", mean)
        mean = np.nan_to_num(mean)
        least = np.minimum(np.where(np.isfinite(least), least, mean), mean)
        most = np.maximum(np.where(np.isfinite(most), most, mean), mean)
        return np.clip(np.array([mean, least, most]) / 100, 0, 1)[:, kept]

    temperature = arrays.get("temperature_degc", np.full(n, np.nan))
    return ServerRows(
        arrays["seconds"][kept],
        arrays["power_w"][kept],
        temperature[kept],
        spread("utilisation"),
        spread("memory"),
        {role: names[0] if len(names) == 1 else f"mean of {len(names)} columns" for role, names in columns.items()},
        times,
        table.n_rows - int(kept.sum()),
    )


def _mean_of(table: Table, role: str, names: list[str]) -> FloatArray:
    arrays = []
    for name in names:
        values = table.numbers(name)
        plain = plain_name(name.partition("{")[0])
        arrays.append(values * 100 if plain in FRACTIONS and role.endswith("_pct") else values)
    if len(arrays) == 1:
        return arrays[0]
    stacked = np.array(arrays)
    n = np.isfinite(stacked).sum(axis=0)
    return np.where(n > 0, np.nansum(stacked, axis=0) / np.maximum(n, 1), np.nan)


def _check(table: Table, column: str, values: FloatArray, low: float, high: float, unit: str) -> None:
    bad = np.flatnonzero((values < low) | (values > high))
    if bad.size:
        row = int(bad[0])
        raise ValueError(
            f"{table.name}: column {column}, row {row + 1}: {values[row]:g} {unit} is outside {low:g} to {high:g}"
            f" ({bad.size} such rows)"
        )


def _by_time(
    seconds: FloatArray, values: dict[str, FloatArray], devices: tuple[str, ...] | None
) -> dict[str, FloatArray]:
    """Sort by time, and average rows of one interval over the devices."""
    finite = np.isfinite(seconds)
    step = 0.0
    if devices is not None and len(set(devices)) > 1:
        first_device = np.array([device == devices[0] for device in devices]) & finite
        own = np.diff(np.unique(seconds[first_device]))
        step = float(np.median(own)) if own.size else 0.0
    key = np.round((seconds - np.nanmin(seconds)) / step) if step else seconds
    unique, inverse = np.unique(key[finite], return_inverse=True)
    counts = np.bincount(inverse)
    means = {"seconds": np.bincount(inverse, seconds[finite]) / counts}
    for role, array in values.items():
        there = array[finite]
        n = np.bincount(inverse, np.isfinite(there), len(unique))
        total = np.bincount(inverse, np.nan_to_num(there), len(unique))
        means[role] = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    if counts.max(initial=1) > 1:
        for role in ("utilisation", "memory"):
            mean = values.get(f"{role}_pct")
            if mean is not None and f"{role}_min_pct" not in values:
                least, most = np.full(len(unique), np.inf), np.full(len(unique), -np.inf)
                there = mean[finite]
                good = np.isfinite(there)
                np.minimum.at(least, inverse[good], there[good])
                np.maximum.at(most, inverse[good], there[good])
                means[f"{role}_min_pct"] = np.where(np.isfinite(least), least, np.nan)
                means[f"{role}_max_pct"] = np.where(np.isfinite(most), most, np.nan)
    return means


def power_parameters(
    rows: ServerRows, train: NDArray[np.bool_], entry: Mapping[str, Any] | None = None
) -> list[Parameter]:
    """Return the power law's parameters with priors from a catalogue entry, or from the training rows."""
    power = rows.power_w[train]
    if entry is not None:
        idle_w, limit_w, sure = float(entry["idle_w"]), float(entry["tdp_w"]), 0.3
    else:
        idle_w, limit_w, sure = float(np.percentile(power, 5)), float(np.percentile(power, 99.5)), 0.5
    idle_w = max(idle_w, 1.0)
    limit_w = max(limit_w, 2 * idle_w)
    dynamic_w = limit_w - idle_w
    return [
        Parameter("accelerator_idle_w", "W", idle_w, sure, 0.1 * idle_w, 10 * idle_w, logarithmic=True),
        Parameter("awake_w", "W", 0.15 * dynamic_w, 0.7, 0.002 * dynamic_w, dynamic_w, logarithmic=True),
        Parameter("awake_utilisation_frac", "-", 0.02, 0.5, 0.002, 0.3, logarithmic=True),
        Parameter("compute_w", "W", 0.7 * dynamic_w, 0.5, 0.02 * dynamic_w, 4 * dynamic_w, logarithmic=True),
        Parameter("compute_exponent", "-", 0.9, 0.3, 0.3, 2.0, logarithmic=True),
        Parameter("memory_w", "W", 0.15 * dynamic_w, 0.7, 0.002 * dynamic_w, 2 * dynamic_w, logarithmic=True),
        Parameter("power_limit_w", "W", limit_w, 0.1, 1.2 * idle_w, 3 * limit_w, logarithmic=True),
        Parameter("mixture_frac", "-", 0.5, 0.3, 0.0, 1.0),
    ]


def dynamic_power_w(values: Mapping[str, float], utilisation: FloatArray, memory: FloatArray) -> FloatArray:
    """Return the power above idle [W] at a utilisation and a memory activity [-], held by the power limit."""
    awake = values["awake_w"] * -np.expm1(-utilisation / values["awake_utilisation_frac"])
    work = values["compute_w"] * utilisation ** values["compute_exponent"] + values["memory_w"] * memory
    return np.minimum(awake + work, max(values["power_limit_w"] - values["accelerator_idle_w"], 1.0))


def mean_dynamic_power_w(values: Mapping[str, float], rows: ServerRows) -> FloatArray:
    """Return the mean power above idle [W] of each row's interval.

    Between "all of the interval at its mean" and "at its greatest part of the time, at its least the rest" lies
    `mixture_frac`.
    """
    mean, least, most = rows.utilisation
    memory, memory_least, memory_most = rows.memory
    share = np.where(most > least, (mean - least) / np.maximum(most - least, 1e-9), 0.0)
    # Memory activity of the busier part, such that both parts together have the row's mean.
    memory_busy = np.clip((memory - (1 - share) * memory_least) / np.maximum(share, 1e-3), memory_least, memory_most)
    two = share * dynamic_power_w(values, most, memory_busy) + (1 - share) * dynamic_power_w(
        values, least, memory_least
    )
    mixed = values["mixture_frac"] * two + (1 - values["mixture_frac"]) * dynamic_power_w(values, mean, memory)
    return np.maximum(mixed, 0.0)


@njit(cache=True)
def _follow(
    measured: FloatArray,
    work: FloatArray,
    busy: FloatArray,
    level: float,
    noise: FloatArray,
    kept_busy: float,
    kept_next_job: float,
    slope_noise: float,
) -> FloatArray:
    """Predict each row from the rows before it: measured = level + offset * busy + slope * work, all three moving."""
    level_step, offset_var, slope_var, offset_step, rel = noise[0], noise[1], noise[2], noise[3], noise[4]
    n = len(measured)
    predicted = np.empty(n)
    x = np.array([level, 0.0, 1.0])
    rest = np.array([0.0, 0.0, 1.0])
    spread = np.array([0.0, offset_var, slope_var])
    cov = np.diag(np.array([0.25 * level_step, offset_var, slope_var]))
    h = np.ones(3)
    was_busy = False
    for t in range(n):
        is_busy = busy[t] > 0
        keep = kept_next_job if is_busy and not was_busy else kept_busy
        for i in (1, 2):
            x[i] = rest[i] + keep * (x[i] - rest[i])
            for j in range(3):
                cov[i, j] *= keep
                cov[j, i] *= keep
            cov[i, i] += spread[i] * (1 - keep * keep)
        # The driver's idle state is seen, and changes, between jobs.
        cov[0, 0] += level_step * (0.02 if is_busy else 1.0)
        if is_busy:
            cov[1, 1] += offset_step
            cov[2, 2] += slope_noise
        h[1], h[2] = busy[t], work[t]
        y = x[0] + x[1] * h[1] + x[2] * h[2]
        predicted[t] = y
        was_busy = is_busy
        if np.isnan(measured[t]):
            continue
        ch = cov @ h
        gain = ch / (h @ ch + 1.0 + (rel * (work[t] + 20.0 * busy[t])) ** 2)
        x = x + gain * (measured[t] - y)
        cov = cov - np.outer(gain, ch)
    return predicted


@njit(cache=True)
def _averaged(measured: FloatArray, ahead: FloatArray, busy: FloatArray, kept: float, sigma: float) -> FloatArray:
    """Average predictions side by side (k, n), weighted by their errors on busy rows before."""
    k, n = ahead.shape
    loss = np.zeros(k)
    mean = np.empty(n)
    for t in range(n):
        weight = np.exp(-0.5 * (loss - loss.min()))
        mean[t] = (weight * ahead[:, t]).sum() / weight.sum()
        if busy[t] > 0 and not np.isnan(measured[t]):
            loss = kept * loss + ((ahead[:, t] - measured[t]) / sigma) ** 2
    return mean


@njit(cache=True)
def _recalled(
    measured: FloatArray,
    signature: FloatArray,
    busy: FloatArray,
    most: int,
    least: int,
    alike: float,
    memory: float,
) -> FloatArray:
    """Predict busy rows by the busy rows before that looked alike; NaN where there are too few. signature (k, n)."""
    k, n = signature.shape
    recalled = np.full(n, np.nan)
    known = np.empty(n, dtype=np.int64)
    n_known = 0
    for t in range(n):
        if busy[t] <= 0:
            continue
        first = max(0, n_known - most)
        if n_known - first >= least:
            nearest = np.inf
            distance = np.empty(n_known - first)
            for i in range(first, n_known):
                s = known[i]
                d = (t - s) / memory
                for j in range(k):
                    d += ((signature[j, s] - signature[j, t]) / alike) ** 2 / k
                distance[i - first] = d
                nearest = min(nearest, d)
            total = weights = 0.0
            for i in range(first, n_known):
                weight = np.exp(-0.5 * (distance[i - first] - nearest))
                total += weight * measured[known[i]]
                weights += weight
            recalled[t] = total / weights
        if not np.isnan(measured[t]):
            known[n_known] = t
            n_known += 1
    return recalled


def follow(
    measured: FloatArray,
    work: FloatArray,
    busy: FloatArray,
    level: float,
    noise: FloatArray = ASSUMED_NOISE,
    signature: FloatArray | None = None,
) -> FloatArray:
    """Predict each row one step ahead, with the state learned from the rows before it (Kalman filters).

    Parameters
    ----------
    measured, work : ndarray, shape (n,)
        What was measured, and the model's part above `level`, in the same unit. NaN in `measured` updates nothing.
    busy : ndarray, shape (n,)
        1 where a job's own offset may stand beside its slope, else 0.
    level : float
        The level to start from.
    noise : ndarray, shape (k, 5)
        One row a filter, see `ASSUMED_NOISE`.
    signature : ndarray, shape (k, n), optional
        What a job looks like: busy rows before that looked alike are asked as well.

    Returns
    -------
    ndarray, shape (n,)
        Row t is predicted from inputs up to t and measured values before t only.
    """
    ahead = np.array(
        [_follow(measured, work, busy, float(level), own, KEPT_BUSY, KEPT_NEXT_JOB, SLOPE_NOISE) for own in noise]
    )
    if signature is not None:
        alike = _recalled(measured, signature, busy, RECALLED_ROWS, LEAST_RECALLED, ALIKE_FRAC, RECALL_ROWS)
        own = ahead.mean(axis=0)
        alike = np.where(np.isfinite(alike), alike, own)
        ahead = np.vstack((ahead, alike, 0.5 * (alike + own)))
    return _averaged(measured, ahead, busy, WEIGHT_KEPT, WEIGHT_SIGMA)


def fit_power(rows: ServerRows, train: NDArray[np.bool_], entry: Mapping[str, Any] | None = None) -> Fit:
    """Fit the power law to the training rows."""
    parameters = power_parameters(rows, train, entry)
    # Meters read to a few percent; what a job does beside its utilisation is larger, and is left to `follow`.
    sigma = 10.0 + 0.05 * rows.power_w

    def residuals(values: Mapping[str, float]) -> FloatArray:
        predicted = values["accelerator_idle_w"] + mean_dynamic_power_w(values, rows)
        return ((rows.power_w - predicted) / sigma)[train]

    repeat = samples_per_independent(residuals({p.name: p.prior for p in parameters}))
    tell = {
        frozenset(("awake_w", "awake_utilisation_frac")): "the clock, or rows at little utilisation",
        frozenset(("compute_w", "memory_w")): "activity of tensor cores and memory apart",
    }
    return fit_map(parameters, residuals, samples_per_independent=repeat, softness=3.0, sensors=tell)


def temperature_degc(values: Mapping[str, float], power_w: FloatArray) -> FloatArray:
    """Return the chip's temperature [degC]: inlet plus resistance times power, held by its throttle limit.

    The resistance falls as fans speed up: the rise goes with power to `rise_exponent`, `rise_k` being that at
    `power_limit_w`.
    """
    rise = values["rise_k"] * (power_w / values["power_limit_w"]) ** values["rise_exponent"]
    return np.minimum(values["inlet_degc"] + rise, values["throttle_degc"])


def fit_temperature(
    rows: ServerRows, train: NDArray[np.bool_], power_limit_w: float, entry: Mapping[str, Any] | None = None
) -> Fit:
    """Fit inlet temperature, rise at the power limit, fan exponent and throttle limit to the training rows."""
    power, temperature = rows.power_w, rows.temperature_degc
    coolest, hottest = np.nanpercentile(temperature[train], [1, 99.9])
    throttle = float(entry["throttle_degc"]) if entry and entry.get("throttle_degc") else float(hottest) + 2.0
    parameters = [
        Parameter("inlet_degc", "degC", coolest - 4.0, 3.0, coolest - 20.0, coolest + 10.0),
        Parameter("rise_k", "K", 40.0, 0.4, 3.0, 90.0, logarithmic=True),
        Parameter("rise_exponent", "-", 0.9, 0.2, 0.4, 1.3, logarithmic=True),
        Parameter("throttle_degc", "degC", throttle, 2.0, coolest + 5.0, throttle + 20.0),
    ]

    def residuals(values: Mapping[str, float]) -> FloatArray:
        predicted = temperature_degc({**values, "power_limit_w": power_limit_w}, power)
        return ((temperature - predicted) / 2.0)[train]

    repeat = samples_per_independent(residuals({p.name: p.prior for p in parameters}))
    tell = {frozenset(("inlet_degc", "rise_exponent")): "the inlet air's temperature, or the fans' speed"}
    return fit_map(parameters, residuals, samples_per_independent=repeat, sensors=tell)


def held_out_rows(seconds: FloatArray, holdout: str) -> NDArray[np.bool_]:
    """Return which rows are held out: `last-third`, `last-half`, `last-quarter` (of rows), or from a time on."""
    shares = {"last-third": 1 / 3, "last-half": 1 / 2, "last-quarter": 1 / 4}
    n = len(seconds)
    if holdout in shares:
        return np.arange(n) >= n - int(n * shares[holdout])
    try:
        after = parse_time(holdout)
    except ValueError as error:
        raise ValueError(f"--holdout {holdout}: write {', '.join(shares)} or a time") from error
    held = seconds >= after
    if not held.any() or held.all():
        raise ValueError(
            f"--holdout {holdout}: {int(held.sum())} of {n} rows are later; some must stand on either side"
        )
    return held


def calibrate_server(
    table: Table, named: Mapping[str, str], holdout: str, entry: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Calibrate a server on its earlier rows and score it on the later ones.

    Parameters
    ----------
    table : Table
        The export.
    named : mapping
        Columns by role, see `NAMES`.
    holdout : str
        See `held_out_rows`.
    entry : mapping, optional
        Catalogue entry of the accelerator, for priors.

    Returns
    -------
    dict
        `power_cv_rmse_frac` is of busy held-out rows, one row ahead; `temperature_rmse_k` of all held-out rows from
        measured power, one row ahead; `scores` has each on all rows, on busy rows and without what `follow` learned.
    """
    rows = server_rows(table, named)
    held = held_out_rows(rows.seconds, holdout)
    train = ~held
    busy = rows.utilisation[0] > BUSY_FROM_FRAC
    if (train & busy).sum() < LEAST_BUSY:
        raise ValueError(
            f"{table.name}: {int((train & busy).sum())} training rows are busy (utilisation above"
            f" {BUSY_FROM_FRAC:.0%}); {LEAST_BUSY} or more are needed to learn watts from utilisation"
        )
    # A server that hardly works later is scored on all its rows, and the answer says so.
    by_busy = bool((held & busy).sum() >= LEAST_BUSY)
    scored_rows = f"held-out rows with utilisation above {BUSY_FROM_FRAC:.0%}" if by_busy else "all held-out rows"
    power = fit_power(rows, train, entry)
    idle_w = power.values["accelerator_idle_w"]
    work = mean_dynamic_power_w(power.values, rows)
    alone = idle_w + work
    own = busy.astype(float)
    looks = np.vstack((rows.utilisation, rows.memory))
    ahead = np.maximum(follow(rows.power_w, work, own, idle_w, signature=looks), 0.0)
    stated = {
        "power_w": {
            "one_row_ahead": {"busy": _cv(rows.power_w, ahead, held & busy), "all": _cv(rows.power_w, ahead, held)},
            "utilisation_alone": {"busy": _cv(rows.power_w, alone, held & busy), "all": _cv(rows.power_w, alone, held)},
        }
    }
    parameters = [parameter_row(OBJECT, estimate) for estimate in power.estimates]
    temperature_rmse_k = None
    if np.isfinite(rows.temperature_degc[train]).sum() >= 60 and np.isfinite(rows.temperature_degc[held]).any():
        limit_w = power.values["power_limit_w"]
        thermal = fit_temperature(rows, train, limit_w, entry)
        inlet_degc = thermal.values["inlet_degc"]
        plain = temperature_degc({**thermal.values, "power_limit_w": limit_w}, rows.power_w)
        rise = plain - inlet_degc
        followed = follow(rows.temperature_degc, rise, own, inlet_degc, ASSUMED_NOISE_K)
        temperature_rmse_k = scores.rmse(rows.temperature_degc[held], followed[held])
        stated["temperature_degc"] = {
            "one_row_ahead": {
                "busy": scores.rmse(rows.temperature_degc[held & busy], followed[held & busy]),
                "all": temperature_rmse_k,
            },
            "power_alone": {
                "busy": scores.rmse(rows.temperature_degc[held & busy], plain[held & busy]),
                "all": scores.rmse(rows.temperature_degc[held], plain[held]),
            },
        }
        parameters += [parameter_row(OBJECT, estimate) for estimate in thermal.estimates]
    return {
        "power_cv_rmse_frac": stated["power_w"]["one_row_ahead"]["busy" if by_busy else "all"],
        "temperature_rmse_k": temperature_rmse_k,
        "n_train": int(train.sum()),
        "n_held_out": int(held.sum()),
        "n_train_busy": int((train & busy).sum()),
        "n_held_out_busy": int((held & busy).sum()),
        "basis": (
            f"power: {scored_rows}, each predicted from its own utilisation"
            " and the rows before it (idle state and work intensity followed); temperature: all held-out rows from"
            " measured power, inlet followed. Without following: scores"
        ),
        "scores": stated,
        "parameters": parameters,
        "columns": dict(rows.columns),
        "n_left_out": rows.n_left_out,
        "date_findings": list(rows.times.findings),
    }


def _cv(measured: FloatArray, predicted: FloatArray, mask: NDArray[np.bool_]) -> float:
    return scores.cv_rmse_frac(measured[mask], predicted[mask])
