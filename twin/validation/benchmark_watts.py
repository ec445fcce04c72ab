"""Accelerator watts against medians of public benchmark runs, which say how watts rise with load and little else.

The medians are over the runs of InferenceX that state energy: aggregated serving, prompts of up to 8,192 tokens. Which
runs these were is not published with them; the measured cases of the same source stand for them, those of the closest
accelerator where it has none of its own.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.power_fit import PUBLISHED_DRIVE_LOG
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from facility.catalogue import entries
from twin.validation.check import Check, at_most, skipped

GROUP = "serving"
REACH = 0.15  # of the medians' mean relative error; no reach in the plan
IN_FLIGHT = ((1, 2), (4, 8), (16, 32), (64, 128), (256, np.inf))
# accelerator -> median watts by requests in flight, and the accelerator whose cases stand for the runs
MEDIANS_W = {
    "h200-sxm": ((311, 409, 514, 561, 556), "h200-sxm"),
    "b200-sxm": ((532, 555, 691, 814, 875), "b200-sxm"),
    "mi355x": ((443, 532, 700, 819, 848), "b200-sxm"),
}
LONGEST_PROMPT = 8192


def checks(data: Path) -> Iterator[Check]:
    """Yield one row per accelerator."""
    path = data / "serving" / "cases.csv"
    if not path.is_file():
        yield skipped("median watts of public benchmark runs", GROUP, [path])
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file) if _is_alike(row)]
    for name, (medians_w, stand_in) in MEDIANS_W.items():
        yield _check(name, medians_w, [_moved(row, name) for row in rows if row["accelerator"] == stand_in])


def _is_alike(row: Mapping[str, str]) -> bool:
    return row["source"].startswith("InferenceX") and float(row["input_tokens"]) <= LONGEST_PROMPT


def _moved(row: Mapping[str, str], accelerator: str) -> dict[str, str]:
    if row["accelerator"] == accelerator:
        return dict(row)
    return {**row, "accelerator": accelerator, "engine": "vllm" if "trt" in row["engine"] else row["engine"]}


def _check(accelerator: str, medians_w: Sequence[float], rows: Sequence[Mapping[str, str]]) -> Check:
    answers = predict_rows(
        rows,
        {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
        {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
        coefficient_set(),
    )
    errors, details = [], []
    for (least, most), measured_w in zip(IN_FLIGHT, medians_w, strict=True):
        watts = [
            answer["accelerator_power_w"]
            for row, answer in zip(rows, answers, strict=True)
            if answer["feasible"] and least <= float(row["concurrency"]) <= most
        ]
        if watts:
            errors.append(abs(np.median(watts) / measured_w - 1.0))
            details.append(f"{np.median(watts):.0f} of {measured_w} W")
    if accelerator in PUBLISHED_DRIVE_LOG:
        details.append("set by one number from these medians")
    name, note = f"median watts of public benchmark runs by load, {accelerator}", f"{', '.join(details)}; mean stated"
    return at_most(name, GROUP, len(errors), float(np.mean(errors)) if errors else np.nan, REACH, "relative", note)
