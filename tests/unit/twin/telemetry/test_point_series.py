"""A prediction laid over a point's intervals, and what is kept of a comparison."""

import numpy as np
import pytest

from twin.core.charts.point import point_chart
from twin.core.telemetry.residuals import Beside
from twin.telemetry.point_series import at_steps, fitting_step_s
from twin.telemetry.study_points import packed, unpacked

HOUR_MS = 3_600_000


def beside(times_ms, predicted) -> Beside:
    return Beside(np.array(times_ms, np.int64), np.zeros(len(times_ms)), np.array(predicted, float))


def test_finer_intervals_lie_on_the_line_and_gaps_stay_gaps():
    kept = beside(np.array([0, 1, 2, 6]) * HOUR_MS, [0.0, 4.0, 8.0, 0.0])
    found = at_steps(kept, np.arange(0, 8) * HOUR_MS // 2, HOUR_MS // 2)
    assert found[:4] == pytest.approx([1.0, 3.0, 5.0, 7.0])
    assert np.isnan(found[4:]).all()


def test_coarser_intervals_have_the_mean_of_what_lies_in_them():
    kept = beside(np.arange(6) * HOUR_MS, [1.0, 3.0, np.nan, 5.0, 7.0, 9.0])
    assert at_steps(kept, np.array([0, 2, 4, 6]) * HOUR_MS, 2 * HOUR_MS)[:3].tolist() == [2.0, 5.0, 8.0]
    assert np.isnan(at_steps(kept, np.array([0, 2, 4, 6]) * HOUR_MS, 2 * HOUR_MS)[3])


def test_what_is_kept_comes_back_to_the_float():
    kept = Beside(np.array([5, 9_000_000_000], np.int64), np.array([1.5, np.nan]), np.array([2.5, 3.5]))
    back = unpacked(packed(kept))
    for name in ("times_ms", "measured", "predicted"):
        np.testing.assert_array_equal(getattr(back, name), getattr(kept, name))


def test_a_month_is_shown_by_the_hour_and_a_day_by_the_minute():
    day = 24 * HOUR_MS
    assert [fitting_step_s(0, n * day) for n in (1, 7, 31, 366)] == [60, 900, 3600, 86_400]


def test_the_chart_scales_its_unit_and_shows_residuals_only_where_something_is_predicted():
    begins, values, none = np.arange(2) * HOUR_MS, np.array([2e6, 3e6]), np.full(2, np.nan)
    names = {"label": "power_w", "unit": "W", "residual_unit": "W"}
    bare = point_chart(begins, values, values, values, none, none, **names)
    assert bare["data"][1]["y"] == [2.0, 3.0]
    assert bare["layout"]["yaxis"]["title"]["text"] == "power_w [MW]"
    assert "yaxis2" not in bare["layout"]
    whole = point_chart(begins, values, values, values, values - 1e6, values * 0.01, **names)
    assert whole["data"][-1]["y"] == pytest.approx([1.0, 1.0])
    assert whole["layout"]["yaxis2"]["title"]["text"] == "Residual [MW]"


def test_bands_and_lines_leave_gaps_open():
    begins, none = np.arange(4) * HOUR_MS, np.full(4, np.nan)
    values = np.array([1.0, 2.0, np.nan, 4.0])
    chart = point_chart(begins, values - 1, values, values + 1, none, none, label="x", unit="", residual_unit="")
    band, line = chart["data"]
    assert band["y"] == [0.0, 1.0, 3.0, 2.0, None, 3.0, 5.0]
    assert len(band["x"]) == len(band["y"])
    assert line["y"] == [1.0, 2.0, None, 4.0]
    assert line["mode"] == "lines+markers"  # the last stands alone
