"""Answers of Prometheus' range queries: series become points, out of a file (one JSON answer, or one a line) or live.

Accelerators of a host (or of a rack, where relabelling gave series one) are added up or averaged; counters become
rates, with resets; histograms become their median and 95th percentile over each step. Names are those of the
exporters' own documents: the DCGM exporter with its older and newer labels, vLLM, SGLang, TensorRT-LLM, Dynamo, IPMI
and node exporter. Any other series is a point under its own name and labels where that is wanted, to be mapped by hand.
"""

import gzip
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.quantities import GOOD, QUANTITIES
from twin.core.telemetry.readings import MappedPoint, Proposal, Readings, Taken, each_once
from twin.core.telemetry.readings import propose as by_rules
from twin.core.telemetry.tables import whole_gzip

FloatArray = NDArray[np.float64]
Series = tuple[Mapping[str, str], NDArray[np.int64], FloatArray]  # labels, times [ms since 1970], values
Column = tuple[NDArray[np.int64], FloatArray, NDArray[np.uint8]]  # times, values in SI, quality

FORMAT = "prometheus"
MOST_BYTES = 500_000_000  # unpacked, of one answer
MOST_SERIES = 200_000
NOT_GOOD = 0  # quality of a sum or mean that not all of its series are in
SUM, MEAN, RATE, QUANTILES = "sum", "mean", "rate", "quantiles"
HOST_LABELS = ("rack", "hostname", "Hostname", "node", "instance")  # the first that a series has names its object
MODEL_LABELS = ("model_name", "model")
SCRAPED = ("instance", "job")  # labels of who asked, not of what was measured
MOST_NAME = 200  # characters of a point


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a metric counts: a quantity in SI, after its scale; of quantiles the stem of two quantities."""

    quantity: str
    how: str
    labels: tuple[str, ...]
    scale: float = 1.0
    order: int = 0  # of two metrics that tell the same of an object the lower is taken
    only: tuple[str, str] = ("", "")  # a label, and what its value must have in it


def _accelerators(quantity: str, how: str, scale: float = 1.0, order: int = 0) -> Meaning:
    return Meaning(quantity, how, HOST_LABELS, scale, order)


def _served(quantity: str, how: str, order: int = 0) -> Meaning:
    return Meaning(quantity, how, MODEL_LABELS, 1.0, order)


METRICS: Mapping[str, Meaning] = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": _accelerators("accelerator_power_w", RATE, 1e-3),  # mJ: exact
    "DCGM_FI_DEV_POWER_USAGE": _accelerators("accelerator_power_w", SUM, order=1),
    "DCGM_FI_DEV_GPU_TEMP": _accelerators("accelerator_temperature_degc", MEAN),
    "DCGM_FI_DEV_GPU_UTIL": _accelerators("utilisation_frac", MEAN, 0.01),
    "DCGM_FI_DEV_SM_CLOCK": _accelerators("accelerator_clock_hz", MEAN, 1e6),
    "ipmi_dcmi_power_consumption_watts": _accelerators("power_w", SUM),
    # a host's own meter, as ACPI calls it; the node exporter has other chips' watts under the same name
    "node_hwmon_power_average_watt": Meaning("power_w", SUM, HOST_LABELS, order=1, only=("chip", "acpi000d")),
    "vllm:generation_tokens_total": _served("output_tokens_per_s", RATE),
    "vllm:prompt_tokens_total": _served("input_tokens_per_s", RATE),
    "vllm:num_requests_running": _served("requests_running", SUM),
    "vllm:time_to_first_token_seconds_bucket": _served("ttft", QUANTILES),
    "vllm:inter_token_latency_seconds_bucket": _served("itl", QUANTILES),
    "vllm:time_per_output_token_seconds_bucket": _served("itl", QUANTILES, 1),  # its older name
    "sglang:generation_tokens_total": _served("output_tokens_per_s", RATE),
    "sglang:gen_throughput": _served("output_tokens_per_s", SUM, 1),
    "sglang:prompt_tokens_total": _served("input_tokens_per_s", RATE),
    "sglang:num_running_reqs": _served("requests_running", SUM),
    "sglang:time_to_first_token_seconds_bucket": _served("ttft", QUANTILES),
    "sglang:inter_token_latency_seconds_bucket": _served("itl", QUANTILES),
    "sglang:time_per_output_token_seconds_bucket": _served("itl", QUANTILES, 1),
    "trtllm_num_requests_running": _served("requests_running", SUM),
    "trtllm_time_to_first_token_seconds_bucket": _served("ttft", QUANTILES),
    "trtllm_time_per_output_token_seconds_bucket": _served("itl", QUANTILES),
    "dynamo_frontend_output_tokens_total": _served("output_tokens_per_s", RATE),
    "dynamo_frontend_inflight_requests": _served("requests_running", SUM),
    "dynamo_frontend_time_to_first_token_seconds_bucket": _served("ttft", QUANTILES),
    "dynamo_frontend_inter_token_latency_seconds_bucket": _served("itl", QUANTILES),
}


#: What asks a server for all of them.
SELECTOR = f"{{__name__=~{json.dumps('|'.join(METRICS))}}}"


@dataclass(slots=True)
class Points:
    """Points: times [ms since 1970], values in SI and quality of each, and what was not read, by reason."""

    points: dict[str, Column] = field(default_factory=dict)
    quantity: dict[str, str] = field(default_factory=dict)  # blank: its own name says all there is
    left_out: list[tuple[str, str, int]] = field(default_factory=list)  # metric, reason, how many values
    n_series: int = 0


def file_points(path: Path) -> Points:
    """Return what a file's series are.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or is no answer of a query.
    """
    found = points_of(_series(path), path.name)
    if not found.n_series:
        raise ValueError(f"{path.name} has no series: the query found nothing")
    return found


def points_of(
    found_series: Iterable[Series],
    name: str,
    *,
    by_name: bool = False,
    most_series: MutableMapping[tuple[str, str, str], int] | None = None,
    after_ms: int = 0,
) -> Points:
    """Return what series are.

    Parameters
    ----------
    found_series : iterable of Series
    name : str
        Where they are from, for messages.
    by_name : bool
        Whether a series that no exporter is known for is a point under its own name and labels.
    most_series : dict, optional
        How many series made up each point at most so far, kept from one call to the next: a sum or mean of fewer is no
        good reading, also where all of an answer lacks one.
    after_ms : int
        Readings up to this time only say what later ones grew from [ms since 1970].

    Raises
    ------
    ValueError
        If there are more series than are read.
    """
    groups: dict[tuple[str, str, str], list[Series]] = defaultdict(list)
    found = Points()
    for series in found_series:
        found.n_series += 1
        if found.n_series > MOST_SERIES:
            raise ValueError(f"{name} has more than {MOST_SERIES:,} series")
        labels, times_ms, values = series
        metric = labels.get("__name__", "").replace("trtllm:", "trtllm_")  # as Dynamo wrote it at first
        meaning = METRICS.get(metric)
        entity = next((labels[label] for label in meaning.labels if labels.get(label)), "") if meaning else ""
        if meaning is None and by_name:
            new = times_ms > after_ms
            known = np.isfinite(values) & new
            good = np.full(int(known.sum()), GOOD, np.uint8)
            point = series_name(labels)
            found.points[point], found.quantity[point] = (times_ms[known], values[known], good), ""
            if n := int((new & ~known).sum()):
                found.left_out.append((point, "has no value", n))
        elif meaning is None or not entity:
            what = f"needs one of the labels {', '.join(meaning.labels)}" if meaning else "is no metric that is read"
            found.left_out.append((metric or "a series without a name", what, int((times_ms > after_ms).sum())))
        elif meaning.only[1] in labels.get(meaning.only[0], "").lower():
            groups[entity, meaning.quantity, metric].append(series)
        else:
            what = f"is read where its {meaning.only[0]} is {meaning.only[1]}"
            found.left_out.append((metric, what, int((times_ms > after_ms).sum())))
    for key in sorted(groups, key=lambda key: (key[0], key[1], METRICS[key[2]].order)):
        entity, quantity, metric = key
        least = max(most_series.get(key, 0), len(groups[key])) if most_series is not None else 0
        if most_series is not None:
            most_series[key] = least
        for suffix, (times_ms, values, quality) in _columns(METRICS[metric], groups[key], least).items():
            new = times_ms > after_ms
            column = times_ms[new], values[new], quality[new]
            point = f"{entity.partition(':')[0]} {quantity}{suffix}"
            if point in found.points:
                found.left_out.append((metric, f"tells the same as another metric of {entity}", column[0].size))
                continue
            found.points[point], found.quantity[point] = column, f"{quantity}{suffix}"
    return found


def series_name(labels: Mapping[str, str]) -> str:
    """Return a series as Prometheus writes it, who scraped it last, cut to the length of a point's name."""
    rest = sorted((name for name in labels if name != "__name__"), key=lambda name: (name in SCRAPED, name))
    inside = ",".join(f"{name}={json.dumps(labels[name], ensure_ascii=False)}" for name in rest)
    text = labels.get("__name__", "") + (f"{{{inside}}}" if inside else "")
    if len(text) <= MOST_NAME:
        return text
    return f"{text[: MOST_NAME - 9]}#{zlib.crc32(text.encode()):08x}"  # no two of them are the same


def propose(points: Mapping[str, Mapping[str, Any]], objects: Iterable[str]) -> list[Proposal]:
    """Return what points seem to be, each given with its quantity: a host goes to the rack of its name.

    Points without a quantity are told by the words of their name, as those of any table.
    """
    there = tuple(objects)
    racks = {_plain(name.rpartition("/")[2]): name for name in there if name.count("/") == 2}
    named = by_rules({point: "" for point, said in points.items() if not said.get("quantity")}, there)
    asked = list(named)
    for point, said in points.items():
        if not (quantity := str(said.get("quantity") or "")) or quantity not in QUANTITIES:
            continue
        entity, unit = point.rpartition(" ")[0], QUANTITIES[quantity].unit
        if not quantity.startswith(("accelerator_", "utilisation_", "power_")):
            asked.append(Proposal(None, point, 0.2, f"{quantity} of a served model: map it to its workload/SLUG"))
        elif (rack := racks.get(_plain(entity))) is None:
            asked.append(Proposal(None, point, 0.2, f"{quantity}, but no rack is called {entity}"))
        else:
            name = rack if quantity == "power_w" else f"{rack}/accelerators"
            asked.append(
                Proposal(MappedPoint(point, name, quantity, unit), point, 0.9, "its host is called as the rack")
            )
    return each_once(asked)


def metadata_of(found: Points) -> dict[str, dict[str, str]]:
    """Return what is kept of points: the quantity of each."""
    return {point: {"quantity": quantity} for point, quantity in found.quantity.items()}


def read_readings(path: Path, mapping: Mapping[str, MappedPoint], objects: Iterable[str]) -> Readings:
    """Read a file's readings; those that cannot be read are counted under their reason.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read at all.
    """
    found, taken, row = file_points(path), Taken(), 0
    for metric, reason, n in found.left_out:
        for _ in range(n):
            taken.refuse(0, "", metric, "", f"{metric} {reason}")
    for point, (times_ms, values, quality) in found.points.items():
        entry, unit = mapping.get(point), QUANTITIES[found.quantity[point]].unit
        for at_ms, value, good in zip(times_ms.tolist(), values.tolist(), quality.tolist(), strict=True):
            row += 1
            reason = "point not mapped" if entry is None else taken.take_number(entry, unit, at_ms, value, good)
            if reason:
                taken.refuse(row, str(at_ms), point, f"{value:.6g}", reason)
    return taken.readings()


def _columns(meaning: Meaning, series: Sequence[Series], least: int = 0) -> dict[str, Column]:
    """Return times, values and quality of what series of one object say together, by the ending of its quantity.

    A sum or mean of fewer than `least` series, or fewer than at another time, is not good.
    """
    if meaning.how == QUANTILES:
        return _quantiles(series)
    own = [_rate(times, values) if meaning.how == RATE else (times, values) for _, times, values in series]
    times = np.unique(np.concatenate([at for at, _ in own]))
    total, n = np.zeros(times.size), np.zeros(times.size, dtype=np.int64)
    for at, values in own:
        known = np.isfinite(values)
        place = np.searchsorted(times, at[known])
        total[place] += values[known]
        n[place] += 1
    some = n > 0
    values = meaning.scale * total[some] / (n[some] if meaning.how == MEAN else 1)
    quality = np.where(n[some] >= max(n.max(initial=0), least), GOOD, NOT_GOOD).astype(np.uint8)
    return {"": (times[some], values, quality)} if some.any() else {}


def _rate(times_ms: NDArray[np.int64], values: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Return a counter's growth a second at the end of each step; after a reset all that it counts has come since."""
    return times_ms[1:], _growth(values) / np.maximum(np.diff(times_ms) / 1e3, 1e-3)


def _growth(values: FloatArray) -> FloatArray:
    grown = np.diff(values)
    return np.where(grown >= 0, grown, values[1:])


def _quantiles(
    series: Sequence[Series],
) -> dict[str, Column]:
    bounds = sorted({float(labels["le"]) for labels, _, _ in series if _is_bound(labels.get("le", ""))})
    times = np.unique(np.concatenate([at[1:] for _, at, _ in series]))
    counts = np.zeros((len(bounds), times.size))
    for labels, at, values in series:
        if _is_bound(labels.get("le", "")):
            grown = np.nan_to_num(_growth(values))
            np.add.at(counts[bounds.index(float(labels["le"]))], np.searchsorted(times, at[1:]), grown)
    if len(bounds) < 2 or not np.isinf(bounds[-1]):
        return {}  # without the last bucket nobody knows how many there were
    some = counts[-1] > 0
    found = {}
    for suffix, share in (("_p50_s", 0.5), ("_p95_s", 0.95)):
        values = np.array([_quantile(bounds, column, share) for column in counts[:, some].T])
        found[suffix] = (times[some], values, np.full(int(some.sum()), GOOD, dtype=np.uint8))
    return found if some.any() else {}


def _quantile(bounds: Sequence[float], cumulative: FloatArray, share: float) -> float:
    """Return a quantile of cumulative counts by bucket, on the line inside its bucket; the last bound above them."""
    rank = share * cumulative[-1]
    i = int(np.searchsorted(cumulative, rank))
    if np.isinf(bounds[i]):
        return bounds[i - 1]
    below, start = (cumulative[i - 1], bounds[i - 1]) if i else (0.0, 0.0)
    inside = cumulative[i] - below
    return start + (bounds[i] - start) * float((rank - below) / inside if inside > 0 else 1.0)


def _is_bound(text: str) -> bool:
    try:
        return not np.isnan(float(text))
    except ValueError:
        return False


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _series(path: Path) -> Iterable[Series]:
    text = _text(path)
    try:
        answers = [json.loads(text)]
    except (ValueError, RecursionError):
        try:
            answers = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path.name} is no JSON of /api/v1/query_range, whole or one answer a line") from error
    for answer in answers:
        yield from answer_series(path.name, answer)


def answer_series(name: str, answer: Any) -> Iterable[Series]:
    """Return the series of an answer of a query.

    Raises
    ------
    ValueError
        If it is none, or says that the query failed.
    """
    if isinstance(answer, dict) and answer.get("status") == "error":
        raise ValueError(f"{name}: the query failed there: {str(answer.get('error'))[:200]}")
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("resultType") not in ("matrix", "vector"):
        raise ValueError(f"{name} is no answer of /api/v1/query_range: data.resultType must be matrix")
    for i, series in enumerate(data.get("result") or ()):
        try:
            labels = {str(key): str(value) for key, value in series["metric"].items()}
            pairs = series["values"] if "values" in series else [series["value"]]
            times = np.array([round(float(at) * 1e3) for at, _ in pairs], dtype=np.int64)
            values = np.array([float(value) for _, value in pairs])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"{name}: result[{i}] has no metric with values of time and number") from error
        order = np.argsort(times, kind="stable")
        yield labels, times[order], np.where(np.isinf(values), np.nan, values)[order]


def _text(path: Path) -> bytes:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with whole_gzip(path.name):
            text = gzip.GzipFile(fileobj=file).read(MOST_BYTES + 1) if is_packed else file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ValueError(f"{path.name} has more than {MOST_BYTES:,} bytes; ask for shorter ranges")
    return text
