"""Launch settings of a run, on its page and through the API."""

import pytest
from django.urls import reverse

from tests.small_run import done_run, small_scenario
from twin.runs import snapshot

ROW = {
    "workload": "enterprise_assistants",
    "name": "Assistants",
    "model": "llama-3.1-70b",
    "model_name": "Llama-3.1-70B",
    "accelerator": "gb200",
    "configuration": "fp8, TP 4",
    "weight_precision": "fp8",
    "feasible": True,
    "reason": "",
    "mean_tokens": 1300.0,
    "longest_tokens": 12288.0,
}


@pytest.fixture
def run(db):
    from tests.small_site import product

    product("models", "llama-3.1-70b")
    layout, scenario = small_scenario()
    run = done_run(layout, scenario)
    run.inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    run.details |= {"per_workload": [ROW, ROW | {"feasible": False, "reason": "weights need 405 GB"}]}
    run.save()
    return run


def test_a_run_hands_out_launch_settings_by_use_case(run, admin_client):
    page = admin_client.get(reverse("run-launch", args=[run.id])).content.decode()
    assert "vllm serve meta-llama/Llama-3.1-70B --tensor-parallel-size 4" in page
    assert "not checked" in page
    assert "weights need 405 GB" in page
    rows = admin_client.get(f"/api/runs/{run.id}/launch/").json()
    assert rows[0]["launches"][0]["parts"][0]["settings"]["--max-model-len"] == 12288
    assert (rows[1]["launches"], rows[1]["reason"]) == ([], "weights need 405 GB")
