"""/api/schema/ and /api/docs/: what a program may rely on."""

import pytest
import yaml
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from compute.calibration.case_fields import INPUT_COLUMNS

PROBLEM = {"type", "title", "status", "detail", "instance", "message", "extra"}


@pytest.fixture(scope="module")
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_schema_is_answered_as_it_is_generated(schema, viewer):
    answer = viewer.get("/api/schema/")
    assert answer.status_code == 200
    assert yaml.load(answer.content, Loader=yaml.CSafeLoader)["paths"].keys() == schema["paths"].keys()


def test_the_schema_is_valid_and_complete(tmp_path):
    # --fail-on-warn: a view whose answer cannot be described is an error here, not a guess in the document.
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


def test_every_resource_is_in_the_schema(schema):
    assert schema["openapi"].startswith("3.")
    resources = {path.split("/")[2] for path in schema["paths"]}
    assert {
        "sites",
        "layouts",
        "halls",
        "racks",
        "cdus",
        "power-feeds",
        "cooling-plants",
        "catalogue",
        "scenarios",
        "runs",
        "comparisons",
        "telemetry",
    } <= resources


def test_every_operation_documents_its_refusals(schema):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/api/schema"):
                continue
            assert "401" in operation["responses"], f"{method} {path} does not say that it asks for a token"


def test_a_run_is_accepted_not_created(schema):
    assert "202" in schema["paths"]["/api/runs/"]["post"]["responses"]


def test_the_browser_of_the_api_needs_no_other_machine(asked, viewer):
    page = viewer.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page


def test_schema_and_browser_need_a_sign_in(nobody):
    for path in ("/api/schema/", "/api/docs/"):
        assert nobody.get(path).status_code == 401


def test_api_leads_to_its_browser(db):
    assert APIClient().get("/api/")["Location"] == "/api/docs/"


def test_an_unknown_address_has_the_one_error_shape(viewer):
    answer = viewer.get("/api/runs/00000000-0000-0000-0000-000000000000/")
    assert answer.status_code == 404
    assert set(answer.json()) == PROBLEM
    assert answer["Content-Type"] == "application/problem+json"


def test_a_malformed_header_or_token_is_refused_with_a_sentence(db):
    client = APIClient()
    for header in ("Token", "Token a b", "Token nonsense"):
        answer = client.get("/api/runs/", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["message"].endswith(".")


def test_an_expired_token_and_an_inactive_user_are_refused(asked, viewer):
    from django.utils import timezone

    from facility.models import ApiToken

    assert viewer.get("/api/runs/").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert viewer.get("/api/runs/").status_code == 401
    ApiToken.objects.update(expires_at=None)
    token = ApiToken.objects.get()
    token.user.is_active = False
    token.user.save()
    assert viewer.get("/api/runs/").status_code == 401


def test_a_secret_is_kept_only_as_a_hash(asked, viewer):
    from facility.models import ApiToken

    secret = viewer._credentials["HTTP_AUTHORIZATION"].split()[1]
    token = ApiToken.objects.get()
    assert secret not in str(vars(token))
    assert token.digest == ApiToken.digest_of(secret)


def test_every_refusal_is_documented_as_it_is_sent(schema):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/api/schema"):
                continue
            told = operation["responses"]
            assert {"400", "401", "429", "503"} <= set(told), (method, path)
            assert set(told["400"]["content"]) == {"application/problem+json"}, (method, path)
    assert set(schema["components"]["schemas"]["Error"]["required"]) == PROBLEM
    for name in ("Run", "RunDetail", "Comparison"):
        assert schema["components"]["schemas"][name]["properties"]["created_by"]["nullable"], name


def test_a_parameter_that_there_is_not_is_refused_with_those_there_are(viewer, nobody):
    refused = viewer.get("/api/runs/", {"satus": "done"})
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/problem+json")
    assert (
        "satus is no parameter here; there are layout, limit, offset, scenario, site, status"
        in (refused.json()["message"])
    )
    assert viewer.get("/api/runs/", {"status": "done", "limit": 1}).status_code == 200
    assert viewer.get("/api/racks/", {"layout": 1, "format": "json"}).status_code == 200
    assert viewer.post("/api/sites/import/?repalce=true", b"", content_type="application/yaml").status_code == 400
    assert nobody.get("/api/runs/", {"satus": "done"}).status_code == 401


def test_rows_of_serving_cases_are_described_with_columns_number_and_refusals(schema):
    told = schema["paths"]["/api/serving/predict/"]["post"]
    name = told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    rows = schema["components"]["schemas"][name]["properties"]["rows"]
    assert (rows["minItems"], rows["maxItems"]) == (1, 1000)
    assert [column for column in INPUT_COLUMNS if f"`{column}`" not in rows["description"]] == []
    for words in ("1,000 rows", "solver process", "says why in `reason`", "refused as a whole"):
        assert words in told["description"]
