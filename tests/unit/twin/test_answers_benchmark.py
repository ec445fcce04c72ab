"""The benchmark of instant answers in its quick form: what is counted, never what the clock says."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from twin.benchmarks.answers import QUICK, measure, rows
from twin.benchmarks.planners import edits_of


def test_planners_do_the_same_in_every_run_and_not_all_alike():
    edits = edits_of(3, 40, QUICK.pause_s, 100)
    assert edits == edits_of(3, 40, QUICK.pause_s, 100)
    assert edits != edits_of(4, 40, QUICK.pause_s, 100)
    assert 0 < sum(edit.hasty for edit in edits) < 20
    assert not edits[0].hasty


def test_a_benchmark_without_a_quick_form_says_so():
    with pytest.raises(CommandError, match="no quick form of the benchmark simulate; leave out --quick"):
        call_command("benchmark", "simulate", "--quick")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read in Linux's /proc")
def test_no_question_of_planners_who_edit_at_once_is_lost():
    phases, memory = measure(QUICK)
    for phase, (n_planners, n_edits) in zip(phases, QUICK.phases, strict=True):
        hasty = [edit.hasty for i in range(n_planners) for edit in edits_of(i, n_edits, QUICK.pause_s, QUICK.n_racks)]
        assert phase.ends.total() == len(hasty) == phase.n_edits, phase.refusals
        assert set(phase.ends) <= {"answered", "superseded"}, phase.refusals
        assert phase.ends["superseded"] <= sum(hasty)  # only what a newer question followed
        assert phase.page_s
    names = [row.name for row in rows(QUICK, phases, memory)]
    assert len(names) == len(set(names)) == 3 * len(phases) + len(memory)
