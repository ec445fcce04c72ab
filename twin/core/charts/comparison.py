"""Charts of a comparison as Plotly dictionaries; `charts.js` gives them the page's colours."""

from typing import Any

import numpy as np

from twin.core.charts.geometry import display_scale
from twin.core.charts.run import axis_title, rounded
from twin.core.comparison.pareto import Point, TokenFrontier
from twin.core.text.numbers import band_text, quantity_text

LETTERS = "ABCDEF"


def token_frontier(frontier: TokenFrontier) -> dict[str, Any]:
    """Return tokens per second over a price: efficient runs joined by a line, bands as error bars, letters as names."""
    prices = np.array([point.price for point in frontier.points])
    tokens = np.array([point.output_tokens_per_s for point in frontier.points])
    scale_x, unit_x = display_scale(prices, frontier.unit)
    scale_y, unit_y = display_scale(tokens, "tok/s")
    efficient = sorted((p for p in frontier.points if p.efficient), key=lambda point: point.price)
    beaten = [point for point in frontier.points if not point.efficient]
    traces = [
        trace(
            efficient,
            "Pareto-efficient",
            scale_x,
            scale_y,
            colour=3,
            symbol="diamond",
            side="top right",
            mode="lines+markers+text",
        ),
        trace(
            beaten,
            "another run is better",
            scale_x,
            scale_y,
            colour=6,
            symbol="circle-open",
            side="bottom left",
            mode="markers+text",
        ),
    ]
    return {
        "data": [drawn for drawn in traces if drawn["x"]],
        "layout": {
            "height": 340,
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.12},
            "xaxis": {"title": {"text": axis_title(frontier.label, unit_x)}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": axis_title("Output tokens", unit_y)}, "rangemode": "tozero"},
        },
    }


def trace(
    points: list[Point], name: str, scale_x: float, scale_y: float, *, colour: int, symbol: str, side: str, mode: str
) -> dict[str, Any]:
    """Return some runs as one trace."""
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "colour": colour,
        "x": rounded(np.array([point.price for point in points]) * scale_x),
        "y": rounded(np.array([point.output_tokens_per_s for point in points]) * scale_y),
        "text": [LETTERS[point.run] for point in points],
        "textposition": side,
        "line": {"dash": "dot"},
        "marker": {"size": 11, "symbol": symbol},
        "customdata": [hover(point) for point in points],
        "hovertemplate": "%{customdata}<extra></extra>",
        "error_x": error_bars([(point.price, point.price_band) for point in points], scale_x),
        "error_y": error_bars([(point.output_tokens_per_s, point.output_band) for point in points], scale_y),
    }


def hover(point: Point) -> str:
    """Return what stands beside the pointer."""
    return f"{LETTERS[point.run]} {point.name}: {quantity_text(point.output_tokens_per_s, 'tok/s')} " + band_text(
        point.output_band, point.output_tokens_per_s
    )


def error_bars(values: list[tuple[float, list[float] | None]], scale: float) -> dict[str, Any]:
    """Return 80 % bands as Plotly's error bars; a value without a band has none."""
    above = [(band[1] - value) * scale if band else 0.0 for value, band in values]
    below = [(value - band[0]) * scale if band else 0.0 for value, band in values]
    return {
        "type": "data",
        "symmetric": False,
        "array": rounded(np.array(above)),
        "arrayminus": rounded(np.array(below)),
        "thickness": 1,
    }
