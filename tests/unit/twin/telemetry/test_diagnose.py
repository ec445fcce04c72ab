import numpy as np
import pytest

from twin.core.telemetry.diagnose import DAY_S, Acting, Hypothesis, baseline_of, find_faults

SECONDS = np.arange(720) * 7_200.0  # 60 days of two hours
TRAIN = SECONDS < 20 * DAY_S
FOULING = Hypothesis("fouling", "hx", "frac", 0.0, 0.8, 0.03, gradual=True)
GAIN = Hypothesis("sensor_gain", "sensor:flow", "frac", -0.5, 0.5, 0.015)
SIGMA = np.array([0.04, 0.01])


def record(weight: np.ndarray, size: float, *, gain: float = 0.0, seed: int = 0):
    """A conductance that falls by `size` and a heat balance that a flow meter's gain breaks; both noisy."""
    noise = np.random.default_rng(seed).normal(0, 1, (2, SECONDS.size)) * SIGMA[:, None]
    base = noise + np.array([np.log1p(-size * weight), np.log1p(-gain * weight)])

    def features(acting: list[Acting]) -> np.ndarray:
        out = base.copy()
        for one in acting:
            out[0 if one.hypothesis is FOULING else 1] -= np.log1p(-one.size * one.weight)
        return out

    return features


def found_in(features):
    baseline = baseline_of(features([]), TRAIN, np.array([0.005, 0.002]))
    return find_faults(SECONDS, features, [FOULING, GAIN], baseline, earliest_s=20 * DAY_S)


def test_a_step_is_dated_and_sized_with_an_interval():
    (fault,) = found_in(record((SECONDS >= 33 * DAY_S).astype(float), 0.2))
    assert fault.hypothesis is FOULING
    assert fault.form == "step"
    assert fault.since_s == pytest.approx(33 * DAY_S, abs=0.5 * DAY_S)
    assert fault.low < 0.2 < fault.high
    assert fault.high - fault.low < 0.04


@pytest.mark.parametrize("n_steps", [0, 5], ids=["straight", "five equal steps"])
def test_deposits_that_grow_are_dated_at_their_start(n_steps):
    share = np.clip((SECONDS - 25 * DAY_S) / (16 * DAY_S), 0, 1)
    begun = SECONDS >= 25 * DAY_S
    weight = share if n_steps == 0 else np.clip((np.floor(share * (n_steps - 1) + 1e-9) + 1) / n_steps, 0, 1) * begun
    (fault,) = found_in(record(weight, 0.3, seed=3))
    assert fault.form == "ramp"
    assert fault.since_s == pytest.approx(25 * DAY_S, abs=2 * DAY_S)
    assert fault.size == pytest.approx(0.3, rel=0.15)


def test_two_faults_are_told_apart():
    features = record((SECONDS >= 40 * DAY_S).astype(float), 0.2, gain=0.06)
    assert {fault.hypothesis.kind for fault in found_in(features)} == {"fouling", "sensor_gain"}


def test_noise_alone_is_no_fault():
    nothing = np.zeros(SECONDS.size)
    assert all(found_in(record(nothing, 0.0, seed=seed)) == [] for seed in range(8))


def test_hidden_values_gain_nothing():
    features = record(np.zeros(SECONDS.size), 0.0)
    baseline = baseline_of(features([]), TRAIN, np.array([0.005, 0.002]))
    hidden = features([])
    hidden[:, 300:] = np.nan
    assert baseline.cost(hidden) == pytest.approx(baseline.cost(features([])), rel=0.15)
