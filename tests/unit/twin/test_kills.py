"""The benchmark of kills: what it counts as lost or doubled, and a short one whose counts are equal."""

from collections import Counter

import pytest

from twin.benchmarks import kills
from twin.benchmarks.kills import Log, Records, rows

POINT = "workload/w0|output_tokens_per_s"


def records(**changed) -> Records:
    """Return an installation on which all went well, but for what is changed in what was found."""
    log = Log(edits={7: [0.0015, 0.0016]}, keys=["0-1", "0-2"], points={POINT: {1000: 5.0, 2000: 6.0}})
    log.n_sent, log.n_stored, log.n_refused = 3, 2, 1
    found = {
        "edits": {"7": [0.0015, 0.0016]},
        "flows": {"7": 0.0016},
        "runs": [["0-1", "done", "", "aa", "r1"], ["0-2", "done", "", "aa", "r2"]],
        "points": {POINT: [[1000, 2000], [5.0, 6.0]]},
    }
    done = changed.pop("done", {"r1": 1, "r2": 1})
    return Records("embedded", Counter(serve=2), log, found | changed, Counter(done))


def missed(**changed) -> dict[str, float]:
    return {row.name.removeprefix("kills: "): row.value for row in rows(records(**changed)) if row.status == "miss"}


def run(key: str = "0-2", status: str = "done", message: str = "", digest: str = "aa") -> list[list[str]]:
    return [["0-1", "done", "", "aa", "r1"], [key, status, message, digest, "r2"]]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {}),
        ({"edits": {"7": [0.0016]}}, {"edits lost": 1}),
        ({"flows": {"7": 0.0015}}, {"edits lost": 1}),
        ({"edits": {"7": [0.0015, 0.0015, 0.0016]}}, {"edits done twice": 1}),
        ({"runs": run()[:1]}, {"runs not made once": 1}),
        ({"runs": [*run(), run()[1]]}, {"runs not made once": 1}),
        ({"runs": [*run(), ["0-3", "done", "", "aa", "r3"]]}, {"runs not made once": 1}),
        ({"runs": run(status="running", digest="")}, {"runs not ended": 1}),
        ({"runs": run(status="failed", message="No plant.", digest="")}, {"runs not ended": 1}),
        ({"runs": run(status="failed", message="Its worker ended 3 times.", digest="")}, {}),
        ({"runs": run(digest="bb")}, {"results that differ": 1}),
        ({"done": {"r1": 2}}, {"runs ended twice": 1}),
        ({"points": {POINT: [[1000], [5.0]]}}, {"readings lost or changed": 2}),
        ({"points": {POINT: [[1000, 2000], [5.0, 7.0]]}}, {"readings lost or changed": 1}),
    ],
)
def test_what_was_lost_or_done_twice_is_a_miss(changed, expected):
    assert missed(**changed) == expected


@pytest.mark.slow
@pytest.mark.compiled
def test_processes_killed_at_random_lose_nothing_and_double_nothing(capsys):
    found = {row.name: row for row in kills.quick_benchmarks(seed=3)}
    assert {name: row.note for name, row in found.items() if row.status == "miss"} == {}
    assert found["kills: processes killed"].value == 4
    assert capsys.readouterr().err.count("kill ") == 4
