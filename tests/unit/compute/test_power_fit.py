"""The fit of accelerator power to cases with watts that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from compute.calibration.power_coefficients import power_coefficients
from compute.calibration.power_fit import PUBLISHED_DRIVE_LOG, CaseStates, fit_power
from compute.steps.power import Activity, EngineStates, PowerCoefficients

N = 24
IDLE_W, TDP_W = 100.0, 1000.0
CASE = {"accelerator": "b200", "generation": "b", "model": "m", "precision": "fp8", "ranks": "8", "shape": "1k/1k"}


@pytest.fixture(scope="module")
def fitted() -> tuple[dict, CaseStates, np.ndarray]:
    """Return a fit to the first cases of 24, all states, and the watts of coefficients that the fit does not know."""
    rng = np.random.default_rng(3)
    prefill, decode = (Activity(rng.uniform(0, 0.9, N), rng.uniform(0, 0.9, N)) for _ in range(2))
    busy = rng.uniform(0.2, 1.0, N)
    engine = EngineStates(0.3 * busy, 0.7 * busy, prefill, decode)
    states = CaseStates(engine, engine, np.zeros(N))
    truth = PowerCoefficients(np.full(N, 0.3), np.full(N, 5.0), np.full(N, 2.0))
    watts = IDLE_W + (TDP_W - IDLE_W) * states.power_share(truth)
    case = SimpleNamespace(attributes=CASE, accelerator=SimpleNamespace(idle_w=IDLE_W, tdp_w=TDP_W))
    table = SimpleNamespace(cases=[case] * N)
    return fit_power(table, states, watts, np.arange(N) < 16), states, watts


def test_watts_of_cases_that_were_left_out_are_predicted(fitted):
    fit, states, watts = fitted
    share = states.power_share(power_coefficients(fit, [CASE] * N))
    predicted = IDLE_W + (TDP_W - IDLE_W) * share
    assert predicted[16:] == pytest.approx(watts[16:], rel=0.02)  # each case is trusted to 5 %, and priors pull


def test_an_accelerator_without_a_measured_case_keeps_its_published_drive(fitted):
    assert fitted[0]["accelerator_log"]["mi355x"] == [PUBLISHED_DRIVE_LOG["mi355x"]] * 3


def test_without_a_measurement_the_fit_is_its_prior(fitted):
    _, states, _ = fitted
    nothing = fit_power(SimpleNamespace(cases=[]), states, np.full(N, np.nan), np.ones(N, dtype=bool))
    assert nothing["global_log"] == pytest.approx(np.log([0.2, 8.0, 1.3]), abs=1e-4)
    assert nothing["sweep_log"] == {}
