"""The heat map of one quantity over a day: every point a row, time across."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.charts.geometry import display_scale

ROW_PX, LEAST_PX, MOST_PX = 14, 220, 900
MOST_NAMED = 60  # rows whose names fit beside them


def day_map_chart(objects: Sequence[str], means: NDArray[np.float64], quantity: str, unit: str) -> dict[str, Any]:
    """Return a Plotly figure of a day.

    Parameters
    ----------
    objects : sequence of str
        Of the rows, top to bottom.
    means : ndarray, shape (n_objects, n_intervals)
        Of equal parts of the day; NaN where nothing good was read.
    quantity, unit : str
        As pages show them.
    """
    factor, shown = display_scale(means[np.isfinite(means)], unit)
    hours = 24.0 / means.shape[1] * (np.arange(means.shape[1]) + 0.5)
    rows = [[float(f"{value:.4g}") if np.isfinite(value) else None for value in row] for row in means * factor]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": hours.tolist(),
                "y": list(objects),
                "z": rows,
                "colorscale": "Viridis",
                "hoverongaps": False,
                "colorbar": {"title": {"text": shown or quantity, "side": "top"}, "thickness": 12},
                "hovertemplate": f"%{{y}}, %{{x:.2f}} h<br>%{{z:.4~g}} {shown}<extra></extra>",
            }
        ],
        "layout": {
            "height": int(np.clip(ROW_PX * len(objects) + 90, LEAST_PX, MOST_PX)),
            "xaxis": {"title": {"text": "Hour of the day, UTC [h]"}, "dtick": 3, "range": [0, 24]},
            "yaxis": {"autorange": "reversed", "showticklabels": len(objects) <= MOST_NAMED, "type": "category"},
        },
    }
