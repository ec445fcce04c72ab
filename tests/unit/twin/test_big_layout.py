"""The layouts that speed is measured on are what they say."""

import pytest

from facility.models import Rack
from tests.shipped import CATALOGUE, load_shipped
from twin.benchmarks.big_layout import big_layout


@pytest.fixture
def catalogue(db):
    load_shipped(CATALOGUE)


def kinds(layout) -> set[tuple]:
    fields = ["hall_id", "product_id", "load_share", "coolant_flow_m3_per_s", "cdu_id", "feed_a_id", "feed_b_id"]
    return set(Rack.objects.filter(hall__layout=layout).values_list(*fields))


def test_racks_of_four_classes_are_of_four_kinds(catalogue):
    layout, scenario = big_layout(200, n_classes=4)
    assert Rack.objects.filter(hall__layout=layout).count() == 200
    assert len(kinds(layout)) == 4
    assert scenario.site == layout.site


def test_racks_that_all_differ_do(catalogue):
    layout, _ = big_layout(100, n_classes=None)
    assert len(kinds(layout)) == 100


def test_a_size_that_fills_no_hall_is_refused(db):
    with pytest.raises(ValueError, match="n_racks is 150; must be a multiple of 100"):
        big_layout(150, n_classes=None)
