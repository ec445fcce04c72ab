"""The drawing and batches of edits for programs: who may, and what comes back."""

import json

import jsonschema
import pytest
from django.urls import reverse

from facility.models import Rack
from tests.api.test_states import json_schema


@pytest.fixture
def drawing(asked) -> str:
    return reverse("api-layout-drawing", args=[asked.layout.pk])


@pytest.fixture
def edits(asked) -> str:
    return reverse("api-layout-edits", args=[asked.layout.pk])


def moved(layout, by_m: float) -> dict:
    rack = Rack.objects.filter(hall__layout=layout).order_by("-x_m").first()
    return {
        "version": layout.version,
        "operations": [{"op": "move", "kind": "rack", "id": rack.pk, "x_m": rack.x_m + by_m, "y_m": rack.y_m}],
    }


def test_a_program_reads_the_drawing_and_changes_it(asked, planner, viewer, drawing, edits):
    assert viewer.get(drawing).json()["version"] == asked.layout.version
    batch = moved(asked.layout, 0.5)
    answer = planner.post(edits, batch)
    assert (answer.status_code, answer.json()["version"]) == (200, asked.layout.version + 1)
    rack = Rack.objects.get(pk=batch["operations"][0]["id"])
    assert rack.x_m == batch["operations"][0]["x_m"]
    undone = planner.post(edits, {"version": answer.json()["version"], "operations": answer.json()["inverse"]})
    assert undone.status_code == 200
    rack.refresh_from_db()
    assert rack.x_m == batch["operations"][0]["x_m"] - 0.5


def test_only_who_may_change_the_site_may_edit(asked, viewer, stranger, nobody, reading_token, drawing, edits):
    batch = moved(asked.layout, 0.5)
    refused = {
        who: client.post(edits, batch).status_code
        for who, client in {"viewer": viewer, "stranger": stranger, "nobody": nobody, "reading": reading_token}.items()
    }
    assert refused == {"viewer": 403, "stranger": 404, "nobody": 401, "reading": 403}
    assert (stranger.get(drawing).status_code, nobody.get(drawing).status_code) == (404, 401)
    asked.layout.refresh_from_db()
    assert asked.layout.version == batch["version"]


@pytest.fixture
def document(viewer) -> dict:
    return viewer.get(reverse("api-schema"), HTTP_ACCEPT="application/vnd.oai.openapi+json").json()


def test_drawing_saved_batch_and_refusals_have_their_documented_shapes(asked, planner, document, drawing, edits):
    def check(answer, path: str, method: str) -> None:
        content = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
        shape = content[answer["Content-Type"].split(";")[0]]["schema"]
        jsonschema.validate(json.loads(answer.content), json_schema(shape, document))

    check(planner.get(drawing), "/api/layouts/{id}/drawing/", "get")
    batch = moved(asked.layout, 0.5)
    for expected, body in (
        (200, batch),
        (409, moved(asked.layout, 0.7)),
        (422, batch | {"version": 2, "operations": [{}]}),
    ):
        answer = planner.post(edits, body)
        assert answer.status_code == expected
        check(answer, "/api/layouts/{id}/edits/", "post")
