"""What no caller should send: each is refused in the API's own shape, with the right status, and changes nothing."""

import errno
import json

import pytest
from django.db import OperationalError
from django.urls import reverse

from facility.models import Layout, Rack
from tests.small_run import done_run
from twin.models import Run

pytestmark = pytest.mark.django_db
PROBLEM = {"type", "title", "status", "detail", "instance", "message", "extra"}
HUGE = ["1e22", "-1e35", "9" * 40, "-1", "nan", "inf", "0x1", "", " ", "1.5", "\x00", "\ud800", "'", "%", "[]", "😀"]


def is_problem(answer, *statuses: int) -> bool:
    body = json.loads(answer.content)
    shaped = set(body) == PROBLEM and body["status"] == answer.status_code and body["detail"] == body["message"]
    return shaped and answer["Content-Type"] == "application/problem+json" and answer.status_code in statuses


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 200_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"\xff\xfe", 400),
        (b"nul", 400),
        (b'{"layout": NaN}', 400),
        (b'{"layout": 1e999}', 400),
        (b'{"layout": ' + b"9" * 10_000 + b"}", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"null", 400),
        (b" " * (5 * 2**20 + 1), 413),
        (b'{"layout": "\\u0000"}', 400),
        (b'{"layout": "\\ud800"}', 400),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_body_that_cannot_be_taken_is_refused_everywhere(planner, asked, body, status):
    for address in ("runs", "racks", "layouts", "scenarios", "comparisons", "serving", "serving/predict", "racks/row"):
        answer = planner.generic("POST", f"/api/{address}/", body, content_type="application/json")
        assert is_problem(answer, status), (address, answer.status_code, answer.content[:300])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a: !!int x",
        b"a: !!timestamp x",
        b"a: !!binary x",
        b"a: !!bool x",
        b"? {}",
        b"[" * 200_000,
        b"\xff",
        b"site: 1",
        b"site: {slug: 5}",
        b"format: ai-factory-site/1\nsite: []",
        b"a: &a [*a]",
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_site_file_that_cannot_be_taken_is_refused(planner, body):
    for query in ("", "?replace=true"):
        answer = planner.generic("POST", f"/api/sites/import/{query}", body, content_type="application/yaml")
        assert is_problem(answer, 400), (answer.status_code, answer.content[:300])


@pytest.mark.slow
def test_numbers_of_the_address_that_are_none_are_refused_or_find_nothing(planner, asked):
    run = done_run(asked.layout, asked.scenario)
    lists = {
        "racks": ("layout", "hall", "cdu", "site", "role", "product", "limit", "offset"),
        "halls": ("layout", "site", "name"),
        "cdus": ("layout",),
        "power-feeds": ("layout",),
        "layouts": ("site",),
        "cooling-plants": ("layout",),
        "air-units": ("layout",),
        "floor-features": ("layout",),
        "runs": ("site", "layout", "scenario", "status", "limit", "offset"),
        "scenarios": ("site__slug", "slug"),
        "sites": ("region__slug",),
        "catalogue": ("kind", "vendor", "name", "confidence"),
        f"runs/{run.id}/series": ("names",),
        "comparisons": ("limit", "offset"),
    }
    for address, names in lists.items():
        for name in names:
            for value in HUGE:
                answer = planner.get(f"/api/{address}/", {name: value.encode("utf-8", "surrogatepass")})
                assert answer.status_code == 200 or is_problem(answer, 400, 404), (address, name, value)
    for address in ("racks", "halls", "layouts", "cdus"):
        for number in ("9" * 30, "0", "x", "-1"):
            assert is_problem(planner.get(f"/api/{address}/{number}/"), 404), (address, number)


def test_what_is_not_there_is_json_whatever_is_accepted(planner, nobody):
    for address in ("/api/nothing/", "/api/layouts/1/nothing/", "/api/runs/not-a-uuid/", "/api/sites/-/", "/api/x"):
        for accept in ("text/html", "application/yaml", "*/*", "nonsense"):
            assert is_problem(planner.get(address, headers={"Accept": accept}), 404), (address, accept)
    assert is_problem(planner.delete("/api/catalogue/kinds/"), 405)
    assert is_problem(planner.generic("POST", "/api/runs/", b"<a/>", content_type="text/xml"), 415)
    assert is_problem(nobody.get("/api/runs/", headers={"Accept": "text/html"}), 401)


def test_a_body_without_an_end_or_beyond_every_bound_is_refused_unread(planner):
    chunked = planner.generic("POST", "/api/sites/import/", b"", HTTP_TRANSFER_ENCODING="chunked")
    assert is_problem(chunked, 411)
    for address in ("/api/sites/import/", "/api/runs/", "/api/nothing/"):
        assert is_problem(planner.generic("POST", address, b"", CONTENT_LENGTH=str(200 * 2**20)), 413)
    assert is_problem(planner.generic("POST", "/api/runs/", b"", CONTENT_LENGTH="9" * 5000), 400)
    page = planner.generic("POST", reverse("login"), b"", CONTENT_LENGTH=str(200 * 2**20))
    assert (page.status_code, b"This request was refused" in page.content) == (413, True)


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (OperationalError("database or disk is full"), 507, "disk of the server is full"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "disk of the server is full"),
        (OperationalError("server closed the connection"), 503, "database cannot be reached"),
    ],
    ids=["database full", "disk full", "database away"],
)
def test_a_fault_of_the_surroundings_is_said_in_words(planner, asked, monkeypatch, fault, status, said, client):
    def fail(*_, **__):
        raise fault

    monkeypatch.setattr("facility.services.part_save", fail)
    rack = Rack.objects.first()
    answer = planner.patch(f"/api/racks/{rack.pk}/", {"row": "Z"}, format="json")
    assert is_problem(answer, status)
    assert said in answer.json()["message"]
    assert ("Retry-After" in answer) == (status == 503)
    client.force_login(asked.site.memberships.get(role="planner").user)
    monkeypatch.setattr("twin.views.sites.visible_sites", fail)
    page = client.get(reverse("site-list"))
    assert (page.status_code, said in page.content.decode()) == (status, True)


def test_a_mistake_of_ours_under_the_api_is_json_without_its_reason(planner, monkeypatch):
    def broken(*_):
        raise RuntimeError("a table is gone")

    monkeypatch.setattr("twin.api.views.visible_sites", broken)
    planner.raise_request_exception = False
    answer = planner.get("/api/runs/")
    assert is_problem(answer, 500)
    assert b"a table is gone" not in answer.content


def test_a_list_of_many_names_is_counted_before_any_is_looked_up(planner, asked, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        answer = planner.post("/api/comparisons/", {"runs": [str(asked.layout.pk)] * 100_000}, format="json")
    assert is_problem(answer, 400)
    share = {"workload": "enterprise_assistants"}
    new = {"site": "small", "slug": "x", "name": "x", "workloads": [share] * 10_000}
    with django_assert_max_num_queries(12):
        assert is_problem(planner.post("/api/scenarios/", new, format="json"), 400)
    assert Run.objects.count() == 0
    assert Layout.objects.filter(site=asked.site).count() == 1


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [("limit", "0", "1 or more"), ("limit", "ten", "1 or more"), ("offset", "-1", "0 or more"), ("offset", "²", "0")],
)
def test_a_page_of_a_list_that_cannot_be_is_refused_not_replaced_by_the_first(viewer, parameter, value, allowed):
    answer = viewer.get("/api/racks/", {parameter: value})
    assert is_problem(answer, 400)
    assert f"{parameter}: It is {value}; must be a whole number, {allowed}" in answer.json()["message"]
    assert len(viewer.get("/api/racks/", {"limit": "5000", "offset": ""}).json()["results"]) > 0


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace", "brew"])
def test_a_page_takes_no_method_that_it_does_not_know(client, method):
    for address in (reverse("site-list"), reverse("login"), "/nowhere/", "/healthz"):
        answer = client.generic(method.upper(), address, "{}")
        assert answer.status_code == 405
        assert answer["Allow"] == "GET, HEAD, OPTIONS, POST"
        assert "programs change things under /api/" in answer.content.decode()
