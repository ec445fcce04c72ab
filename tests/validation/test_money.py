"""What an accelerator costs to build and to own, beside what is published of it."""

from pathlib import Path

import pytest

from facility.catalogue import entries
from twin.core.results import capital, economics
from twin.validation import money

FOUND = {check.check: check for check in money.checks(Path())}


@pytest.mark.parametrize("name", FOUND)
def test_what_building_and_owning_cost_is_as_published(name):
    assert FOUND[name].status == "pass", FOUND[name].note


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
