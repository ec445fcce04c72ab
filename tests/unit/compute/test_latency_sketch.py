"""Percentiles of a stream: within a bin of the exact ones, whatever the order in which they came."""

import numpy as np
import pytest

from compute.replay.latency_sketch import LEAST_S, MOST_S, RELATIVE_WIDTH, LatencySketch


def test_percentiles_are_within_a_tenth_of_a_percent_and_the_mean_is_exact():
    durations_s = np.random.default_rng(1).lognormal(-1.0, 1.5, 20_000)
    sketch = LatencySketch()
    for part in np.array_split(durations_s, 7):
        sketch.add(part)
    assert sketch.n == 20_000
    assert sketch.mean_s == pytest.approx(durations_s.mean(), rel=1e-12)
    for percent in (1, 50, 95, 99.9):
        exact_s = np.percentile(durations_s, percent, method="inverted_cdf")
        # half a bin, and rounding of the bin's edges
        assert sketch.percentile_s(percent) == pytest.approx(exact_s, rel=0.51 * RELATIVE_WIDTH)


def test_a_limit_is_met_by_those_at_or_below_it():
    sketch = LatencySketch()
    sketch.add([0.1, 0.2, 0.3, 0.4])
    assert sketch.at_most_frac(0.25) == 0.5
    assert sketch.at_most_frac(1.0) == 1.0
    assert sketch.at_most_frac(0.05) == 0.0


def test_what_is_shorter_or_longer_than_any_bin_is_counted_at_the_end():
    sketch = LatencySketch()
    sketch.add([0.0, 1e9])
    assert sketch.n == 2
    assert sketch.percentile_s(0) == pytest.approx(LEAST_S, rel=RELATIVE_WIDTH)
    assert sketch.percentile_s(100) == pytest.approx(MOST_S, rel=RELATIVE_WIDTH)
    assert sketch.mean_s == 5e8


def test_nothing_counted_has_no_percentiles():
    sketch = LatencySketch()
    sketch.add([])
    assert sketch.n == 0
    assert np.isnan([sketch.mean_s, sketch.percentile_s(50), sketch.at_most_frac(1.0)]).all()


def test_what_is_no_duration_or_percentage_is_refused():
    sketch = LatencySketch()
    with pytest.raises(ValueError, match="must be finite"):
        sketch.add([1.0, np.nan])
    with pytest.raises(ValueError, match="percent is 101; must be between 0 and 100"):
        sketch.percentile_s(101)
