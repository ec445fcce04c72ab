"""What a benchmark counts as memory."""

import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from twin.benchmarks.measure import peak_bytes

HELD_BYTES = 400_000_000


@pytest.mark.slow
def test_a_child_does_not_count_its_parents_memory():
    held = np.ones(HELD_BYTES // 8)  # touched, so that it is resident
    assert peak_bytes() > HELD_BYTES
    program = "from twin.benchmarks.measure import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert 5_000_000 < int(done.stdout) < HELD_BYTES / 4
    assert held[-1] == 1
