"""Laws of latency against draws and values worked by hand."""

import numpy as np
import pytest

from compute.steady.latency_law import FirstToken, Wait, lognormal


def wait(share: float, mean_s: float, variation: float = 1.0) -> Wait:
    return Wait(*(np.array([[value]]) for value in (share, mean_s, variation)))


def test_two_independent_waits_have_the_mean_and_variance_of_their_sum():
    one, two = wait(0.5, 2.0, 0.5), wait(0.25, 4.0, 1.0)
    both = one.plus(two)
    # Some wait of either kind: 1 - 0.5 * 0.75. Means add: 0.5 * 2 + 0.25 * 4.
    assert both.share.item() == pytest.approx(0.625)
    mean_s = (both.share * both.mean_s).item()
    assert mean_s == pytest.approx(2.0)
    # E[X²] + E[Y²] + 2 E[X] E[Y] = 0.5 * 4 * 1.25 + 0.25 * 16 * 2 + 2 * 1 * 1
    square = (both.share * both.mean_s**2 * (1 + both.variation**2)).item()
    assert square == pytest.approx(2.5 + 8.0 + 2.0)


def test_nobody_waits_less_than_nothing_and_those_who_do_not_wait_are_within_any_limit():
    some = wait(0.3, 1.0)
    assert some.within(np.array([[[-1.0]]])).item() == 0.0
    assert some.within(np.array([[[0.0]]])).item() == pytest.approx(0.7)
    assert some.within(np.array([[[1e6]]])).item() == pytest.approx(1.0)


def test_half_of_a_log_normal_wait_is_over_at_its_median():
    variation = 1.5
    median_s = 2.0 / np.sqrt(1 + variation**2)
    assert wait(1.0, 2.0, variation).within(np.array([[[median_s]]])).item() == pytest.approx(0.5)


def first_token(share: float) -> FirstToken:
    """A fixed 0.1 s, a prompt of 0.2 s or 1 s at three to one, and a wait of 0.5 s for some."""
    return FirstToken(np.array([[0.1]]), np.array([[[0.2, 1.0]]]), np.array([[[0.75, 0.25]]]), wait(share, 0.5))


def test_the_mean_time_to_first_token_adds_what_all_have_the_prompt_and_the_wait():
    assert first_token(0.4).mean_s.item() == pytest.approx(0.1 + 0.75 * 0.2 + 0.25 * 1.0 + 0.4 * 0.5)


def test_without_a_wait_the_quantiles_are_those_of_the_prompts():
    law = first_token(0.0)
    assert law.within(np.array([[0.5]])).item() == pytest.approx(0.75)
    assert law.quantile_s(0.5).item() == pytest.approx(0.3, abs=1e-6)
    assert law.quantile_s(0.95).item() == pytest.approx(1.1, abs=1e-6)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.99])
def test_a_quantile_is_kept_by_just_its_share(level):
    law = first_token(0.8)
    assert law.within(law.quantile_s(level)).item() == pytest.approx(level, abs=1e-6) or (
        # the law jumps where a prompt ends: then just below it is too few, and at it enough
        law.within(law.quantile_s(level)).item() > level > law.within(law.quantile_s(level) - 1e-6).item()
    )


def test_the_log_normal_law_gives_its_mean_and_variance_back():
    location, scale = lognormal(np.array([3.0]), np.array([4.0]))
    assert np.exp(location + scale**2 / 2) == pytest.approx(3.0)
    assert (np.exp(scale**2) - 1) * np.exp(2 * location + scale**2) == pytest.approx(4.0)
    assert np.isfinite(lognormal(np.array([3.0]), np.array([0.0]))).all()
