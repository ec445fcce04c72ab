"""The proofs on hidden plants in a small form: seeded, and taken up again where a run was ended."""

import io
import json

import pytest
from django.core.management import call_command

from twin.benchmarks import fault_matrix
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


def test_faults_are_named_in_the_quick_form_of_their_proof():
    measured = quick("fault_matrix")
    assert measured["fault's object named first"]["value"] == 1.0
    assert measured["fault's kind named first"]["size"] == f"{len(fault_matrix.QUICK_KINDS)} kinds, 3 plants"
    assert measured["false alarms of a component-year"]["value"] == 0.0
    assert {row["status"] for row in measured.values()} == {"pass", "no reach"}


def test_hidden_parameters_are_found_in_the_quick_form_of_their_proof():
    measured = quick("blind_plants")
    inside = measured["hidden parameters inside, off 90 %"]
    plants, parameters = (int(words.split()[0]) for words in inside["size"].split(", "))
    assert plants == 3
    assert parameters > 100
    assert inside["value"] < 0.12  # by chance, of so few; the whole proof is held to 0.05
    assert measured["held-out return_rmse_k, worst plant"]["status"] == "pass"
    assert measured["held-out power_cv_rmse_frac, worst plant"]["status"] == "pass"


def quick(name: str) -> dict[str, dict]:
    """Return the rows of a benchmark's quick form, as its command prints them."""
    out = io.StringIO()
    call_command("benchmark", name, quick=True, json=True, stdout=out)
    return {row["name"]: row for row in json.loads(out.getvalue())}
