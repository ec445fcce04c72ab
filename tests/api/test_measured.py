"""/api/serving/measured/, its page, and predict_serving on the same rows."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from tests.small_site import product
from tests.unit.compute.test_measured import BENCH, CARD, ROW

ADDRESS = "/api/serving/measured/"


@pytest.fixture(autouse=True)
def catalogue(db):
    for kind, slug in (
        ("accelerators", "b200-sxm"),
        ("accelerators", "h100-sxm"),
        ("models", "deepseek-r1"),
        ("models", "llama-3.1-8b"),
    ):
        product(kind, slug)


def test_runs_are_laid_beside_their_predictions(viewer):
    answer = viewer.post(ADDRESS, {"result": ROW}, format="json").json()
    assert [q["quantity"] for q in answer[0]["quantities"]] == [
        "ttft_s",
        "itl_s",
        "output_tokens_per_s",
        "accelerator_power_w",
    ]
    named = {"result": BENCH | {"model_id": "meta-llama/Llama-3.1-8B-Instruct"}, "deployment": CARD}
    assert viewer.post(ADDRESS, named, format="json").json()[0]["feasible"]
    distilled = {"result": ROW | {"model": "DeepSeek-R1-Distill-Llama-70B"}}
    assert "'distill' names another network" in viewer.post(ADDRESS, distilled, format="json").json()[0]["reason"]


def test_what_is_missing_is_asked_for(viewer):
    refused = viewer.post(ADDRESS, {"result": BENCH}, format="json")
    assert refused.status_code == 400
    assert "does not say accelerator" in refused.json()["message"]


def test_the_page_shows_error_band_and_terms(admin_client):
    page = reverse("measured-run")
    upload = SimpleUploadedFile("row.json", json.dumps(ROW).encode())
    text = admin_client.post(page, {"file": upload}).content.decode()
    assert "What a predicted decode step goes to" in text
    refused = admin_client.post(page, {"file": SimpleUploadedFile("row.json", b"{")}).content.decode()
    assert "is no JSON" in refused


def test_predict_serving_reads_result_rows(tmp_path, capsys):
    cases, out = tmp_path / "rows.json", tmp_path / "out.csv"
    cases.write_text(json.dumps([ROW, ROW | {"conc": 8}]))
    call_command("predict_serving", str(cases), str(out))
    assert "2 of 2 cases answered" in capsys.readouterr().out


def test_a_deployment_beside_the_file_is_written_as_pins_are(viewer, admin_client):
    stated = {"accelerator": "h100-sxm", "configuration": "bf16, TP 2, KV bf16"}
    named = {"result": BENCH | {"model_id": "meta-llama/Llama-3.1-8B-Instruct"}, "deployment": stated}
    (answer,) = viewer.post(ADDRESS, named, format="json").json()
    assert answer["feasible"]
    assert (answer["row"]["tensor_parallel"], answer["row"]["kv_precision"]) == ("2", "bf16")
    named["deployment"]["configuration"] = "TP many"
    assert "'TP many' cannot be read" in viewer.post(ADDRESS, named, format="json").json()["message"]
    upload = SimpleUploadedFile("row.json", json.dumps(ROW).encode())
    asked = {"file": upload, "configuration": "fp4, TP 8, MTP 2, acceptance 0.7", "engine_version": "99.1"}
    text = admin_client.post(reverse("measured-run"), asked).content.decode()
    assert "What a predicted decode step goes to" in text
