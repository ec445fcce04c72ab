"""The bundle for machines without internet: packed by `make bundle`, installed from nothing but itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NO_INDEX = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}  # nothing but what the command names


def ran(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not environment or not name.startswith("PIP_")}
    return subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, ("make", "git", "sha256sum"))), reason="no make, git or sha256sum")
def test_a_bundle_is_whole_and_installs_and_runs_without_any_index(tmp_path):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("no checkout, of which a bundle could be packed")
    packed = ran("make", "bundle", f"PYTHON={sys.executable}", f"DIST={tmp_path}", cwd=REPOSITORY)
    if packed.returncode and ("No matching distribution" in packed.stderr or "connection" in packed.stderr.lower()):
        pytest.skip(f"packages cannot be downloaded here: {packed.stderr.strip().splitlines()[-1][:200]}")
    assert packed.returncode == 0, packed.stderr[-3000:]
    [bundle] = tmp_path.glob("ai-factory-twin-*.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == [bundle.name, f"{bundle.name}.sha256"]
    assert ran("sha256sum", "--check", f"{bundle.name}.sha256", cwd=tmp_path).returncode == 0
    ran("tar", "-x", "-f", bundle.name, cwd=tmp_path)
    home = tmp_path / bundle.stem
    assert ran("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=home).returncode == 0
    installed = ran("make", "setup", f"PYTHON={sys.executable}", cwd=home, **NO_INDEX)
    assert installed.returncode == 0, installed.stderr[-3000:]
    settings = {"TWIN_HOME": str(tmp_path / "home"), "DJANGO_SETTINGS_MODULE": "twin.settings"}
    asked = ran(str(home / ".venv/bin/python"), "manage.py", "migrate", "--verbosity", "0", cwd=home, **settings)
    assert asked.returncode == 0, asked.stderr[-3000:]
    extra = "paho-mqtt", "pyarrow", "psycopg", "redis"
    more = ("install", "-q", "--no-index", "--find-links", "wheels", *extra)
    assert ran(str(home / ".venv/bin/pip"), *more, cwd=home, **NO_INDEX).returncode == 0
