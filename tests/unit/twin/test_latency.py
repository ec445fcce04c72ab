"""Latency percentiles of a year."""

import numpy as np
import pytest

from twin.core.results.latency import mixture_quantile


def test_equal_hours_give_their_own_percentiles():
    p50, p95, weight = np.full(24, 0.2), np.full(24, 0.9), np.ones(24)
    # 1e-4: hours are told apart to that
    assert mixture_quantile(p50, p95, weight, 0.5) == pytest.approx(0.2, rel=1e-4)
    assert mixture_quantile(p50, p95, weight, 0.95) == pytest.approx(0.9, rel=1e-4)


def test_a_mixture_matches_sampled_requests():
    rng = np.random.default_rng(1)
    p50, p95, weight = np.array([0.1, 1.0]), np.array([0.3, 2.0]), np.array([3.0, 1.0])
    spread = np.log(p95 / p50) / 1.6448536269514722
    sample = np.concatenate([rng.lognormal(np.log(p50[i]), spread[i], int(200_000 * weight[i])) for i in range(2)])
    # 0.5 %: sampling error of a 95th percentile of 800,000 requests
    assert mixture_quantile(p50, p95, weight, 0.95) == pytest.approx(np.quantile(sample, 0.95), rel=5e-3)


def test_hours_without_requests_do_not_count():
    values = np.array([0.1, np.nan])
    assert mixture_quantile(values, values * 2, np.array([1.0, 0.0]), 0.5) == pytest.approx(0.1, rel=1e-4)
    assert mixture_quantile(values, values, np.zeros(2), 0.5) is None
