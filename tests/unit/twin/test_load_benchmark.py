"""The benchmark of load: what planners do follows from a seed, what they met becomes rows."""

from collections import Counter
from itertools import islice

import pytest

from twin.benchmarks import load
from twin.benchmarks.load import FULL, QUICK, Log, rows, steps


def test_planners_do_the_same_in_every_run_in_the_stated_shares():
    first = list(islice(steps(3, FULL), 20_000))
    assert first == list(islice(steps(3, FULL), 20_000))
    assert first[:50] != list(islice(steps(4, FULL), 50))
    kinds = Counter(kind for _, kind, _ in first)
    for kind, share in load.SHARES.items():
        assert kinds[kind] / len(first) == pytest.approx(share, abs=0.01)
    assert sum(think_s for think_s, _, _ in first) / len(first) == pytest.approx(load.THINK_S, rel=0.05)
    assert sum(load.SHARES.values()) == pytest.approx(1.0)


def test_what_planners_met_becomes_rows_with_errors_and_lost_edits_held_to_none():
    log = Log(page_s=[0.1] * 95 + [0.9] * 5, answer_s=[0.4, 1.4], ends=Counter(read=100, edited=2))
    log.error("page", 500, b"oops")
    told = {
        "wall_s": 40.0,
        "where": "postgres and redis",
        "cpu_s": {"web": 3.0, "solver": 4.0},
        "generator_s": 1.0,
        "lost": 0,
        "runs": {"done": 3},
        "alone_s": {"site": 0.01, "plan": 0.02, "run": 0.04},
    }
    found = {row.name: row for row in rows(QUICK, log, told)}
    assert found["load: page, p50"].value == pytest.approx(0.1)
    assert found["load: errors"].status == "miss"
    assert "page: 500" in found["load: errors"].note
    assert found["load: lost edits"].status == "pass"
    assert found["load: edit to answer, p95"].status == "miss"
    assert found["load: CPU of a page, median of pages"].value == 0.02
    assert "generator 1.0" in found["load: page, p95"].note
    assert "postgres and redis" in found["load: page, p95"].size


def test_the_installation_is_the_embedded_one_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("TWIN_LOAD_DATABASE_URL", raising=False)
    monkeypatch.delenv("TWIN_LOAD_BROKER_URL", raising=False)
    environment, where = load._installation(str(tmp_path))
    assert (environment["TWIN_HOME"], where) == (str(tmp_path), "embedded database and broker")
    monkeypatch.setenv("TWIN_LOAD_DATABASE_URL", "postgres://x@h/n")
    environment, where = load._installation(str(tmp_path))
    assert (environment["DATABASE_URL"], where) == ("postgres://x@h/n", "postgres")
