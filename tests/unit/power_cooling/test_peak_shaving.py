"""Peaks that a battery shaves: worked by hand, with its losses, its power and its energy as limits."""

import numpy as np
import pytest

from power_cooling.electrical.peak_shaving import PeakBattery, shave_peaks

KWH = 3.6e6


def test_energy_above_the_peak_is_what_the_battery_holds():
    # With 2 kWh two hours of 10 kW become 9 kW, and no less.
    shaved = shave_peaks(np.array([5e3, 10e3, 10e3, 5e3, 5e3]), PeakBattery(5e3, 2 * KWH))
    assert shaved.peak_w == pytest.approx(9e3)
    assert shaved.grid_w == pytest.approx([5e3, 9e3, 9e3, 7e3, 5e3])
    assert shaved.stored_j / KWH == pytest.approx([2, 1, 0, 2, 2], abs=1e-9)


def test_power_may_be_what_limits_it():
    shaved = shave_peaks(np.array([5e3, 10e3, 5e3]), PeakBattery(1e3, 10 * KWH))
    assert shaved.peak_w == pytest.approx(9e3)


def test_losses_are_taken_from_the_grid_and_recharging_makes_no_peak():
    load = 5e3 + 3e3 * np.sin(np.arange(240) / 24 * 2 * np.pi)
    shaved = shave_peaks(load, PeakBattery(4e3, 6 * KWH, 0.8))
    assert shaved.grid_w.max() == pytest.approx(shaved.peak_w)
    assert load.max() - 2e3 < shaved.peak_w < load.max()
    charged = np.maximum(shaved.grid_w - load, 0).sum() * 3600
    given = np.maximum(load - shaved.grid_w, 0).sum() * 3600
    assert given - charged * 0.8 == pytest.approx(6 * KWH - shaved.stored_j[-1], abs=1.0)
    assert shaved.loss_w.min() >= 0
    assert shaved.loss_w.sum() * 3600 == pytest.approx(0.2 * charged)
    assert shaved.stored_j.min() >= 0
    assert shaved.stored_j.max() <= 6 * KWH * (1 + 1e-12)


def test_what_is_taken_out_of_store_for_good_is_no_negative_loss():
    shaved = shave_peaks(np.array([5e3, 10e3]), PeakBattery(5e3, 2 * KWH, 0.8))
    assert shaved.grid_w.mean() < 7.5e3
    assert shaved.loss_w.tolist() == [0, 0]


@pytest.mark.parametrize("battery", [PeakBattery(0.0, KWH), PeakBattery(1e3, 0.0)])
def test_nothing_shaves_nothing(battery):
    load = np.array([1e3, 3e3])
    assert shave_peaks(load, battery).grid_w.tolist() == load.tolist()


def test_impossible_batteries_and_loads_are_refused():
    with pytest.raises(ValueError, match=r"PeakBattery.power_w is -1"):
        PeakBattery(-1.0, 1.0)
    with pytest.raises(ValueError, match="efficiency_frac is 0"):
        PeakBattery(1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="finite powers"):
        shave_peaks(np.array([1.0, -1.0]), PeakBattery(1.0, 1.0))
