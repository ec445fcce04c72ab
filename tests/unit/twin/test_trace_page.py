"""The page that reads a trace of one's own."""

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from compute.replay.formats import trace_source
from compute.replay.summary import trace_summary
from tests.small_site import product
from tests.unit.compute.test_trace_formats import MOONCAKE, SEMICOLONS

FIELDS = {
    "delimiter": ",",
    "decimal": ".",
    "characters_per_token": "4",
    "system": "dgx-h100",
    "model": "llama-3.1-8b",
    "engine": "vllm",
    "target_ttft_s": "5",
    "target_itl_s": "50",
}


@pytest.fixture(autouse=True)
def catalogue(db):
    for kind, slug in (("systems", "dgx-h100"), ("accelerators", "h100-sxm"), ("models", "llama-3.1-8b")):
        product(kind, slug)


def test_a_summary_is_that_of_the_requests(tmp_path):
    rng = np.random.default_rng(1)
    times, prompts = np.sort(rng.uniform(0, 3600, 5000)), rng.integers(100, 900, 5000)
    file = tmp_path / "trace.csv"
    rows = "".join(f"{t:.3f},{p},50\n" for t, p in zip(times, prompts, strict=True))
    file.write_text("arrival_s,input_tokens,output_tokens\n" + rows + "x,1,1\n")
    found = trace_summary(trace_source(file))
    assert (found.requests, found.refused) == (5000, 1)
    assert found.input_tokens == pytest.approx(prompts.mean())
    assert found.requests_per_s == pytest.approx(5000 / 3600, rel=0.01)
    assert found.dispersion == pytest.approx(1.0, abs=0.4)  # uniform times are Poisson's; 60 windows
    assert found.workload().output_tokens == 50


def test_a_trace_is_read_and_answered(admin_client):
    upload = SimpleUploadedFile("trace.jsonl", MOONCAKE.encode())
    text = admin_client.post(reverse("trace"), FIELDS | {"file": upload}).content.decode()
    assert "2 requests, read as Mooncake" in text
    assert "vllm serve" in text


def test_what_cannot_be_read_is_said_beside_the_file(admin_client):
    upload = SimpleUploadedFile("trace.csv", SEMICOLONS.encode())
    text = admin_client.post(reverse("trace"), FIELDS | {"file": upload}).content.decode()
    assert "divided by" in text
    again = SimpleUploadedFile("trace.csv", SEMICOLONS.encode())
    asked = FIELDS | {"file": again, "delimiter": ";", "decimal": ","}
    assert "2 requests" in admin_client.post(reverse("trace"), asked).content.decode()


def test_a_traces_configuration_is_pinned_and_a_release_without_runs_is_said_so(admin_client):
    def answered(**asked):
        upload = SimpleUploadedFile("trace.jsonl", MOONCAKE.encode())
        return admin_client.post(reverse("trace"), FIELDS | {"file": upload} | asked).content.decode()

    text = answered(configuration="bf16, TP 2, batch 8", engine_version="99.1")
    assert "bf16, TP 2, batch 8" in text
    assert "(pinned)" in text
    assert "No measured runs of vllm 99.1 on hopper" in text
    assert "A free search finds" in text
    assert "&#x27;TP many&#x27; cannot be read" in answered(configuration="TP many")
    assert "llama-3.1-8b has no prediction module" in answered(configuration="bf16, TP 2, MTP 2")
