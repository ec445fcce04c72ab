"""Parameters that differ from the description, put on a layout as the solvers read it."""

import numpy as np
import pytest

from twin.core.inputs import equipment
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.parameters import Truth
from twin.core.solve.as_operated import sensor_reads, with_parameters
from twin.core.solve.simulate import described

pytestmark = pytest.mark.django_db  # makes the database that `sample_inputs` fills, when this file runs alone
LAYOUT = "sterling/gb200-nvl72"


@pytest.mark.compiled
def test_a_parameter_changes_what_it_names_and_nothing_else(sample_inputs):
    year = described(layout_inputs(sample_inputs(LAYOUT)))
    changed = with_parameters(
        year, [Truth("cdu-group/Loop 1", "ua_frac", 0.8), Truth("feed/UPS A", "ups_loss_frac", 1.5)]
    )
    groups = equipment.cdu_groups(year.inputs)
    scale = np.where([name == "Loop 1" for name in groups], 0.8, 1.0)
    np.testing.assert_allclose(changed.site.cdus.ua_w_per_k, scale * year.site.cdus.ua_w_per_k)
    tree, before = changed.feeds.tree, year.feeds.tree
    scale = np.where([name == "UPS A" for name in before.names], 1.5, 1.0)
    np.testing.assert_allclose(tree.no_load_loss_frac, scale * before.no_load_loss_frac)
    assert changed.site.halls is year.site.halls


def test_a_sensor_reads_with_its_gain_and_bias_in_the_order_given():
    exact = np.array([10.0, 20.0])
    read = sensor_reads(exact, [Truth("a|b", "sensor_gain", 1.1), Truth("a|b", "sensor_bias", -1.0)])
    np.testing.assert_allclose(read, [10.0, 21.0])
