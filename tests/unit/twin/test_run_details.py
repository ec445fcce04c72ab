"""What a run keeps beside its figures: stored and opened by one declared shape, also of older runs."""

import json
from dataclasses import dataclass

import pytest

from tests.full_run import details
from twin.core.results.details import CapacityLevel, RunDetails, run_details
from twin.core.text.json_rows import as_json, read_row


def test_what_is_stored_is_read_back_the_same():
    kept = run_details(details())
    assert run_details(json.loads(json.dumps(as_json(kept)))) == kept
    assert kept.per_workload[0].sessions_peak == 2150.0
    assert kept.availability.capacity_distribution[1] == CapacityLevel(0.5, 0.001, 9.0)
    assert kept.drills[0].is_loss  # came later than the first drills, which were all losses


def test_a_run_that_kept_nothing_and_one_from_the_first_version_open():
    assert run_details(None) == run_details({}) == RunDetails()
    first = {"availability": {"groups": []}, "economiser_hours": 4100.0, "throttled_hours": None, "rent": None}
    opened = run_details(first)
    assert opened.economiser_hours == {"": 4100.0}  # of the site, before they were told by plant
    assert opened.availability.groups == ()
    assert opened.rent.usd_per_hour is None


def test_what_a_later_version_adds_is_left_out():
    assert run_details({"throttled_hours": 3.0, "not_known_yet": [1]}).throttled_hours == 3.0


def test_a_row_without_what_every_version_had_is_refused_by_its_place():
    with pytest.raises(ValueError, match=r"details\.limits\[1\] has no value, limit"):
        run_details(
            {
                "limits": [
                    {"object": "UPS", "kind": "load", "value": 1, "limit": 2, "unit": "W"},
                    {"object": "UPS", "kind": "load", "unit": "W"},
                ]
            }
        )


@dataclass(frozen=True, slots=True)
class Part:
    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    by_id: dict[int, Part]
    spare: Part | None
    names: tuple[str, ...] = ()


def test_mappings_options_and_tuples_of_rows_are_read_by_their_types():
    read = read_row(Whole, {"by_id": {"7": {"name": "UPS"}}, "spare": None, "names": ["a"]})
    assert read == Whole({7: Part("UPS")}, None, ("a",))
    assert read_row(Whole, {"by_id": {}, "spare": {"name": "x"}}).spare == Part("x")
    with pytest.raises(ValueError, match=r"by_id\.7 has no name"):
        read_row(Whole, {"by_id": {"7": {}}, "spare": None})
