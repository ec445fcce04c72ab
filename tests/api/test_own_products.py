"""/api/catalogue/models/ and …/accelerators/: entries of one's own, and what they are good for."""

from rest_framework.test import APIClient

from facility.models import ApiToken, Product
from tests.api.conftest import member
from tests.small_site import product
from tests.unit.compute.test_model_configs import LLAMA

MODELS, ACCELERATORS = "/api/catalogue/models/", "/api/catalogue/accelerators/"
PART = {
    "launch_year": 2026,
    "memory_type": "HBM4",
    "hbm_bytes": 200e9,
    "hbm_bandwidth_bytes_per_s": 9e12,
    "tdp_w": 900,
    "peak_bf16_dense_flops_per_s": 1.5e15,
    "peak_fp8_dense_flops_per_s": 3e15,
    "scaleup_domain_size": 8,
    "cooling": "liquid",
}
ROW = {
    "case_id": "a",
    "accelerator": "our-part",
    "model": "our-model",
    "weight_precision": "fp8",
    "engine": "vllm",
    "tensor_parallel": 1,
    "input_tokens": 1024,
    "output_tokens": 256,
    "concurrency": 16,
}


def test_a_model_and_an_accelerator_of_ones_own_are_predicted_with_wider_bands(planner):
    for kind, slug in (("accelerators", "h100-sxm"), ("models", "llama-3.1-8b")):
        product(kind, slug)
    made = planner.post(MODELS, {"name": "Our Model", "config": LLAMA}, format="json")
    assert (made.status_code, made.json()["slug"], made.json()["confidence"]) == (201, "our-model", "entered")
    part = planner.post(ACCELERATORS, {"name": "Our part", "facts": PART, "source": "data sheet"}, format="json")
    assert part.status_code == 201, part.json()
    known = ROW | {"accelerator": "h100-sxm", "model": "llama-3.1-8b"}
    rows = planner.post("/api/serving/predict/", {"rows": [ROW, known]}, format="json").json()["rows"]
    assert all(row["feasible"] for row in rows)
    own, usual = (row["itl_s_high"] / row["itl_s_low"] for row in rows)
    assert own > usual


def test_a_token_of_some_sites_writes_nothing_that_is_of_none(asked, admin_user):
    engineer = member(asked.site, "engineer")
    for user in (engineer, admin_user):
        token, secret = ApiToken.issue(user=user, name="narrow", read_only=False)
        token.sites.set([asked.site])
        program = APIClient()
        program.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
        for address, body in (
            (MODELS, {"name": "Mine", "config": LLAMA}),
            (ACCELERATORS, {"name": "Our part", "facts": PART, "source": "data sheet"}),
            ("/api/organisations/", {"slug": "north", "name": "North"}),
        ):
            answer = program.post(address, body, format="json")
            assert answer.status_code == 403, address
            assert "limited to some sites" in answer.json()["message"]
    assert not Product.objects.filter(slug__in=["mine", "our-part"]).exists()


def test_a_model_of_ones_own_is_brought_up_to_date_and_a_shipped_one_is_not_replaced(planner):
    for heads in (8, 4):
        planner.post(MODELS, {"name": "Mine", "config": LLAMA | {"num_key_value_heads": heads}}, format="json")
    assert Product.objects.get(kind="models", slug="mine").facts["kv_heads"] == 4
    refused = planner.post(MODELS, {"name": "DeepSeek-R1", "config": LLAMA}, format="json")
    assert refused.status_code == 400
    assert "deepseek-r1 is a shipped entry" in refused.json()["message"]


def test_what_cannot_be_represented_is_refused_by_name_and_nothing_is_kept(planner):
    refused = planner.post(MODELS, {"name": "Mine", "config": LLAMA | {"block_configs": [{}]}}, format="json")
    assert refused.status_code == 400
    assert "layers that each have their own shape" in refused.json()["message"]
    facts = {name: value for name, value in PART.items() if name != "hbm_bytes"}
    refused = planner.post(ACCELERATORS, {"name": "Mine", "facts": facts, "source": "x"}, format="json")
    assert "hbm_bytes is missing" in refused.json()["message"]
    refused = planner.post(ACCELERATORS, {"name": "Mine", "facts": PART | {"tdp_w": -1}, "source": "x"}, format="json")
    assert "tdp_w" in refused.json()["message"]
    assert not Product.objects.filter(slug="mine").exists()


def test_only_planners_and_engineers_add_entries(viewer):
    assert viewer.post(MODELS, {"name": "Mine", "config": LLAMA}, format="json").status_code == 403
