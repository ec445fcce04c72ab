"""A measured run of one's own beside its prediction, for the page and for programs."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.measured import MeasuredRun, beside_predictions, measured_runs

MOST_BYTES = 20 * 2**20
MOST_VALUES = 1_500_000  # a benchmark of 10,000 requests with 100 gaps each
MOST_RUNS = 200

#: Takes rows and gives them back with ids for names, and by row why a name is none.
WithIds = Callable[[list[dict[str, str]]], tuple[list[dict[str, Any]], dict[int, str]]]


def read_result(content: bytes) -> Any:
    """Return a measured run as JSON, or JSON lines as a list.

    Raises
    ------
    ValueError
        If it is too large or no JSON.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"the file has {len(content):,} bytes; at most {MOST_BYTES:,} are read")
    if (n_values := sum(map(content.count, (b",", b"[", b"{")))) > MOST_VALUES:
        raise ValueError(f"the file has {n_values:,} values; at most {MOST_VALUES:,} are read")
    text = content.decode("utf-8-sig", errors="replace").strip()
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the file is nested too deep") from error
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines] if len(lines) > 1 else [json.loads(text)]
        except (ValueError, RecursionError):
            raise ValueError(f"the file is no JSON: {str(error)[:120]}") from error


def laid_beside(
    content: Any,
    deployment: Mapping[str, Any],
    accelerators: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    with_ids: WithIds,
) -> list[dict[str, Any]]:
    """Return measured runs beside their predictions, as `compute.prediction.measured.beside_predictions`.

    Raises
    ------
    ValueError
        If the document is no measured run, or there are too many.
    """
    runs = measured_runs(content, deployment)
    if len(runs) > MOST_RUNS:
        raise ValueError(f"the document holds {len(runs)} runs; at most {MOST_RUNS} are compared at once")
    named, refused = with_ids([run.row for run in runs])
    runs = [MeasuredRun(row, run.measured, run.notes) for row, run in zip(named, runs, strict=True)]
    used = {kind: {row.get(kind) for row in named} for kind in ("accelerator", "model")}
    found = beside_predictions(
        runs,
        {name: accelerator_from_entry(entry) for name, entry in accelerators.items() if name in used["accelerator"]},
        {name: model_shape_from_entry(entry) for name, entry in models.items() if name in used["model"]},
        coefficient_set(),
    )
    for i, reason in refused.items():
        found[i] |= {"feasible": False, "reason": reason, "sentence": reason, "quantities": [], "terms": []}
    return found
