"""The closed form of agentic sessions against a replay of recorded ones."""

import pytest

from twin.validation import sessions

pytestmark = [pytest.mark.slow, pytest.mark.compiled]


def test_recorded_sessions_are_met_in_cache_hits_speed_and_load(data_dir, monkeypatch):
    if not (data_dir / "traces" / sessions.RECORDED).is_file():
        pytest.skip(f"no {sessions.RECORDED}")
    monkeypatch.setattr(sessions, "DEPLOYMENTS", sessions.DEPLOYMENTS[:1])
    monkeypatch.setattr(sessions, "LOADS", sessions.LOADS[1:] * 2)
    rows = list(sessions.checks(data_dir))
    assert [row.status for row in rows] == ["pass"] * 3
    found, itl, in_service = rows
    assert found.reach <= 0.01
    assert itl.reach <= 0.12
    assert in_service.reach <= 0.1


def test_recorded_sessions_ask_for_what_their_readme_says(data_dir):
    path = data_dir / "traces" / sessions.RECORDED
    if not path.is_file():
        pytest.skip(f"no {sessions.RECORDED}")
    workload, n = sessions.recorded_workload(path)
    assert n == 710
    assert workload.cached_frac == pytest.approx(0.963, abs=5e-4)
    assert workload.input_tokens == pytest.approx(122_379, rel=1e-4)
    assert workload.sessions.requests == pytest.approx(69.5, rel=1e-2)
    assert sorted(workload.sessions.pause_s)[32] == pytest.approx(10.0, rel=0.1)  # median


def test_without_the_recording_the_check_says_so(tmp_path):
    (row,) = sessions.checks(tmp_path)
    assert row.status == "skipped"
    assert sessions.RECORDED in row.note
