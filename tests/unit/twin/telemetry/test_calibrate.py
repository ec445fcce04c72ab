import numpy as np
import pytest

from twin.core.telemetry.calibrate import Parameter, fit_map, judged, time_blocks

X = np.linspace(0, 10, 400)


def line(prior_sigma=None):
    return [
        Parameter("slope", "W/K", 1.0, 0.5, 0.1, 10.0, logarithmic=True),
        Parameter("offset", "W", 0.0, prior_sigma, -50.0, 50.0),
    ]


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    inside = np.zeros(2)
    n = 120
    for seed in range(n):
        rng = np.random.default_rng(seed)
        measured = 2.0 * X + 3.0 + rng.normal(0, 0.5, X.size)
        fit = fit_map(line(), lambda v, m=measured: (m - v["slope"] * X - v["offset"]) / 0.5)
        inside += [fit["slope"].low <= 2.0 <= fit["slope"].high, fit["offset"].low <= 3.0 <= fit["offset"].high]
    # 90 % intervals: 120 trials leave 108 ± 3.3.
    assert np.all(np.abs(inside - 0.9 * n) <= 3 * 3.3)


def test_outliers_hardly_move_the_fit():
    measured = 2.0 * X + 3.0 + np.random.default_rng(1).normal(0, 0.5, X.size)
    measured[::20] += 40.0
    fit = fit_map(line(), lambda v: (measured - v["slope"] * X - v["offset"]) / 0.5)
    assert fit["slope"].value == pytest.approx(2.0, abs=0.05)
    assert fit["offset"].value == pytest.approx(3.0, abs=0.4)


def test_what_moves_together_is_not_identifiable_and_names_the_sensor():
    measured = 6.0 * X
    both = [
        Parameter("flow", "kg/s", 2.0, 0.5, 0.1, 50.0, logarithmic=True),
        Parameter("gain", "-", 1.0, 0.5, 0.1, 50.0, logarithmic=True),
    ]
    fit = fit_map(
        both,
        lambda v: (measured - v["flow"] * v["gain"] * X) / 0.1,
        sensors={frozenset(("flow", "gain")): "a second flow meter"},
    )
    assert not fit["flow"].identifiable
    assert "correlation -1.00" in fit["gain"].reason
    assert "a second flow meter" in fit["gain"].reason


def test_a_parameter_that_the_data_do_not_touch_keeps_its_prior_and_says_so():
    measured = 2.0 * X
    more = [*line(1.0), Parameter("wall", "K/W", 5.0, 0.3, 0.5, 50.0, logarithmic=True)]
    fit = fit_map(more, lambda v: (measured - v["slope"] * X - v["offset"]) / 0.5)
    assert fit["wall"].value == pytest.approx(5.0)
    assert fit["wall"].reason == "not identifiable from this data: the interval is the prior's"
    assert fit["slope"].identifiable


def test_lasting_discrepancy_widens_the_interval():
    measured = 2.0 * X + np.random.default_rng(2).normal(0, 0.5, X.size)

    def residuals(v):
        return (measured - v["slope"] * X - v["offset"]) / 0.5

    narrow, wide = (fit_map(line(), residuals, samples_per_independent=n)["slope"] for n in (1.0, 25.0))
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(5.0, rel=0.05)


def test_profile_intervals_are_never_narrower_than_the_covariance():
    measured = np.exp(-0.3 * X) + np.random.default_rng(3).normal(0, 0.2, X.size)
    rate = [Parameter("rate", "1/s", 1.0, 2.0, 0.01, 20.0, logarithmic=True)]

    def residuals(v):
        return (measured - np.exp(-v["rate"] * X)) / 0.2

    plain, profiled = fit_map(rate, residuals)["rate"], fit_map(rate, residuals, profile=["rate"])["rate"]
    assert profiled.low <= plain.low
    assert profiled.high >= plain.high
    assert profiled.low < 0.3 < profiled.high


def test_too_few_measured_values_are_refused():
    with pytest.raises(ValueError, match="1 measured values cannot tell 2 parameters"):
        fit_map(line(), lambda v: np.array([v["slope"], np.nan]))


def test_priors_outside_their_bounds_are_refused():
    with pytest.raises(ValueError, match="prior 5 is not inside 0 to 1"):
        Parameter("x", "-", 5.0, None, 0.0, 1.0)


def test_a_fit_that_does_worse_on_held_out_rows_is_refused():
    assert not judged(np.array([1.0, -1.0]), np.array([2.0, 2.0]), unit="K").accepted
    assert judged(np.array([1.0, np.nan]), np.array([0.5, 9.0]), unit="K").accepted


def test_time_blocks_have_equal_time_not_equal_rows():
    blocks = time_blocks(np.array([0.0, 1.0, 2.0, 99.0, 100.0]), 2)
    assert blocks.tolist() == [0, 0, 0, 1, 1]
