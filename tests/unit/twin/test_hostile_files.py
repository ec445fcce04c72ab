"""Every reader of foreign bytes answers the worst files of its format in a sentence; `benchmark hostile_files` says
what they cost at full size."""

import pytest

from facility.api.problems import Fault
from twin.benchmarks.hostile_files import READERS, files

SHARE = 0.02
SLOW = {"trace"}  # its bomb is unpacked up to the bound


@pytest.mark.parametrize(
    "reader", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in READERS]
)
def test_the_worst_files_are_read_or_refused_in_a_sentence(reader):
    read = READERS[reader][0]
    said = {}
    for name, content in files(reader, SHARE):
        try:
            read(content)
        except (ValueError, Fault) as refusal:
            said[name] = str(refusal)
    assert len(said) >= 2
    assert all(said.values()), said
