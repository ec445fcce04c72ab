"""Bridging energy and load swings against hand-worked integrals."""

import math

import numpy as np
import pytest

from power_cooling.electrical import power_transients as power

SOURCE = power.BackupSource(
    stored_j=200e6,
    discharge_w=12e6,
    generator_start_s=10.0,
    generator_w=12e6,
    generator_step_w=6e6,
    generator_ramp_w_per_s=0.5e6,
)


def test_the_bridge_needs_the_start_and_the_ramp():
    done = power.backup_run(np.full(120, 10e6), 1.0, SOURCE)
    # 10 MW for 10 s, then 4 MW falling to 0 at 0.5 MW/s.
    assert done.needed_j == pytest.approx(100e6 + 4e6 * 8 / 2)
    assert done.needed_w == pytest.approx(10e6)
    assert done.carried
    assert done.stored_j[-1] == pytest.approx(200e6 - 116e6)
    assert done.generator_w[-1] == pytest.approx(10e6)


def test_power_is_always_accounted_for():
    load = np.random.default_rng(3).uniform(0, 15e6, (4, 200))
    done = power.backup_run(load, 0.5, SOURCE)
    assert done.generator_w + done.storage_w + done.unserved_w == pytest.approx(load, abs=1e-3)


def test_a_start_inside_a_step_counts_exactly():
    late = power.BackupSource(1e9, 1e9, 10.4, 12e6, 12e6, 1e6)
    assert power.backup_run(np.full(60, 10e6), 1.0, late).needed_j == pytest.approx(104e6 - 0.0, rel=0.02)
    assert power.backup_run(np.full(600, 10e6), 0.1, late).needed_j == pytest.approx(104e6, rel=1e-9)


def test_too_little_energy_drops_the_load_when_it_is_gone():
    small = power.BackupSource(45e6, 12e6, 10.0, 12e6, 12e6, 1e6)
    done = power.backup_run(np.full(60, 10e6), 1.0, small)
    assert done.empty_s == pytest.approx(4.5)
    assert not done.carried


def test_too_little_power_drops_the_load_at_once():
    weak = power.BackupSource(1e9, 5e6, 10.0, 12e6, 12e6, 1e6)
    assert power.backup_run(np.full(60, 10e6), 1.0, weak).empty_s == 0.0


def test_failed_generators_leave_it_to_the_storage():
    failed = power.BackupSource(300e6, 12e6, 10.0, 0.0, 0.0, 1e6)
    assert power.backup_run(np.full(60, 10e6), 1.0, failed).empty_s == pytest.approx(30.0)


def test_training_swings_have_their_mean_and_edges():
    swing = power.training_swing_w(100, 0.01, busy_w=100e6, waiting_w=40e6, period_s=2.0, busy_frac=0.7)
    assert swing.mean() == pytest.approx(40e6 + 0.7 * 60e6, rel=1e-3)
    assert swing.max() == 100e6
    assert swing.min() >= 40e6
    assert np.abs(np.diff(swing)).max() / 0.01 == pytest.approx(60e6 / 0.05, rel=1e-6)


def test_storage_keeps_a_training_swing_from_the_grid():
    swing = power.training_swing_w(120, 0.01, busy_w=100e6, waiting_w=45e6, period_s=2.0, busy_frac=0.7)
    done = power.smooth_load(swing, 0.01, grid_ramp_w_per_s=1e6)
    assert done.grid_ramp_w_per_s <= 1e6 * (1 + 1e-9)
    # One busy phase above the mean: 16.5 MW for 1.4 s; the filter adds its settling.
    assert done.needed_j == pytest.approx(16.5e6 * 1.4, rel=0.6)
    assert done.grid_band_frac < 0.02 * done.load_band_frac
    assert done.grid_w + done.storage_w == pytest.approx(swing, rel=1e-12)


def test_a_job_that_stops_needs_the_energy_of_the_ramp():
    load = np.where(np.arange(30_000) * 0.01 < 60, 80e6, 20e6)
    done = power.smooth_load(load, 0.01, grid_ramp_w_per_s=1e6)
    assert done.grid_ramp_w_per_s <= 1e6 * (1 + 1e-9)
    # At least the triangle that a 60 MW step at 1 MW/s leaves, 60 MW x 60 s / 2.
    assert done.needed_j > 0.9 * 60e6 * 60 / 2


def test_a_pure_tone_has_its_rms_in_the_band():
    times = np.arange(10_000) * 0.001
    tone = 10.0 + 2.0 * np.sin(2 * np.pi * 5 * times)
    assert power.band_rms_frac(tone, 0.001) == pytest.approx(2 / math.sqrt(2) / 10)
    assert power.band_rms_frac(tone, 0.001, (6.0, 20.0)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power.BackupSource(-1, 1, 1, 1, 1, 1), "BackupSource.stored_j is -1; must be at least 0"),
        (lambda: power.BackupSource(1, 1, 1, 1, 1, 0), "generator_ramp_w_per_s is 0; must be greater than 0"),
        (lambda: power.backup_run([-5.0], 1.0, SOURCE), "load_w is -5 W; must be at least 0"),
        (lambda: power.smooth_load([1.0], 0.1, grid_ramp_w_per_s=0.0), "must be greater than 0"),
        (
            lambda: power.training_swing_w(1, 0.1, busy_w=2, waiting_w=1, period_s=1, busy_frac=1.0),
            "busy_frac is 1; must be between 0 and 1",
        ),
    ],
)
def test_impossible_power_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
