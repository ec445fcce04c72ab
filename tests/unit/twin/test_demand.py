"""Demand over the year."""

import numpy as np
import pytest

from twin.core.inputs.demand import hourly_shape, requests_per_s

OFFICE = {"hourly": [0.5] * 8 + [2.0] * 8 + [0.5] * 8, "weekend_factor": 0.2}


def test_shape_has_mean_one_and_keeps_the_ratio_of_day_to_night():
    shape = hourly_shape(OFFICE, 8760)
    assert shape.mean() == pytest.approx(1.0)
    assert shape[12] / shape[0] == pytest.approx(4.0)


def test_saturday_is_the_sixth_day():
    shape = hourly_shape(OFFICE, 24 * 14)
    assert shape[5 * 24 + 12] / shape[4 * 24 + 12] == pytest.approx(0.2)
    assert shape[7 * 24 + 12] == pytest.approx(shape[12])


def test_stated_mean_is_kept_and_otherwise_the_peak_is_met():
    shape = hourly_shape(OFFICE, 8760)
    assert requests_per_s(shape, mean_per_s=3.0, peak_per_s=99.0).mean() == pytest.approx(3.0)
    assert requests_per_s(shape, mean_per_s=None, peak_per_s=7.0).max() == pytest.approx(7.0)


@pytest.mark.parametrize("hourly", [[1.0] * 23, [-1.0] + [1.0] * 23, [0.0] * 24])
def test_a_shape_that_is_none_is_refused(hourly):
    with pytest.raises(ValueError, match="24 multipliers"):
        hourly_shape({"hourly": hourly, "weekend_factor": 1.0}, np.int64(8760))
