"""Efficiencies of cards whose kernels were timed: as stated, and between the cards for others with GDDR memory."""

import numpy as np
import pytest

from compute.calibration.component_timings import MEASURED, ComponentTimings, component_efficiencies, timings_of


def test_a_card_that_was_timed_has_its_own_timings():
    assert timings_of("rtx-4090", "GDDR6X") is MEASURED["rtx-4090"]


def test_another_card_with_gddr_lies_in_the_geometric_middle_and_one_with_hbm_has_none():
    middle = timings_of("rtx-5090", "gddr7")
    for name in ComponentTimings.__dataclass_fields__:
        one, other = (getattr(card, name) for card in MEASURED.values())
        assert getattr(middle, name) == pytest.approx(np.sqrt(one * other))
    assert timings_of("h100-sxm", "HBM3") is None


def test_no_kernel_is_faster_than_the_data_sheet():
    for timings in MEASURED.values():
        efficiencies = component_efficiencies(timings)
        fractions = [getattr(efficiencies, name) for name in efficiencies.__slots__ if name.endswith("_frac")]
        assert len(fractions) == 6
        assert all(0 < value <= 1 for value in fractions)
        assert efficiencies.exchange_s == timings.exchange_s
