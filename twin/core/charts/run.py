"""Charts as Plotly dictionaries: data, layout, axis titles with units. Colours and fonts come from the page's tokens.

A trace or node that wants a category colour carries `"colour": n`; `charts.js` puts the token `--cat-n` there, so that
light and dark need no second set of figures.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.charts import geometry
from twin.core.charts.geometry import HOURS_PER_DAY, days_of, display_scale
from twin.core.comparison.compare import Waterfall
from twin.core.figures_of_merit import Series
from twin.core.results.details import CostItem, FlowRow
from twin.core.text.numbers import quantity_text

SANKEY_HEIGHT, SANKEY_MARGIN, SANKEY_PAD = 380, 8, 18  # pixels; the pad is between two nodes of a column
N_DURATION_POINTS = 400
NAME_WIDTH = 20  # characters in a line beside a bar: leaves half of a phone to the bars
#: What the meter's power goes to, bottom to top; the second and the last are what the named series leave.
POWER_PARTS = (
    ("accelerator_power_w", "Accelerators"),
    ("other_it_power_w", "Other in racks"),
    ("air_unit_power_w", "Air units"),
    ("pump_power_w", "Pumps and CDUs"),
    ("chiller_power_w", "Chillers"),
    ("heat_rejection_power_w", "Heat rejection"),
    ("distribution_power_w", "Distribution and the facility's own"),
)


def axis_title(label: str, unit: str) -> str:
    """Return an axis title with its unit in brackets."""
    return f"{label} [{unit}]" if unit else label


def rounded(values: NDArray[np.floating], digits: int = 4) -> list[float | None]:
    """Return numbers with that many significant digits, so that a year stays small on the wire; NaN becomes None."""
    values = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        decimals = digits - 1 - np.floor(np.log10(np.abs(values)))
    factor = 10.0 ** np.clip(np.where(np.isfinite(decimals), decimals, 0), -12, 12)
    short = np.round(values * factor) / factor
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in short]


def daily_means(values: NDArray[np.floating] | None) -> list[float] | None:
    """Return the mean of each day, or None without values."""
    return None if values is None else np.nanmean(days_of(values), axis=1).tolist()


def weekly_means(values: NDArray[np.floating] | None) -> list[float] | None:
    """Return the mean of each whole week, for small lines that show the year and not its working days."""
    if values is None or values.size < 2 * 7 * HOURS_PER_DAY:
        return None
    weeks = values.size // (7 * HOURS_PER_DAY)
    whole = np.asarray(values[: weeks * 7 * HOURS_PER_DAY], dtype=float)
    return whole.reshape(weeks, -1).mean(axis=1).tolist()


def summary(values: NDArray[np.floating]) -> dict[str, float]:
    """Return the figures beside a series: least, mean, most, and what 5 and 95 of 100 hours do not exceed."""
    p5, p95 = np.nanpercentile(values, [5, 95])
    return {
        "least": float(np.nanmin(values)),
        "p5": float(p5),
        "mean": float(np.nanmean(values, dtype=float)),
        "p95": float(p95),
        "most": float(np.nanmax(values)),
    }


def months(values: NDArray[np.floating]) -> list[dict[str, Any]]:
    """Return least, mean and most of each month of a year."""
    values = np.asarray(values, dtype=float)
    return [
        {"name": name, "least": float(np.nanmin(part)), "mean": float(np.nanmean(part)), "most": float(np.nanmax(part))}
        for name, part in ((name, values[span]) for name, span in geometry.month_spans(values.size))
        if np.isfinite(part).any()
    ]


def power_table(series: Mapping[str, NDArray[np.floating]]) -> list[dict[str, Any]]:
    """Return the yearly means behind the power stack, with their shares of the meter."""
    if "meter_power_w" not in series:
        return []
    meter_w = float(np.mean(series["meter_power_w"], dtype=float))
    rows = [
        {"label": label, "mean_w": mean_w, "share": mean_w / meter_w if meter_w else None}
        for label, mean_w in ((label, float(np.mean(values, dtype=float))) for label, values in power_parts(series))
    ]
    return [*rows, {"label": "Meter", "mean_w": meter_w, "share": 1.0}]


def power_parts(series: Mapping[str, NDArray[np.floating]]) -> list[tuple[str, NDArray[np.floating]]]:
    """Return what the meter's power goes to, label and hours, without parts that are nothing all year."""
    parts = dict(series)
    if "it_power_w" in series and "accelerator_power_w" in series:
        parts["other_it_power_w"] = series["it_power_w"] - series["accelerator_power_w"]
    if "it_power_w" in series and "meter_power_w" in series:
        cooling = ("air_unit_power_w", "pump_power_w", "chiller_power_w", "heat_rejection_power_w")
        named = series["it_power_w"] + sum(series[name] for name in cooling if name in series)
        parts["distribution_power_w"] = np.maximum(series["meter_power_w"] - named, 0.0)
    return [(label, parts[name]) for name, label in POWER_PARTS if name in parts and np.max(parts[name]) > 0]


def year_map(series: Series, values: NDArray[np.floating]) -> dict[str, Any]:
    """Return a heat map of the year: day across, hour up."""
    factor, unit = display_scale(values, series.unit)
    hours = geometry.year_map(values) * factor
    flat, n_days = rounded(hours.ravel()), hours.shape[1]
    return {
        "data": [
            {
                "type": "heatmap",
                "z": [flat[h * n_days : (h + 1) * n_days] for h in range(HOURS_PER_DAY)],
                "colorscale": "Viridis",
                "hoverongaps": False,
                "colorbar": {"title": {"text": unit or series.label, "side": "top"}, "thickness": 12, "len": 1},
                "hovertemplate": f"day %{{x}}, %{{y}}:00<br>%{{z:.4~g}} {unit}<extra></extra>",
            }
        ],
        "layout": {
            "height": 260,
            "xaxis": _days_across(np.size(values)),
            "yaxis": {"title": {"text": "Hour of the day [h]"}, "tickvals": list(geometry.HOUR_TICKS)},
        },
    }


def _days_across(n_hours: int) -> dict[str, Any]:
    return {
        "title": {"text": "Day of the year"},
        "tickvals": list(geometry.month_starts(n_hours)),
        "ticktext": list(geometry.MONTHS),
    }


def duration(series: Series, values: NDArray[np.floating]) -> dict[str, Any]:
    """Return the duration curve: how many hours the series is at least that high."""
    hours, heights = geometry.duration(values, N_DURATION_POINTS)
    factor, unit = display_scale(values, series.unit)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": hours.tolist(),
                "y": rounded(heights * factor),
                "colour": 1,
                "hovertemplate": f"%{{x:,}} h at %{{y:.4~g}} {unit} or more<extra></extra>",
            }
        ],
        "layout": {
            "height": 260,
            "xaxis": {"title": {"text": "Hours at or above [h]"}, "range": [0, int(hours[-1])]},
            "yaxis": {"title": {"text": axis_title(series.label, unit)}, "rangemode": zero_mode(series.unit)},
        },
    }


def zero_mode(unit: str) -> str:
    """Return Plotly's range mode: axes start at the physical zero where ratios matter, not for temperatures."""
    return "normal" if unit in ("°C", "") else "tozero"


def power_stack(series: Mapping[str, NDArray[np.floating]]) -> dict[str, Any] | None:
    """Return the daily mean power by what it goes to, stacked up to the meter."""
    if "meter_power_w" not in series:
        return None
    factor, unit = display_scale(series["meter_power_w"], "W")
    traces = []
    for n, (label, values) in enumerate(power_parts(series), start=1):
        means = np.array(daily_means(values)) * factor
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "stackgroup": "power",
                "name": label,
                "y": rounded(means),
                "x0": 0,
                "colour": n,
                "line": {"width": 0.5},
                "hovertemplate": f"%{{y:.3~g}} {unit}",
            }
        )
    return {
        "data": traces,
        "layout": {
            "height": 320,
            "hovermode": "x unified",
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
            "xaxis": _days_across(np.size(series["meter_power_w"])),
            "yaxis": {"title": {"text": axis_title("Daily mean power", unit)}, "rangemode": "tozero"},
        },
    }


def energy_flow(flows: Sequence[FlowRow]) -> dict[str, Any] | None:
    """Return the Sankey of the year's energy from the grid to tokens and losses.

    Plotly stacks the nodes of a column in an order of its own: given places, it would not sort the bands by them.
    """
    found = geometry.energy_flow(flows, SANKEY_PAD / (SANKEY_HEIGHT - 2 * SANKEY_MARGIN))
    if found is None:
        return None
    nodes, bands = found.nodes, found.bands
    factor, unit = display_scale(np.array([node.energy_j for node in nodes]), "Wh")
    return {
        "data": [
            {
                "type": "sankey",
                "arrangement": "snap",
                "valueformat": ".3~g",
                "valuesuffix": f" {unit}",
                "node": {
                    "label": [f"{node.name}  {quantity_text(node.energy_j, 'Wh')}" for node in nodes],
                    "pad": SANKEY_PAD,
                    "thickness": 14,
                    "line": {"width": 0},
                    "hovertemplate": "%{label}<extra></extra>",
                    "colours": [node.category for node in nodes],
                },
                "link": {
                    "source": [band.source for band in bands],
                    "target": [band.target for band in bands],
                    "value": rounded(np.array([band.energy_j for band in bands]) * factor, 5),
                    "colours": [nodes[band.target].category for band in bands],
                    "hovertemplate": "%{source.label} → %{target.label}<br>%{value}<extra></extra>",
                },
            }
        ],
        "layout": {"height": SANKEY_HEIGHT, "margin": dict.fromkeys("lrtb", SANKEY_MARGIN)},
    }


def costs(rows: Sequence[CostItem]) -> dict[str, Any] | None:
    """Return the yearly cost by item, largest on top."""
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: row.usd_per_year)
    values = np.array([row.usd_per_year for row in ordered], dtype=float)
    factor, unit = display_scale(values, "$")
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": rounded(values * factor),
                "y": [_in_lines(row.item) for row in ordered],
                "hovertext": [row.item for row in ordered],
                "colour": 1,
                "hovertemplate": f"%{{hovertext}}: %{{x:.3~g}} {unit} a year<extra></extra>",
            }
        ],
        "layout": {
            "height": 70 + 32 * len(ordered),
            "bargap": 0.35,
            "xaxis": {"title": {"text": f"Cost a year [{unit}]"}, "rangemode": "tozero"},
            "yaxis": {"automargin": True},
        },
    }


def _in_lines(name: str) -> str:
    """Return a name as Plotly breaks it beside a bar."""
    return "<br>".join(wrap(name, NAME_WIDTH))


def waterfall(fall: Waterfall, start: str, end: str, n_steps: int = geometry.N_STEPS) -> dict[str, Any]:
    """Return the waterfall from one run's figure to another's, downwards; an axis that does not start at 0 says so.

    Parameters
    ----------
    fall : Waterfall
        The steps between the figures.
    start, end : str
        Names of the two runs.
    n_steps : int
        Steps that are shown; the rest is one more.
    """
    found = geometry.waterfall(fall, start, end, n_steps)
    names = [bar.name for bar in found.bars]
    factor, unit = display_scale(np.array([fall.start, fall.end]), fall.unit)
    axis: dict[str, Any] = {"title": {"text": f"[{unit}]"}}
    if not found.from_zero:
        axis = {
            "title": {"text": f"[{unit}], not from 0"},
            "range": rounded(np.array([found.low, found.high]) * factor),
        }
    return {
        "data": [
            {
                "type": "waterfall",
                "orientation": "h",
                "x": rounded(np.array([bar.change for bar in found.bars]) * factor),
                "y": list(range(len(names))),
                "measure": ["absolute", *(["relative"] * (len(names) - 2)), "total"],
                "hovertext": names,
                "hovertemplate": f"%{{hovertext}}: %{{x:.3~g}} {unit}<extra></extra>",
            }
        ],
        "layout": {
            "height": 70 + 32 * len(names),
            "waterfallgap": 0.35,
            "xaxis": axis,
            "yaxis": {
                "tickvals": list(range(len(names))),
                "range": [len(names) - 0.4, -0.6],
                "showgrid": False,
                "zeroline": False,
                "ticktext": [_in_lines(name) for name in names],
            },
        },
    }


def sessions(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chart of `serving.explore.session_load`: a request's time and cache hits over sessions under way."""

    def line(name: str, label: str, unit: str, colour: int, scale: float = 1.0, **more: Any) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "marker": {"size": 5},
            "name": label,
            "colour": colour,
            "x": [point["sessions"] for point in found["points"]],
            "y": [point[name] * scale for point in found["points"]],
            "hovertemplate": f"%{{x:.3~g}} sessions per accelerator: %{{y:.3~g}} {unit}<extra></extra>",
            **more,
        }

    cached = line("cached_frac", "Prompt found in the cache", "%", 2, 100.0, yaxis="y2")
    return {
        "data": [line("request_s", "One request", "s", 1), {**cached, "line": {"dash": "dot"}}],
        "layout": {
            "height": 300,
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "margin": {"l": 56, "r": 56, "t": 24, "b": 44},
            "xaxis": {"title": {"text": "Sessions under way per accelerator"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "One request, to its last token [s]"}, "rangemode": "tozero"},
            "yaxis2": {
                "title": {"text": "Found in the cache [%]"},
                "overlaying": "y",
                "side": "right",
                "range": [0, 100],
                "tickmode": "array",
                "tickvals": [0, 20, 40, 60, 80, 100],
                "showgrid": False,
            },
        },
    }


def frontier(points: Any, wanted_tokens_per_s: float) -> dict[str, dict[str, Any]]:
    """Return the serving charts of a `frontier.Frontier` over speed per user: throughput, TTFT, power."""
    speed = rounded(points.user_tokens_per_s)
    hover = list(points.configuration)
    target = {"type": "line", "x0": wanted_tokens_per_s, "x1": wanted_tokens_per_s, "yref": "paper", "y0": 0, "y1": 1}
    across = {"title": {"text": "Speed per user [tok/s]"}, "rangemode": "tozero"}

    def line(values: NDArray[np.floating], name: str, unit: str, colour: int, **more: Any) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "marker": {"size": 5},
            "x": speed,
            "y": rounded(values),
            "name": name,
            "colour": colour,
            "text": hover,
            "hovertemplate": f"%{{x:.3~g}} tok/s per user: %{{y:.3~g}} {unit}<br>%{{text}}<extra></extra>",
            **more,
        }

    energy = line(points.joules_per_output_token, "Energy per token", "J/tok", 2, yaxis="y2")
    throughput = line(points.accelerator_tokens_per_s, "Throughput", "tok/s per accelerator", 1)
    right = {
        "title": {"text": "Energy, logarithmic [J/tok]"},
        "overlaying": "y",
        "side": "right",
        "type": "log",
        "tickmode": "array",
        "tickvals": [m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5)],
    }
    return {
        "throughput": {
            "data": [throughput, {**energy, "line": {"dash": "dot"}}],
            "layout": {
                "height": 380,
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
                "margin": {"l": 56, "r": 56, "t": 24, "b": 44},
                "xaxis": across,
                "shapes": [target],
                "yaxis": {"title": {"text": "Output per accelerator [tok/s]"}, "rangemode": "tozero"},
                "yaxis2": {**right, "showgrid": False},
            },
        },
        "ttft": {
            "data": [line(points.ttft_s, "Time to first token", "s", 3, mode="markers")],
            "layout": {
                "height": 260,
                "xaxis": across,
                "shapes": [target],
                "yaxis": {"title": {"text": "Time to first token [s]"}, "rangemode": "tozero"},
            },
        },
        "power": {
            "data": [line(points.accelerator_power_w, "Power", "W", 6, mode="markers")],
            "layout": {
                "height": 260,
                "xaxis": across,
                "shapes": [target],
                "yaxis": {"title": {"text": "Power per accelerator [W]"}, "rangemode": "tozero"},
            },
        },
    }
