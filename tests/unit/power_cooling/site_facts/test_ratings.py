"""What a rack draws and a feed carries by its data sheets, and who asks for it."""

import numpy as np
import pytest

from facility.models import Rack
from facility.views.parts import rated_w
from power_cooling.site_facts.ratings import continuous_rating_w, nameplate_w
from tests.small_site import new_rack, product, small_layout
from twin.core.inputs.equipment import rack_table
from twin.core.rules.design_load import rack_design
from twin.floor.rows import read_floor
from twin.runs.snapshot import description


def test_a_rack_draws_its_systems_and_what_else_is_in_it():
    assert nameplate_w({"max_power_w": 10e3}, 4, 500.0) == 40.5e3
    assert nameplate_w({"max_power_w": None}, 1, 500.0) == nameplate_w({}, 0, 500.0) == 500.0


@pytest.mark.parametrize(
    ("facts", "rating_w"),
    [
        ({"rating_va": 1e6, "output_power_factor": 0.9, "rating_w": 5.0}, 0.9e6),
        ({"rating_va": 1e6}, 1e6),
        ({"power_w": 3.0, "continuous_w": 2.0}, 2.0),
        ({}, None),
    ],
)
def test_a_feed_carries_what_its_sheet_says_it_does_continuously(facts, rating_w):
    assert continuous_rating_w(facts) == rating_w


@pytest.mark.django_db
def test_every_reader_of_a_rack_has_the_same_nameplate():
    layout = small_layout()
    product("accelerators", "h200-sxm")
    new_rack(
        layout, name="A", product=product("systems", "dgx-h200"), n_systems=4, other_power_w=900.0, cdu=None
    ).save()
    new_rack(layout, name="B", x_m=5.0, product=None, n_systems=1, other_power_w=14e3, cdu=None).save()
    inputs = description(layout)
    design = rack_design(inputs)
    lists = [rated_w(rack) for rack in Rack.objects.filter(hall__layout=layout).order_by("name")]
    assert lists == [4 * 10200.0 + 900.0, 14e3]
    np.testing.assert_array_equal(read_floor(layout).rated_power_w(), lists)
    np.testing.assert_array_equal(design.power_w + design.saved_w, lists)
    np.testing.assert_array_equal(rack_table(inputs).nameplate_w, lists)
