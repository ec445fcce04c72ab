"""Measures of ASHRAE Guideline 14 against values worked by hand."""

import numpy as np
import pytest

from twin.core.telemetry.scores import cv_rmse_frac, nmbe_frac, rmse, scored

MEASURED = np.array([100.0, 102.0, 98.0, np.nan, 100.0])
PREDICTED = np.array([99.0, 100.0, 98.0, 50.0, 103.0])


def test_the_measures_count_rows_where_both_are_there():
    # errors 1, 2, 0, -3 on a mean of 100
    assert rmse(MEASURED, PREDICTED) == pytest.approx(np.sqrt(14 / 4))
    assert cv_rmse_frac(MEASURED, PREDICTED) == pytest.approx(np.sqrt(14 / 3) / 100)
    assert nmbe_frac(MEASURED, PREDICTED) == pytest.approx(0.0)
    assert nmbe_frac(MEASURED, PREDICTED - 1.0) == pytest.approx(4 / 300)  # above 0: too low


def test_too_few_rows_have_no_score():
    nothing = np.array([np.nan, 1.0])
    assert np.isnan([cv_rmse_frac(nothing, nothing), nmbe_frac(nothing, nothing), rmse(nothing[:1], nothing[:1])]).all()


def test_only_rows_held_out_are_scored_and_temperatures_in_kelvin():
    train = np.array([True, True, False, False, False])
    power = scored("meter_power_w", MEASURED, PREDICTED, train)
    assert power["n_train"] == 2
    assert power["n_held_out"] == 2
    assert power["cv_rmse_frac"] == pytest.approx(np.sqrt(9 / 1) / 99)
    warm = scored("supply_degc", MEASURED, PREDICTED, train)
    assert warm["rmse_k"] == pytest.approx(np.sqrt(9 / 2))
    assert warm["mean_error_k"] == pytest.approx(-1.5)
    assert np.isnan(scored("supply_degc", MEASURED, np.full(5, np.nan), train)["mean_error_k"])
