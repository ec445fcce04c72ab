"""What an accelerator costs to build and to own, beside what is published of it."""

from pathlib import Path

import pytest

from facility.catalogue import entries
from twin.core.results import capital, economics
from twin.validation import money

#: Regions whose cost we and the only public guide of them take from one survey.
SAME_SURVEY = {f"facility in {slug}" for slug in ("germany", "united-kingdom", "singapore")}
FOUND = {check.check: check for check in money.checks(Path())}


@pytest.mark.parametrize("name", FOUND)
def test_what_building_and_owning_cost_is_as_published(name):
    assert FOUND[name].status == "pass" or name in SAME_SURVEY, FOUND[name].note


def test_costs_out_of_the_same_survey_judge_nothing():
    assert {name for name, check in FOUND.items() if check.status == "skipped"} == SAME_SURVEY
    for name in SAME_SURVEY:
        assert "set beside, not judged" in FOUND[name].note
        assert FOUND[name].value > 0


def test_a_region_is_judged_by_a_survey_that_ours_does_not_come_from():
    assert "Turner & Townsend" in entries("facility_capex")["tt_tokyo"]["source"]
    assert "Cushman & Wakefield" in FOUND["facility in japan"].note


def test_owning_costs_less_an_hour_than_renting_and_more_than_its_energy():
    for slug in money.PUBLISHED:
        assert 0.3 < FOUND[f"{slug}, owning over rent"].value < 1
        assert FOUND[f"{slug}, cost of owning"].value > 1.0  # energy alone is some 0.1 USD/h


def test_a_catalogue_without_an_assumption_is_refused_by_its_name():
    finance = dict(entries("finance"))
    finance.pop("inflation")
    usual = entries("facility_capex")[capital.US_ROW]
    with pytest.raises(ValueError, match="no financial assumption inflation"):
        economics.prices_by_facts(finance, entries("regions")["us-average"], usual, usual)
