"""What the one-line diagram says adds up: loads and losses that it draws are the meter's power, and so are sources."""

import numpy as np
import pytest

from tests.unit.twin.test_generation import with_engines
from twin.core.diagrams.one_line import one_line
from twin.core.diagrams.readings import Readings
from twin.core.diagrams.rows import feed_rows, rack_rows
from twin.core.diagrams.schematic import CHARACTER_PX, Reading
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, solve_steady
from twin.core.text.numbers import GAP

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]

SAMPLES = (
    "bay-area/gb300-nvl72-pod",
    "bay-area/gb300-nvl72-pod-grid",
    "golden/gb300-nvl72",
    "golden/vera-rubin-nvl72",
    "sterling/gb200-nvl72",
    "sterling/gb300-nvl72",
    "sterling/hgx-h200",
    "sterling/vera-rubin-nvl72",
)
ISLAND = "engines without a grid"
HOURS = [DESIGN, 12, 4711]
SOURCES = ("utility", "generator", "bess")
PLAIN_W = 1e-9


@pytest.fixture(scope="module", params=[*SAMPLES, ISLAND])
def drawn(request, sample_inputs):
    """Return a sample's drawing, its solved hours, and what the drawing reads."""
    if request.param == ISLAND:
        inputs = with_engines(sample_inputs("sterling/gb200-nvl72"), island=True)
    else:
        inputs = layout_inputs(sample_inputs(request.param))
    steady = solve_steady(described(inputs), HOURS)
    drawing = one_line(feed_rows(inputs), rack_rows(inputs))
    return drawing, steady, Readings(object_tables(steady), totals(steady))


def summed(readings, wanted, row):
    return sum(readings.value(reading, row) or 0.0 for reading in wanted)


def loads(drawing):
    return [
        slot.readings[0] for n in drawing.nodes if n.kind not in ("feed", "note") for slot in n.slots if slot.readings
    ]


def test_loads_and_losses_are_the_meters_power(drawn):
    drawing, steady, readings = drawn
    feeds = [n.ids for n in drawing.nodes if n.kind == "feed"]
    losses = [Reading("feeds", ids, "loss_w", "W") for ids in feeds]
    for row, meter_w in enumerate(steady.coupled.meter_power_w):
        shown_w = summed(readings, loads(drawing), row) + summed(readings, losses, row)
        assert shown_w == pytest.approx(meter_w, rel=1e-6)


def test_sources_are_the_meters_power(drawn):
    drawing, steady, readings = drawn
    kind = {feed.id: feed.kind for feed in steady.inputs.feeds}
    gives = tuple(pk for n in drawing.nodes if n.kind == "feed" for pk in n.ids if kind[pk] in SOURCES)
    standing = np.array([kind[pk] == "bess" for pk in gives])
    for row, meter_w in enumerate(steady.coupled.meter_power_w):
        each_w = np.array([readings.value(Reading("feeds", (pk,), "power_w", "W"), row) or 0.0 for pk in gives])
        assert np.all(each_w[~standing] >= -PLAIN_W)
        assert each_w.sum() == pytest.approx(meter_w, rel=1e-6)


def test_everything_that_carries_power_is_wired(drawn):
    drawing, _, _ = drawn
    wired = {wire.key for wire in drawing.wires}
    first = min(node.x for node in drawing.nodes)
    assert {n.key for n in drawing.nodes if n.x > first} <= wired
    sources = [n for n in drawing.nodes if n.x == first and n.key not in wired]
    assert all(n.kind == "feed" for n in sources)
    assert len(sources) == 1


def test_lines_of_a_block_stay_in_it(drawn):
    drawing, steady, readings = drawn
    for row in range(len(HOURS)):
        for node in drawing.nodes:
            for slot, text in zip(node.slots, readings.shown(node, row).texts, strict=True):
                wide = len(text) - text.count(GAP) / 2
                if slot.anchor == "start":
                    assert slot.x + CHARACTER_PX * wide <= node.x + node.width, (node.title, text)
