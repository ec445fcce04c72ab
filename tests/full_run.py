"""A finished run with every part that pages and reports show, without solving anything."""

import numpy as np

from facility.models import Layout, Rack
from tests.small_run import done_run
from twin.models import Run, Scenario
from twin.runs import services, snapshot


def full_run(layout: Layout, scenario: Scenario, **figures: float) -> Run:
    """Return a finished run of the layout as it is now; its numbers are made up but fit together."""
    run = done_run(layout, scenario)
    run.inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    run.figures |= {
        "cost_per_million_output_tokens_usd": 0.4,
        "pue": 1.1,
        "utilisation_frac": 0.42,
        "availability_frac": 0.9991,
        "ttft_p95_s": 0.83,
        "mean_power_w": 250e3,
        "peak_power_w": 300e3,
    } | figures
    run.bands |= {"pue": [1.08, 1.12], "ttft_p95_s": [0.5, 1.4]}
    run.details |= details()
    hours = np.arange(8760)
    run.series = services.arrays_packed(
        {
            "meter_power_w": (2.5e5 + 5e4 * np.sin(hours / 24)).astype(np.float32),
            "it_power_w": np.full(8760, 2.2e5, np.float32),
            "pue": np.full(8760, 1.1, np.float32),
            "output_tokens_per_s": np.full(8760, 1000, np.float32),
        }
    )
    ids = np.array(
        Rack.objects.filter(hall__layout=layout).order_by("hall_id", "row", "name").values_list("id", flat=True)
    )
    run.racks = services.arrays_packed(
        {
            "rack_id": ids,
            "mean_power_w": np.linspace(9e4, 1.1e5, ids.size),
            "max_power_w": np.linspace(1e5, 1.4e5, ids.size),
            "max_junction_degc": np.full(ids.size, 71.0),
            "throttled_hours": (np.arange(ids.size) == 0) * 12.0,
        }
    )
    run.save()
    return run


def details() -> dict:
    """Return details with a row of every kind; names hold what must be escaped."""
    return {
        "energy_flow": [
            {"source": "Grid", "target": "Racks", "energy_j": 7e12},
            {"source": "Grid", "target": "Cooling", "energy_j": 7e11},
            {"source": "Racks", "target": "Accelerators", "energy_j": 5e12},
            {"source": "Accelerators", "target": "Tokens", "energy_j": 4e12},
        ],
        "costs": [{"item": "Energy", "usd_per_year": 2e5}, {"item": "Systems", "usd_per_year": 9e5}],
        "capital": [{"item": "Building, site and engineering", "usd": 4e6, "low_usd": 3e6, "high_usd": 6e6}],
        "rent": {"usd_per_hour": 100.0, "cost_per_million_output_tokens_usd": 0.9},
        "sensitivities": [
            {
                "input": "electricity_usd_per_kwh",
                "low": 0.05,
                "high": 0.1,
                "unit": "$/kWh",
                "cost_low_usd": 0.3,
                "cost_high_usd": 0.5,
            }
        ],
        "mean_power_by_part_w": {"Accelerators": 2e5, "Chillers": 5e4},
        "per_workload": [
            {
                "name": "Assistants <i>",
                "model_name": "Llama",
                "configuration": "fp4, TP 1",
                "n_accelerators": 432.0,
                "offered_requests_per_s": 9.5,
                "output_tokens_per_s": 1000.0,
                "ttft_p50_s": 0.1,
                "ttft_p95_s": 0.83,
                "target_ttft_s": 1.0,
                "itl_p95_s": 0.02,
                "target_itl_s": 0.04,
                "slo_attainment_frac": 0.98,
                "feasible": True,
                "served_requests_per_s": 9.5,
                "workload": "enterprise_assistants",
                "model": "llama",
                "accelerator": "gb200",
                "tensor_parallel": 1,
                "weight_precision": "fp4",
                "reason": "",
                "itl_p50_s": 0.01,
                "input_tokens_per_s": 9000.0,
                "goodput_tokens_per_s": 980.0,
                "cached_prompt_frac": 0.41,
                "sessions_peak": 2150.0,
                "confidence": "derived",
                "source": "fit",
            }
        ],
        "limits": [
            {"object": "Site", "kind": "grid connection", "value": 3e5, "limit": 1e7, "unit": "W", "hour": 4},
            {"object": "Loop A", "kind": "rack coolant supply", "value": 41.0, "limit": 45.0, "unit": "°C", "hour": 0},
        ],
        "margins": [
            {"object": "Accelerators", "kind": "junction below throttling", "value": 18.5, "unit": "K"},
            {"object": "UPS-A", "kind": "feed rating", "value": 0.82, "unit": "%"},
        ],
        "findings": [
            {
                "object_kind": "hall",
                "object_id": None,
                "object_name": '=HYPERLINK("x")',
                "rule": "air",
                "limit": 1.0,
                "severity": "risk",
                "value": 2.0,
                "unit": "m³/s",
                "message": "Too little air →",
            }
        ],
        "assumptions": [
            {
                "object": "GB200",
                "field": "max_power_w",
                "value": 132e3,
                "unit": "W",
                "source": "manual",
                "confidence": "published",
            },
            {
                "object": "Model",
                "field": "shelf_efficiency",
                "value": [0.965, 0.95],
                "unit": "1",
                "source": "assumed",
                "confidence": "assumed",
            },
        ],
        "availability": {
            "groups": [
                {
                    "name": "UPS",
                    "n": 2,
                    "capacity_after_one_failure_frac": 1.0,
                    "availability_frac": 0.9999,
                    "lost_tokens_per_year": 1e6,
                    "one_more_gain_tokens_per_year": 1e5,
                }
            ],
            "lost_tokens_per_year": 1e6,
            "lost_tokens_p95_per_year": 4e6,
            "interruptions_per_year": 0.2,
            "mean_interruption_h": 3.0,
            "capacity_distribution": [
                {"capacity_frac": 1.0, "probability": 0.999, "h_per_year": 8751.0},
                {"capacity_frac": 0.5, "probability": 0.001, "h_per_year": 9.0},
            ],
        },
        "failures": [{"object": "UPS-A", "capacity_frac": 0.9, "lost_tokens_per_s": 100.0, "message": "Losing it."}],
        "drills": [
            {
                "plant": "Plant",
                "loss": "all pumps",
                "seconds_to_throttle": 38.0,
                "seconds_to_trip": None,
                "recovers_s": 310.0,
                "hottest_degc": 95.0,
                "followed_s": 3600.0,
            }
        ],
        "economiser_hours": {"Plant": 8760.0},
        "throttled_hours": 12.0,
        "confidence": "assumed",
    }
