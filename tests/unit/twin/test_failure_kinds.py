"""One table says what may fail; solver, catalogue, drills, repairs and description have what it names."""

from dataclasses import fields
from pathlib import Path

import pytest

from facility.catalogue import entries
from facility.models import PowerFeed
from power_cooling.site_arrays import UNITS_THAT_FAIL, Failures
from power_cooling.transients import loss_drills
from tests.small_inputs import small_inputs
from twin.core.failures.kinds import (
    BY_ADDRESS,
    BY_UNITS,
    FAILURE_KINDS,
    FEED_RELIABILITY,
    OF_PLANTS,
    WATER_COOLED_CHILLER,
)
from twin.core.inputs.layout import TABLES, column_names


def test_each_kind_is_one_of_the_solvers_and_the_other_way_round():
    assert set(BY_UNITS) == {*UNITS_THAT_FAIL, "feed"}
    assert len(BY_ADDRESS) == len(BY_UNITS) == len(FAILURE_KINDS)
    solved = {entry.name for entry in fields(Failures)}
    assert {f"{kind.units}_running" for kind in FAILURE_KINDS if kind.units != "feed"} <= solved
    # the kernel has plants' units as columns in the order of `Failures`
    of_plants = [name for name, (bank, _) in UNITS_THAT_FAIL.items() if bank == "plants"]
    assert [kind.units for kind in OF_PLANTS] == of_plants


@pytest.mark.parametrize("kind", FAILURE_KINDS, ids=lambda kind: kind.address)
def test_a_kind_names_fields_rates_and_drills_that_are_there(kind):
    columns = column_names(TABLES[kind.table])
    assert {name for name in (kind.count, kind.product) if name} <= set(columns)
    assert bool(kind.count) == bool(kind.product)
    assert isinstance(getattr(small_inputs(), kind.table), tuple)
    if kind.address != "feed":
        assert kind.reliability in entries("reliability")
    if kind.storage:
        assert f'"{kind.storage}"' in Path(loss_drills.__file__).read_text(encoding="utf-8")


def test_every_kind_of_feed_has_rates():
    assert set(FEED_RELIABILITY) == set(PowerFeed.Kind)
    assert {*FEED_RELIABILITY.values(), WATER_COOLED_CHILLER} <= set(entries("reliability"))
