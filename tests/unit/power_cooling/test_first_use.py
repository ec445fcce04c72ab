"""Who compiles the solvers, and who waits."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from power_cooling.first_use import FirstCall, is_cached

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "coupled" / "__pycache__").mkdir(parents=True)
    (tmp_path / "coupled" / "kernel.py").write_text("")
    return tmp_path


def test_machine_code_counts_until_a_source_is_newer(package):
    assert not is_cached(package / "coupled", "kernel.solve", package.rglob("*.py"))
    (package / "coupled" / "__pycache__" / "kernel.solve-8.py311.nbi").write_bytes(b"")
    assert is_cached(package / "coupled", "kernel.solve", package.rglob("*.py"))
    later = time.time() + 60
    (package / "part.py").write_text("")
    os.utime(package / "part.py", (later, later))
    assert not is_cached(package / "coupled", "kernel.solve", package.rglob("*.py"))


def test_machine_code_is_looked_for_where_the_compiler_was_told_to_keep_it(package, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(elsewhere))
    assert not is_cached(package / "coupled", "kernel.solve", package.rglob("*.py"))
    (elsewhere / "coupled_1").mkdir()
    (elsewhere / "coupled_1" / "kernel.solve-8.py311.nbi").write_bytes(b"")
    assert is_cached(package / "coupled", "kernel.solve", package.rglob("*.py"))


def test_another_process_waits_for_the_first_call_and_only_for_that(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    probe = (
        "import sys; from pathlib import Path; from power_cooling.first_use import FirstCall\n"
        "with FirstCall(Path(sys.argv[1])).alone(): Path(sys.argv[1], 'entered').touch()\n"
    )
    first = FirstCall(tmp_path)
    with first.alone():
        other = subprocess.Popen([sys.executable, "-c", probe, str(tmp_path)], cwd=REPOSITORY)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=1)
        assert not (tmp_path / "entered").exists()
    assert other.wait(timeout=60) == 0
    assert (tmp_path / "entered").exists()
    held = FirstCall(tmp_path)
    with held.alone():  # a later call of a process that has made its first one
        entered = threading.Event()
        threading.Thread(target=lambda: _enter(first, entered)).start()
        assert entered.wait(timeout=60)


def _enter(call: FirstCall, entered: threading.Event) -> None:
    with call.alone():
        entered.set()


def test_a_first_call_that_fails_is_not_the_last(tmp_path):
    call = FirstCall(tmp_path)
    with pytest.raises(ValueError, match="refused"), call.alone():
        raise ValueError("refused")
    assert not call._made
    with call.alone():
        pass
    assert call._made
