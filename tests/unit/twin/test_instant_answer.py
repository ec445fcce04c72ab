"""The instant answer against a whole year of the same layout, and what it remembers between edits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from twin.core.inputs.layout import layout_inputs
from twin.core.results import figures
from twin.core.solve import estimate as instant_answer
from twin.core.solve.simulate import described, solve
from twin.core.solve.solve_cache import content_key, remembered
from twin.core.solve.year_estimate import N_SOLVED, accelerator_watts, hour_space
from twin.core.solved import year_of

SAMPLES = [("sterling", "gb200-nvl72", "agents"), ("sterling", "hgx-h200", "assistants")]

pytestmark = pytest.mark.django_db  # makes the database that `inputs` fills, when this file runs alone


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    """Return snapshots of samples by name."""
    return {name: sample_inputs("/".join(name[:2]), name[2]) for name in SAMPLES}


@pytest.mark.compiled
@pytest.mark.parametrize("name", SAMPLES)
def test_figures_are_close_to_those_of_a_year(inputs, name):
    quick = instant_answer.instant_answer(described(layout_inputs(inputs[name])))
    solved = year_of(solve(layout_inputs(inputs[name]), lambda stage, frac: None))
    served = figures.served_in(solved)
    exact = figures.figures_of_merit(solved, served)
    # What the answer itself promises; measured on all samples, the worst errors are half of these.
    for figure, rel in (
        ("mean_power_w", 1e-3),
        ("tokens_per_joule", 1.5e-3),
        ("peak_power_w", 2e-3),
        ("cost_per_million_output_tokens_usd", 1e-4),
        ("ttft_p95_s", 1e-3),
        ("output_tokens_per_s", 1e-6),
    ):
        assert quick.figures[figure] == pytest.approx(exact[figure], rel=rel), figure
    for figure, absolute in (("pue", 1e-3), ("availability_frac", 1e-4), ("utilisation_frac", 1e-4)):
        assert quick.figures[figure] == pytest.approx(exact[figure], abs=absolute), figure
    bands = figures.bands(solved, served, exact)
    assert set(quick.bands) == set(bands)
    assert quick.bands["tokens_per_joule"] == pytest.approx(bands["tokens_per_joule"], rel=2e-3)


def test_solved_hours_cover_the_year(inputs):
    year = described(layout_inputs(inputs[SAMPLES[0]]))
    space = hour_space(year)
    assert space.solved.size == np.unique(space.solved).size == N_SOLVED
    busy, hot = accelerator_watts(year), year.weather.dry_bulb_degc
    assert busy[space.solved].max() == busy.max()
    assert hot[space.solved].max() == hot.max()
    # a plane through load and weather is met exactly, everywhere
    plane = space.points @ np.array([[3.0], [-2.0], [0.5]]) + 7.0
    np.testing.assert_allclose(
        space.spread(plane[space.solved]),
        np.clip(plane, plane[space.solved].min(), plane[space.solved].max()),
        atol=1e-9,
    )


@pytest.mark.compiled
def test_a_year_without_weather_or_load_changes_is_its_only_hour(inputs):
    year = described(layout_inputs(inputs[SAMPLES[0]]))
    same = replace(
        year,
        weather=type(year.weather)(
            *(
                np.full(48, values[0])
                for values in (year.weather.dry_bulb_degc, year.weather.humidity_ratio, year.weather.pressure_pa)
            )
        ),
        pools=[
            replace(pool, **dict.fromkeys(("demand_per_s", "work_per_s"), np.full(48, pool.demand_per_s[9])))
            for pool in year.pools
        ],
    )
    estimated, steady = instant_answer.estimated_year(same)
    np.testing.assert_allclose(estimated.power.meter_power_w, steady.coupled.meter_power_w[0], rtol=1e-9)


def test_only_what_is_the_same_is_remembered():
    calls = []

    def solve_it(values, *, scale=1.0):
        calls.append(1)
        return values.sum() * scale

    solved = remembered(solve_it, most=2)
    one, other = np.arange(3.0), np.arange(3.0)
    assert solved(one) == solved(other) == 3.0
    assert len(calls) == 1
    other[0] = 1.0
    assert solved(other) == 4.0
    assert solved(one, scale=2.0) == 6.0
    assert len(calls) == 3
    solved(one)  # two newer ones have pushed it out
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2), np.zeros(2, np.int64)),
        (("a", "b"), ("ab",)),
        (None, "None"),
        ([1, [2]], [1, 2]),
    ],
)
def test_different_contents_have_different_keys(one, other):
    assert content_key(one) != content_key(other)


def test_an_hour_without_a_solution_counts_as_the_mean_of_the_others_and_a_year_without_one_as_nothing():
    n_pools = 1
    names = {name: np.array([1.0, np.nan, 3.0]) for name in instant_answer.NAMES[:-2]}
    names |= {name: np.full((3, n_pools), np.nan) for name in instant_answer.NAMES[-2:]}
    table = instant_answer._columns(SimpleNamespace(**names))
    np.testing.assert_array_equal(table[:, 0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(table[:, -1], 0.0)
