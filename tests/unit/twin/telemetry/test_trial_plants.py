"""The proofs on hidden plants in a small form: seeded, and taken up again where a run was ended."""

import json

import pytest

from twin.benchmarks import blind_plants, fault_matrix
from twin.benchmarks.trial_plants import tried
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.predicted import rack_objects
from twin.core.telemetry.quantities import FAULTS, SENSOR_FAULTS

pytestmark = [pytest.mark.compiled, pytest.mark.django_db]  # the samples are loaded once


@pytest.fixture(scope="module")
def plants(sample_inputs):
    return lambda path, scenario: layout_inputs(sample_inputs(path, scenario))


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path):
    journal, asked = tmp_path / "deep" / "trials.jsonl", []

    def trial(kind: str, seed: int) -> dict:
        asked.append((kind, seed))
        return {"answer": seed * 2}

    first = tried(str(journal), [("a", 1), ("b", 2)], trial)
    again = tried(str(journal), [("a", 1), ("b", 2), ("c", 3)], trial)
    assert again[:2] == first == [{"key": ["a", 1], "answer": 2}, {"key": ["b", 2], "answer": 4}]
    assert asked == [("a", 1), ("b", 2), ("c", 3)]
    assert len(journal.read_text().splitlines()) == 3


def test_faults_of_every_kind_are_drawn_by_their_seed(plants):
    year = described(plants(fault_matrix.LAYOUT, fault_matrix.SCENARIO))
    serving = {name for name, pool in zip(rack_objects(year.inputs), year.rack_pool, strict=True) if pool >= 0}
    for kind in FAULTS:
        drawn = [fault_matrix.drawn(year, kind, seed) for seed in range(6)]
        assert drawn == [fault_matrix.drawn(year, kind, seed) for seed in range(6)]
        assert all(fault.object in serving for fault in drawn if fault.object.startswith("rack/"))
        assert len({fault.size for fault in drawn}) == 6
        assert all("|" in fault.object for fault in drawn) == (kind in SENSOR_FAULTS)


def test_a_fault_of_the_matrix_is_named_and_a_healthy_plant_is_not_accused(plants):
    inputs = plants(fault_matrix.LAYOUT, fault_matrix.SCENARIO)
    keys = [("bypass", 3), ("sensor_gain", 3), ("none", 3)]
    trials = tried("", keys, lambda kind, seed: fault_matrix.trial(inputs, kind, seed))
    assert [row.get("right_kind") for row in trials] == [True, True, None], trials
    rows = {row.name: row for row in fault_matrix.rows({"trials": json.loads(json.dumps(trials)), "objects": 100})}
    assert rows["fault's object named first"].value == 1.0
    assert rows["false alarms of a component-year"].value == 0.0
    assert {row.status for row in rows.values()} == {"pass", "no reach"}


def test_a_hidden_plant_is_found_again_by_its_seed(plants):
    path, scenario, season = blind_plants.PLANTS[0]
    inputs = plants(path, scenario)
    trial = blind_plants.trial(inputs, season, 5)
    assert trial == blind_plants.trial(inputs, season, 5)
    rows = list(blind_plants.rows([trial]))
    inside, n = (sum(of[i] for of in trial["inside"].values()) for i in (0, 1))
    assert n > 40
    assert inside / n > 0.75
    assert rows[0].value == pytest.approx(abs(inside / n - 0.9))
    assert trial["return_rmse_k"] < 0.3
