"""The heat map of a day: scaled, gaps open, names where they fit."""

import numpy as np

from twin.core.charts.day_map import MOST_NAMED, MOST_PX, day_map_chart


def test_a_day_is_scaled_with_gaps_open_and_time_across():
    means = np.array([[2e6, np.nan], [1e6, 3e6]])
    chart = day_map_chart(["rack/A", "rack/B"], means, "power_w", "W")
    (heat,) = chart["data"]
    assert heat["z"] == [[2.0, None], [1.0, 3.0]]
    assert heat["x"] == [6.0, 18.0]
    assert heat["colorbar"]["title"]["text"] == "MW"
    assert chart["layout"]["yaxis"]["showticklabels"]


def test_a_large_fleet_keeps_its_height_and_leaves_names_to_the_hand():
    many = day_map_chart([f"rack/{i}" for i in range(MOST_NAMED + 1)], np.ones((MOST_NAMED + 1, 96)), "x", "")
    assert not many["layout"]["yaxis"]["showticklabels"]
    assert day_map_chart(["a"] * 500, np.ones((500, 96)), "x", "")["layout"]["height"] == MOST_PX
