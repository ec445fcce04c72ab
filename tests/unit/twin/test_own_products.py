"""load_model and the page of one's own entries."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from facility.models import Product
from tests.unit.compute.test_model_configs import LLAMA


def test_load_model_reads_a_config_and_says_its_shape(db, tmp_path, capsys):
    file = tmp_path / "Our-8B" / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(LLAMA))
    call_command("load_model", str(file))
    assert "our-8b: 8.03 billion parameters" in capsys.readouterr().out
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    cases.write_text(
        "case_id,accelerator,model,weight_precision,tensor_parallel,input_tokens,output_tokens,concurrency\n"
        "a,h100-sxm,Our-8B,fp8,1,1000,200,8\n"
    )
    call_command("predict_serving", str(cases), str(out))
    assert "1 of 1 cases answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "is no JSON"),
        ("[1]", "not a config.json"),
        (json.dumps(LLAMA | {"hidden_size": "wide"}), "hidden_size is 'wide'"),
        (json.dumps(LLAMA | {"num_key_value_heads": "x"}), "x"),
    ],
)
def test_load_model_refuses_a_bad_file_and_keeps_nothing(db, tmp_path, text, words):
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(CommandError, match=words):
        call_command("load_model", str(file))
    assert not Product.objects.exists()


def test_the_page_takes_a_model_and_an_accelerator(admin_client):
    page = reverse("own-products")
    upload = SimpleUploadedFile("Ours_config.json", json.dumps(LLAMA).encode())
    admin_client.post(page, {"kind": "model", "model-file": upload})
    assert Product.objects.get(kind="models").slug == "ours"
    figures = {
        "name": "Our part",
        "source": "data sheet",
        "launch_year": "2026",
        "memory_type": "HBM4",
        "cooling": "air",
        "hbm_bytes": "200",
        "hbm_bandwidth_bytes_per_s": "9 TB/s",
        "peak_bf16_dense_flops_per_s": "1.5 PFLOP/s",
        "scaleup_domain_size": "8",
        "tdp_w": "900",
    }
    admin_client.post(page, {"kind": "accelerator"} | {f"accelerator-{name}": v for name, v in figures.items()})
    assert Product.objects.get(kind="accelerators").facts["tdp_w"] == 900
    bad = admin_client.post(page, {"kind": "model", "model-file": SimpleUploadedFile("x.json", b"{}")})
    assert "hidden_size is None" in bad.content.decode()


def test_an_accelerator_of_ones_own_is_explored_before_a_system_has_it(admin_client):
    from tests.small_site import product

    for kind, slug in (("models", "llama-3.1-8b"), ("workloads", "enterprise_assistants")):
        product(kind, slug)
    figures = {
        "name": "Our part",
        "source": "data sheet",
        "launch_year": "2026",
        "memory_type": "HBM4",
        "cooling": "air",
        "hbm_bytes": "200",
        "hbm_bandwidth_bytes_per_s": "9 TB/s",
        "peak_bf16_dense_flops_per_s": "1.5 PFLOP/s",
        "scaleup_domain_size": "8",
        "tdp_w": "900",
    }
    asked = {"kind": "accelerator"} | {f"accelerator-{name}": v for name, v in figures.items()}
    admin_client.post(reverse("own-products"), asked)
    address = {"system": "our-part", "model": "llama-3.1-8b", "workload": "enterprise_assistants", "engine": "vllm"}
    page = admin_client.get(reverse("serving"), address, headers={"HX-Request": "true"}).content.decode()
    assert "Configuration for the targets" in page
    assert '>900<span class="unit">' in page  # its thermal design power
