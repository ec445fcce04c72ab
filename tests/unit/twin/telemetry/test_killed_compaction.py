"""A compaction that is really killed in its middle: nothing is lost, nothing is there twice, the next one ends it."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
N_POINTS, N_DAYS, PER_DAY = 8, 2, 24
PREPARE = f"""
import django; django.setup()
import numpy as np
from django.core.management import call_command
call_command("migrate", verbosity=0)
from facility.models import Site
from tests.small_site import small_layout
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.telemetry import store
site = small_layout().site
times = 20_635 * 86_400_000 + 3_600_000 * np.arange({N_DAYS * PER_DAY})
for i in range({N_POINTS}):
    point = MappedPoint(f"cdu/C{{i}}|power_w", f"cdu/C{{i}}", "power_w")
    columns = (times, np.arange(times.size) + 1000.0 * i, np.ones(times.size, np.uint8))
    assert store.append(site, Readings({{point: columns}})) == (times.size, 0)
"""
#: Writes half of the days, says so, and waits to be killed.
HALF_WAY = """
import sys, time
import django; django.setup()
from facility.models import Site
from twin.telemetry import compaction
compaction._ROWS, write = 8, compaction._write_days
def write_and_wait(groups):
    write(groups)
    print("half way", flush=True)
    time.sleep(600)
compaction._write_days = write_and_wait
compaction.compact(Site.objects.get())
"""
READ = """
import json
import django; django.setup()
from facility.models import Site
from twin.telemetry import store
found = store.read(Site.objects.get(), 0, 2**41)
print(json.dumps({key[0]: values.tolist() for key, (_, values, _) in found.items()}))
"""


@pytest.fixture
def run(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    environment = kept | {"TWIN_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "twin.settings"}

    def start(*command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )

    return start


def ended(process: subprocess.Popen) -> str:
    told, _ = process.communicate(timeout=150)
    assert process.returncode == 0
    return told


def counts(home: Path) -> tuple[int, int, int]:
    """Return hot readings, days and their readings, as the database has them."""
    with sqlite3.connect(home / "twin.sqlite3") as database:
        (hot,) = database.execute("SELECT coalesce(sum(n_readings), 0) FROM twin_telemetryhot").fetchone()
        days = database.execute("SELECT count(*), coalesce(sum(n_readings), 0) FROM twin_telemetryday").fetchone()
    return (hot, *days)


@pytest.mark.slow
def test_kill_9_in_the_middle_of_compaction_loses_nothing(run, tmp_path):
    n = N_POINTS * N_DAYS * PER_DAY
    ended(run("-c", PREPARE))
    assert counts(tmp_path) == (n, 0, 0)
    half = run("-c", HALF_WAY)
    assert half.stdout.readline() == "half way\n"
    os.kill(half.pid, signal.SIGKILL)
    assert half.wait(timeout=60) == -signal.SIGKILL
    half.stdout.close()
    assert counts(tmp_path) == (n, 0, 0)
    before = ended(run("-c", READ))
    assert f"small: {n:,} readings compacted" in ended(run("manage.py", "compact_telemetry"))
    assert counts(tmp_path) == (0, N_POINTS * N_DAYS, n)
    assert ended(run("-c", READ)) == before
