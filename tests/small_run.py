"""A small site with racks and a scenario, and solvers that stand in for the real one where only its manners matter."""

import types
from collections.abc import Callable
from functools import cache

import numpy as np

from facility.models import Layout
from tests.small_site import described_layout, new_rack, product
from tests.stored_rows import Tables, can_be_put_in, put_in, rows_made
from twin.core.results.details import run_details
from twin.core.text.json_rows import as_json
from twin.models import Run, Scenario, ScenarioWorkload
from twin.runs import execution

DETAILS = {
    "per_workload": [],
    "costs": [{"item": "racks", "usd_per_year": 6000.0}],
    "mean_power_by_part_w": {"it_power_w": 240.0, "pump_power_w": 10.0},
    "limits": [],
    "findings": [],
    "balance": {"power_rel": 0.0, "heat_rel": 0.0},
    "solver": {
        "converged": True,
        "iterations": 3,
        "elapsed_s": 0.1,
        "version": "test",
        "digest": "ab" * 32,
        "message": "settled",
    },
}


def small_scenario(slug: str = "small") -> tuple[Layout, Scenario]:
    """Return a layout with two racks and a scenario that serves one use case."""
    if not can_be_put_in():
        return described_scenario(slug)
    put_in(_small_rows(slug))
    layout = Layout.objects.select_related("site__weather", "site__region").get()
    scenario = Scenario.objects.get()
    scenario.site = layout.site
    return layout, scenario


@cache
def _small_rows(slug: str) -> Tables:
    return rows_made(lambda: described_scenario(slug))


def described_scenario(slug: str) -> tuple[Layout, Scenario]:
    """Describe what `small_scenario` returns, row by row."""
    layout = described_layout(slug)
    for i in range(2):
        new_rack(layout, name=f"A-{i:02}", x_m=2.0 + 0.6 * i).save()
    scenario = Scenario.objects.create(site=layout.site, slug="assistants", name="Assistants")
    ScenarioWorkload.objects.create(scenario=scenario, workload=product("workloads", "enterprise_assistants"))
    return layout, scenario


def small_result(**figures: float | None) -> types.SimpleNamespace:
    """Return a result with the shape of `twin.core.solve.simulate.SimulationResult`."""
    return types.SimpleNamespace(
        figures={
            "output_tokens_per_s": 1000.0,
            "tokens_per_joule": 4.0,
            "ttft_p95_s": None,
            "cost_per_million_output_tokens_usd": 0.2,
        }
        | figures,
        bands={"output_tokens_per_s": [900.0, 1100.0]},
        details=run_details(DETAILS),
        series={"meter_power_w": np.full(8760, 2.5e5, np.float32), "pue": np.full(8760, 1.1, np.float32)},
        racks={"rack_id": np.arange(2), "mean_power_w": np.full(2, 1.2e5)},
    )


def use_solver(monkeypatch, solve: Callable) -> None:
    """Put `solve(inputs, progress)` in the place of the real solver."""
    monkeypatch.setattr(execution, "simulate", types.SimpleNamespace(simulate=solve))


def done_run(layout: Layout, scenario: Scenario) -> Run:
    """Return a finished run without solving anything."""
    from django.utils import timezone

    from twin.runs import services

    result, now = small_result(), timezone.now()
    return Run.objects.create(
        layout=layout,
        scenario=scenario,
        status=Run.Status.DONE,
        progress_frac=1.0,
        attempt=1,
        started_at=now,
        finished_at=now,
        figures=result.figures,
        bands=result.bands,
        details=as_json(result.details),
        inputs_sha256="0" * 64,
        solver_version="test",
        solver_digest="ab" * 32,
        series=services.arrays_packed(result.series),
        racks=services.arrays_packed(result.racks),
    )
