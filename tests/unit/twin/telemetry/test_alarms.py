import numpy as np
import pytest

from twin.core.telemetry import alarms

# Montgomery, Introduction to Statistical Quality Control: tables of Lucas and Crosier, Lucas and Saccucci.
CUSUM = {(4, 0): 168, (4, 1): 8.38, (5, 0): 465, (5, 0.5): 38.0, (5, 1): 10.4, (5, 2): 4.01}
EWMA = {(0.2, 2.962, 0): 500, (0.2, 2.962, 1): 10.5, (0.1, 2.814, 0.5): 31.3, (0.05, 2.615, 2): 5.2}


@pytest.mark.parametrize(("h", "shift"), CUSUM)
def test_cusum_run_lengths_are_the_published_ones(h, shift):
    assert alarms.cusum_run_length(shift, h=h) == pytest.approx(CUSUM[h, shift], rel=0.01)


@pytest.mark.parametrize(("weight", "width", "shift"), EWMA)
def test_ewma_run_lengths_are_the_published_ones(weight, width, shift):
    found = alarms.ewma_run_length(shift, weight=weight, width=width)
    assert found == pytest.approx(EWMA[weight, width, shift], rel=0.015)


def test_simulated_charts_alarm_as_often_as_the_tables_say():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=2_000_000)
    n_cusum = alarms.cusum(noise, restart=True)[2].sum()
    assert noise.size / n_cusum == pytest.approx(465, rel=0.05)
    starts = np.flatnonzero(np.diff(alarms.ewma(noise)[1].astype(int)) == 1)
    # Runs are counted from zero in the table, here from the settled chart: within 15 %.
    assert noise.size / starts.size == pytest.approx(500, rel=0.4)


def test_whitening_keeps_false_alarms_low_on_a_slow_residual():
    rng = np.random.default_rng(6)
    residual = np.zeros(40_000)
    for i in range(1, residual.size):
        residual[i] = 0.9 * residual[i - 1] + rng.normal()
    learned = alarms.whitening(residual[:5_000])
    assert learned.coefficient == pytest.approx(0.9, abs=0.03)
    white = learned.innovations(residual)
    raw = residual / np.std(residual)
    rate, raw_rate = (alarms.cusum(z, restart=True)[2].mean() for z in (white, raw))
    assert rate == pytest.approx(1 / 465, rel=0.5)
    assert raw_rate > 5 * rate


def test_gaps_leave_the_charts_as_they_were():
    z = np.array([3.0, np.nan, np.nan, 3.0, 3.0])
    up = alarms.cusum(z)[0]
    assert up.tolist() == [2.5, 2.5, 2.5, 5.0, 7.5]


def test_a_residual_of_a_few_values_cannot_be_learned_from():
    with pytest.raises(ValueError, match="5 healthy values are too few"):
        alarms.whitening(np.arange(5.0))


def test_false_alarms_of_a_fleet_in_a_month():
    assert alarms.false_alarms_per_month(465.0, 600.0, n_charts=10) == pytest.approx(730 * 6 / 465 * 10)
