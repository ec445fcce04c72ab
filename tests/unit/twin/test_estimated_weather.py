"""What a run in an estimated year says: wider bands, an assumption of its own confidence, and a caution."""

import copy
from dataclasses import replace

import pytest

from twin.core.inputs.layout import layout_inputs
from twin.core.results import figures
from twin.core.results.assumptions import assumptions
from twin.core.results.details import WEATHER, RunDetails
from twin.core.solve.estimate import instant_answer
from twin.core.solve.simulate import described

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def stored(sample_inputs):
    return sample_inputs("sterling/gb200-nvl72", "agents")


def of(stored, confidence):
    changed = copy.deepcopy(stored)
    changed["weather"]["confidence"] = confidence
    return layout_inputs(changed)


def width(band):
    return band[1] / band[0]


@pytest.mark.compiled
def test_estimated_weather_widens_the_bands_of_what_depends_on_it_and_no_other(stored):
    typical, estimated = (
        instant_answer(described(of(stored, confidence))).bands for confidence in ("published", "estimated")
    )
    for name in ("pue", "tokens_per_joule", "mean_power_w"):
        assert width(estimated[name]) > width(typical[name]), name
    assert "wue_l_per_kwh" not in typical
    for name in ("ttft_p95_s", "output_tokens_per_s"):
        assert estimated[name] == typical[name]


def test_the_band_of_weather_is_nothing_where_it_was_measured(stored):
    for confidence in ("published", "entered"):
        assert set(figures.weather_log_bands(of(stored, confidence).weather).values()) == {0.0}
    assert min(figures.weather_log_bands(of(stored, "estimated").weather).values()) > 0


def test_the_weather_is_an_assumption_of_its_own_confidence_and_estimated_weather_a_caution(stored):
    for confidence in ("published", "entered", "estimated"):
        rows = assumptions(of(stored, confidence), set(), set(), set())
        (row,) = [row for row in rows if row.field == WEATHER]
        assert row.confidence == confidence
        caution = replace(RunDetails(), assumptions=tuple(rows)).weather_caution
        assert (confidence == "estimated") == (row.object in caution)


def test_a_run_of_before_has_weather_that_was_published(stored):
    older = copy.deepcopy(stored)
    del older["weather"]["confidence"]
    assert layout_inputs(older).weather.confidence == "published"
