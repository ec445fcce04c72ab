"""Plants whose truth is hidden from what is tried on them: parameters and faults drawn, readings made of them."""

import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command
from django.db import connection
from numpy.typing import NDArray

from facility.models import Layout
from power_cooling.site_arrays import FloatArray
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.parameters import Truth
from twin.core.telemetry.publish import Fault, Noise, Published, publish, usual_noise
from twin.runs import snapshot

Measured = dict[tuple[str, str], tuple[NDArray[np.int64], FloatArray, NDArray[np.uint8]]]

START_S = {"summer": 1_782_864_000.0, "winter": 1_768_435_200.0}  # 2026-07-01 and 2026-01-15, UTC
STEP_S = 3600.0
MISSING_FRAC = 0.03


def sample(path: str, scenario: str) -> LayoutInputs:
    """Return a sample layout under a scenario, out of this process's database; loaded where it is not there."""
    site, _, slug = path.partition("/")
    if not connection.introspection.table_names():
        call_command("migrate", verbosity=0)
        for command in ("load_catalogue", "load_samples"):
            call_command(command, stdout=io.StringIO())  # a benchmark's process says JSON there, and nothing else
    layout = Layout.objects.select_related("site").get(site__slug=site, slug=slug)
    return snapshot.inputs_now(layout, layout.site.scenarios.get(slug=scenario))


def readings(
    inputs: LayoutInputs,
    *,
    season: str,
    hours: float,
    seed: int,
    truths: Iterable[Truth] = (),
    faults: Iterable[Fault] = (),
) -> tuple[Measured, dict[str, float], Published]:
    """Return what the sensors of such a plant read, with usual noise and gaps; its span; and what was published."""
    start_s = START_S[season]
    noise = {name: Noise(entry.sigma, 0.0, MISSING_FRAC) for name, entry in usual_noise(1.0).items()}
    published = publish(
        inputs,
        start_s=start_s,
        offset_s=0.0,
        hours=hours,
        step_s=STEP_S,
        noise=noise,
        truths=tuple(truths),
        faults=tuple(faults),
        seed=seed,
    )
    times = np.round(published.times * 1e3).astype(np.int64)
    measured = {}
    for key, values in published.points.items():
        known = np.isfinite(values)
        measured[key] = (times[known], values[known], np.ones(int(known.sum()), np.uint8))
    return measured, {"start_s": start_s, "end_s": start_s + hours * 3600.0, "offset_s": 0.0}, published


def tried(journal: str, keys: Iterable[tuple[Any, ...]], trial: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trial of each key; those that an earlier run has written to the journal are not tried again."""
    path = Path(journal) if journal else None
    known: dict[str, dict[str, Any]] = {}
    if path and path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            known[json.dumps(row["key"])] = row
    found = []
    for key in keys:
        spelled = json.dumps(list(key))
        if spelled not in known:
            known[spelled] = {"key": list(key), **trial(*key)}
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[spelled]) + os.linesep)
        found.append(known[spelled])
    return found
