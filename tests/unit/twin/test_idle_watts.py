"""What an accelerator draws that serves nothing."""

import numpy as np
import pytest

from power_cooling.racks.chips import chip_power_scalar
from power_cooling.site_arrays import ASSUMED_LEAKAGE_FRAC, ASSUMED_LEAKAGE_PER_K, ASSUMED_REFERENCE_DEGC
from twin.core.inputs.pools import ASSUMED_IDLE_JUNCTION_DEGC, static_at_reference_w


def drawn_w(static_w: float, dynamic_w: float, tdp_w: float, junction_degc: float) -> float:
    """Return the chip's own power at a junction temperature [W]."""
    growth = np.exp(ASSUMED_LEAKAGE_PER_K * (junction_degc - ASSUMED_REFERENCE_DEGC))
    leak_w = min(ASSUMED_LEAKAGE_FRAC * tdp_w, static_w)
    return chip_power_scalar(
        junction_degc, growth, static_w, dynamic_w, leak_w, ASSUMED_LEAKAGE_PER_K, 1e9, 105.0, 0.05, 0.3, 0.25
    )[0]


@pytest.mark.parametrize(("idle_w", "tdp_w"), [(165.0, 1400.0), (75.0, 700.0), (20.0, 1000.0)])
def test_without_load_an_accelerator_draws_its_idle_watts(idle_w, tdp_w):
    dynamic_w = np.array([0.0, 0.5, 1.0]) * (tdp_w - idle_w)
    static_w = static_at_reference_w(np.full(3, idle_w), dynamic_w, tdp_w)
    assert drawn_w(static_w[0], 0.0, tdp_w, ASSUMED_IDLE_JUNCTION_DEGC) == pytest.approx(idle_w)
    assert static_w[-1] == pytest.approx(idle_w)
    assert drawn_w(static_w[-1], dynamic_w[-1], tdp_w, ASSUMED_REFERENCE_DEGC) == pytest.approx(tdp_w)
