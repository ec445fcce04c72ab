"""Key figures against values worked by hand, and their identities."""

import numpy as np
import pytest

from power_cooling.metrics import (
    SiteAccount,
    it_equipment_utilisation,
    power_usage_effectiveness,
    site_metrics,
    tokens_per_joule,
    tokens_per_litre,
)


def account(**changes) -> SiteAccount:
    given = {
        "it_w": [800e3, 1000e3],
        "cooling_w": [80e3, 150e3],
        "electrical_loss_w": [50e3, 60e3],
        "other_w": 10e3,
        "compute_w": [680e3, 860e3],
        "reused_heat_w": [100e3, 0.0],
        "renewable_w": 300e3,
        "carbon_kg_per_kwh": [0.4, 0.2],
        "water_kg_s": [0.2, 0.4],
        "energy_water_l_per_kwh": 2.0,
    }
    return SiteAccount(**(given | changes))


def test_period_figures_are_ratios_of_sums():
    metrics = site_metrics(account())
    assert metrics.pue == pytest.approx((940 + 1220) / 1800)
    assert metrics.cooling_ppue == pytest.approx(2030 / 1800)
    assert metrics.erf == pytest.approx(100 / 2160)
    assert metrics.ref == pytest.approx(600 / 2160)
    assert metrics.cer == pytest.approx((1800 + 110 + 20) / 230)
    assert metrics.cue_kg_per_kwh == pytest.approx((940 * 0.4 + 1220 * 0.2) / 1800)
    assert metrics.wue_l_per_kwh == pytest.approx(0.6 * 3600 / 1800)
    assert metrics.source_wue_l_per_kwh == pytest.approx((0.6 * 3600 + 2 * 2160) / 1800)
    assert metrics.itue == pytest.approx(1800 / 1540)


def test_identities_hold_between_figures():
    metrics = site_metrics(account())
    parts = metrics.cooling_ppue + metrics.electrical_ppue + metrics.other_ppue - 2
    # Rounding only.
    assert metrics.pue == pytest.approx(parts, rel=1e-14)
    assert metrics.tue == pytest.approx(metrics.itue * metrics.pue, rel=1e-14)
    assert metrics.tue * 1540e3 * 3600 == pytest.approx(metrics.meter_energy_j, rel=1e-14)
    assert metrics.ere == pytest.approx((1 - metrics.erf) * metrics.pue, rel=1e-14)


def test_longer_elements_weigh_more():
    even, uneven = site_metrics(account()), site_metrics(account(duration_s=[3600.0, 36000.0]))
    assert uneven.pue == pytest.approx((940 + 10 * 1220) / (800 + 10 * 1000))
    assert even.pue != uneven.pue


def test_a_period_without_it_energy_has_no_ratio_and_says_so():
    metrics = site_metrics(account(it_w=0.0, compute_w=None, renewable_w=0.0))
    assert np.isnan(metrics.pue)
    assert np.isnan(metrics.itue)
    assert metrics.meter_energy_j > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cooling_w": [1.0, -1.0]}, r"cooling_w\[1\] is -1; must be at least 0"),
        ({"compute_w": 900e3}, "compute_w exceeds it_w in element 0"),
        ({"renewable_w": 2e6}, "renewable_w exceeds the meter's power"),
        ({"other_w": [1.0, 2.0, 3.0]}, "needed"),
    ],
)
def test_an_impossible_account_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        account(**changes)


def test_hourly_pue_is_never_below_one():
    assert power_usage_effectiveness([1.2, 0.0], [1.0, 0.0])[0] == pytest.approx(1.2)
    assert np.isnan(power_usage_effectiveness([1.2, 0.0], [1.0, 0.0])[1])
    with pytest.raises(ValueError, match="less than IT"):
        power_usage_effectiveness([0.9], [1.0])


def test_tokens_per_joule_is_tokens_per_second_per_watt():
    assert tokens_per_joule([2e6, 0.0], [1e6, 1e6]) == pytest.approx(1.0)
    assert tokens_per_litre([2e6], [0.5]) == pytest.approx(4e6)
    assert np.isnan(tokens_per_litre([2e6], [0.0]))


def test_server_utilisation_is_weighted_by_rating():
    assert it_equipment_utilisation([0.5, 1.0], [1.0, 3.0]) == pytest.approx(0.875)
    with pytest.raises(ValueError, match="used_frac"):
        it_equipment_utilisation([1.5])
