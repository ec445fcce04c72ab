"""Runs as `twin.core.comparison.compare` reads them, with only what comparisons look at."""

from typing import Any

from tests.small_inputs import sheet, small_inputs
from twin.core.comparison.runs import ComparedRun
from twin.core.figures_of_merit import FIGURES
from twin.core.results.details import run_details
from twin.core.text.numbers import GAP


def plain(text: str) -> str:
    """Return a sentence with ordinary spaces."""
    return text.replace(GAP, " ")


def run(name: str, *, tokens: float, parts_w: dict[str, float], usd: dict[str, float], scenario: str = "Assistants"):
    figures = dict.fromkeys(figure.name for figure in FIGURES)
    figures |= {
        "output_tokens_per_s": tokens,
        "tokens_per_joule": tokens / sum(parts_w.values()),
        "mean_power_w": sum(parts_w.values()),
        "cost_per_million_output_tokens_usd": sum(usd.values()) / (tokens * 31.536),
    }
    region = sheet("regions", name="Virginia", facts={"electricity_usd_per_kwh": 0.1})
    return ComparedRun(
        id=name,
        name=name,
        figures=figures,
        bands={},
        details=run_details(
            {
                "mean_power_by_part_w": parts_w,
                "costs": [{"item": item, "usd_per_year": value} for item, value in usd.items()],
                "solver": {"version": "1"},
                "per_workload": [],
            }
        ),
        inputs=small_inputs(
            racks={"id": [1], "product_id": [None], "n_systems": [1]},
            site={"name": "Sterling", "grid_limit_w": 1e7, "region": region},
            layout={"name": name, "version": 1},
            weather={"name": "Sterling TMY3"},
            scenario={"name": scenario},
        ),
    )


def pool(name: str, **given: Any) -> dict[str, Any]:
    """Return a workload's row of a run that serves all it is asked for."""
    row = {
        "workload": name,
        "name": name,
        "model": "m",
        "model_name": "M",
        "accelerator": "gb200",
        "n_accelerators": 100.0,
        "configuration": "fp8, TP 8",
        "feasible": True,
        "reason": "",
        "offered_requests_per_s": 10.0,
        "served_requests_per_s": 10.0,
        "output_tokens_per_s": 1000.0,
        "goodput_tokens_per_s": 1000.0,
        "ttft_p50_s": 0.1,
        "ttft_p95_s": 0.5,
        "itl_p50_s": 0.01,
        "itl_p95_s": 0.02,
        "target_ttft_s": 1.0,
        "target_itl_s": 0.05,
        "slo_attainment_frac": 1.0,
    }
    return row | given
