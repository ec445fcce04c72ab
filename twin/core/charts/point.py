"""The chart of one measured point: what was read, what is predicted with its band, and the residual below."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.charts.geometry import display_scale

FloatArray = NDArray[np.float64]
MEASURED, PREDICTED = 1, 2  # category colours
HEIGHT, SHORT_HEIGHT = 460, 320  # pixels, with and without residuals
RESIDUAL_DOMAIN, UPPER_DOMAIN = [0.0, 0.24], [0.33, 1.0]


def point_chart(
    begins_ms: NDArray[np.int64],
    low: FloatArray,
    mean: FloatArray,
    high: FloatArray,
    predicted: FloatArray,
    half_width: FloatArray,
    *,
    label: str,
    unit: str,
    residual_unit: str,
) -> dict[str, Any]:
    """Return a Plotly figure of one point.

    Parameters
    ----------
    begins_ms : ndarray, shape (n,)
        Beginnings of the intervals since 1970 [ms].
    low, mean, high : ndarray, shape (n,)
        Least, mean and largest good reading of each; NaN where there is none.
    predicted, half_width : ndarray, shape (n,)
        And how far a usual sensor may read from it; NaN where nothing is predicted.
    label, unit, residual_unit : str
        Of the axes, as pages show them.
    """
    compared = bool(np.isfinite(predicted).any())
    values = np.concatenate([low, high, predicted])
    factor, shown = display_scale(values[np.isfinite(values)], unit)
    times = [f"{text}Z" for text in np.datetime_as_string(begins_ms.astype("datetime64[ms]"), unit="s")]

    def line(name: str, values: FloatArray, colour: int, **more: Any) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": times,
            "y": _plain(values * factor),
            "colour": colour,
            "hovertemplate": f"%{{x}}<br>{name} %{{y:.4~g}} {shown}<extra></extra>",
            **more,
        }

    def band(name: str, low: FloatArray, high: FloatArray, colour: int) -> dict[str, Any]:
        around, values = _around(times, low * factor, high * factor)
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": around,
            "y": values,
            "fill": "toself",
            "colour": colour,
            "line": {"width": 0},
            "showlegend": False,
            "hoverinfo": "skip",
        }

    data = [band("least to largest", low, high, MEASURED), line("measured", mean, MEASURED, mode=_mode(mean))]
    layout: dict[str, Any] = {
        "height": SHORT_HEIGHT,
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "xaxis": {"title": {"text": "Time (UTC)"}, "type": "date"},
        "yaxis": {"title": {"text": f"{label} [{shown}]" if shown else label}},
    }
    if compared:
        data += [
            band("band", predicted - half_width, predicted + half_width, PREDICTED),
            line("predicted", predicted, PREDICTED),
            line("residual", mean - predicted, MEASURED, mode=_mode(mean), yaxis="y2", showlegend=False),
        ]
        aside = residual_unit if shown == unit else shown
        layout |= {
            "height": HEIGHT,
            "xaxis": layout["xaxis"] | {"anchor": "y2"},
            "yaxis": layout["yaxis"] | {"domain": UPPER_DOMAIN},
            "yaxis2": {
                "title": {"text": f"Residual [{aside}]" if aside else "Residual"},
                "domain": RESIDUAL_DOMAIN,
                "zeroline": True,
            },
        }
    return {"data": data, "layout": layout}


def _around(times: list[str], low: FloatArray, high: FloatArray) -> tuple[list[str | None], list[float | None]]:
    """Return the outlines of a band, one a stretch without gap, parted by None."""
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    across: list[str | None] = []
    values: list[float | None] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        there = times[start:end]
        across += [*there, *reversed(there), None]
        values += [*_plain(low[start:end]), *reversed(_plain(high[start:end])), None]
    return across[:-1], values[:-1]


def _mode(values: FloatArray) -> str:
    """Return how a line is drawn: with its points where one stands alone between gaps."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    return "lines+markers" if alone.any() else "lines"


def _plain(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
