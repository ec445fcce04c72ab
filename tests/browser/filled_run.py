"""A finished run whose page has something to show in every part."""

from tests.small_run import done_run
from twin.models import Run
from twin.runs import snapshot


def finished(layout, scenario) -> Run:
    """Return a finished run with every part of the results page filled."""
    run = done_run(layout, scenario)
    run.inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    run.figures |= {"cost_per_million_output_tokens_usd": 0.4, "pue": 1.1}
    run.details |= {
        "energy_flow": [
            {"source": "Grid", "target": "Racks", "energy_j": 7e12},
            {"source": "Grid", "target": "Cooling", "energy_j": 7e11},
        ],
        "costs": [{"item": "Energy", "usd_per_year": 2e5, "source": "tariff", "confidence": "derived"}],
        "mean_power_by_part_w": {"Accelerators": 2e5, "Chillers": 5e4},
        "limits": [{"object": "Site", "kind": "grid connection", "value": 2.5e5, "limit": 1e7, "unit": "W", "hour": 4}],
        "findings": [
            {
                "object_kind": "hall",
                "object_id": None,
                "object_name": "Hall",
                "rule": "air",
                "limit": 1.0,
                "severity": "risk",
                "value": 2.0,
                "unit": "m³/s",
                "message": "Too little air.",
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
            }
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
            ]
        },
        "failures": [{"object": "UPS-A", "capacity_frac": 0.9, "lost_tokens_per_s": 100.0, "message": "Losing it."}],
        "economiser_hours": {"Plant": 8760.0},
        "throttled_hours": 0.0,
        "confidence": "estimated",
    }
    run.save()
    return run
