"""An installation of its own for tests of what replaces or moves whole databases: a TWIN_HOME with a solved run.

Run as a program it does what its argument says in the installation that the environment names, and prints JSON.
"""

import hashlib
import json
import sys
from typing import Any

import django
import numpy as np


def made() -> dict[str, Any]:
    """Return what there is after a site, a user and a run that was really solved."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from tests.small_run import small_scenario
    from twin.comparisons import sharing
    from twin.core.telemetry.readings import MappedPoint, Readings
    from twin.operations import move
    from twin.runs import execution
    from twin.telemetry import store

    call_command("migrate", verbosity=0)
    call_command("load_catalogue", verbosity=0)
    layout, scenario = small_scenario()
    user = get_user_model().objects.create_superuser("boss", password="x")
    runs = [execution.run_now(layout=layout, scenario=scenario) for _ in range(2)]
    sharing.comparison_create(runs=runs, user=user)
    meter = MappedPoint("meter", "site", "power_w", "W")
    for i in range(move.STEP + 5):  # rows that wait for compaction, more than one step of a move
        columns = (np.array([1_796_050_800_000 + 1000 * i]), np.array([5e5 + i]), np.ones(1, np.uint8))
        store.append(layout.site, Readings(points={meter: columns}))
    return told()


def told() -> dict[str, Any]:
    """Return a digest over all rows, and the figures of the newest run as stored and as solved again."""
    from django.db import DEFAULT_DB_ALIAS

    from twin.core.solve import simulate
    from twin.core.text.json_numbers import without_nan
    from twin.models import Comparison, Run
    from twin.operations import backup, move
    from twin.runs import snapshot

    run = Run.objects.order_by("created_at").last()
    rows = backup.row_counts()
    digests = hashlib.sha256()
    for kind in (Run, *move.LONG, Run.layout.field.related_model, Comparison.runs.through):
        digests.update(repr(move._digest(kind, DEFAULT_DB_ALIAS)).encode())
    again = without_nan(simulate.simulate(snapshot.inputs_stored(run.inputs)).figures)
    return {"rows": rows, "digest": digests.hexdigest(), "status": run.status, "figures": run.figures, "again": again}


def spoiled() -> dict[str, Any]:
    """Lose a site with its runs, as by a wrong click."""
    from facility.models import Site

    Site.objects.all().delete()
    return {}


if __name__ == "__main__":
    django.setup()
    print(json.dumps({"made": made, "told": told, "spoiled": spoiled}[sys.argv[1]]()))  # noqa: T201
