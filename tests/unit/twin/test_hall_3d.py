"""The halls in three dimensions stand where the description says, and are for those who may see them."""

import base64
import json

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.models import FloorFeature, Rack
from tests.small_site import new_rack, small_layout
from twin.core.results.rack_quantities import BY_NAME
from twin.floor import colouring, hall_3d, plan
from twin.floor.rows import read_floor

pytestmark = pytest.mark.django_db
KINDS = {"f4": "<f4", "u2": "<u2", "u4": "<u4"}


@pytest.fixture
def layout():
    layout = small_layout()
    for row, y_m, front in (("A", 1.0, 0), ("B", 3.4, 180)):
        Rack.objects.bulk_create(
            new_rack(layout, name=f"{row}-{i}", row=row, x_m=2 + 0.6 * i, y_m=y_m, orientation_deg=front)
            for i in range(3)
        )
    new_rack(layout, name="C-0", row="C", x_m=10.0, y_m=5.0, orientation_deg=90, product=None, other_power_w=9e3).save()
    return layout


def drawn(layout, state: dict | None = None) -> tuple[dict, list[Rack]]:
    """Return the figure of a layout coloured by rated power, racks put into states by name, and the racks in order."""
    floor = read_floor(layout)
    question = colouring.Question(BY_NAME["rated_power_w"], "used", "year", None, None, 8760)
    coloured = colouring.colouring(floor, question)
    for i, rack in enumerate(floor.racks):
        coloured.state[i] = (state or {}).get(rack["name"], "")
    return hall_3d.figure(floor, plan.draw(floor, coloured)), list(Rack.objects.order_by("hall", "row", "name"))


def array(spelled: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(spelled["bdata"]), KINDS[spelled["dtype"]])


def boxes(figure: dict, *names: str) -> dict[str, np.ndarray]:
    """Return the ends of each box by its text, shape (2, 3), of the meshes with these names."""
    found = {}
    for trace in figure["data"]:
        if trace["type"] == "mesh3d" and trace["name"] in names:
            corners = np.stack([array(trace[axis]) for axis in "xyz"], axis=1).reshape(-1, 8, 3)
            for text, own in zip(trace["meta"]["texts"], corners, strict=True):
                found[text] = np.array([own.min(axis=0), own.max(axis=0)])
    return found


def test_every_rack_is_a_box_of_its_described_place_and_size(layout):
    figure, racks = drawn(layout)
    found = boxes(figure, "Racks")
    assert len(found) == len(racks) == 7
    for rack in racks:
        ends = next(ends for text, ends in found.items() if text.startswith(f"{rack.name}<br>"))
        turned = rack.orientation_deg in (90, 270)
        width, depth = (rack.depth_m, rack.width_m) if turned else (rack.width_m, rack.depth_m)
        height = rack.product.facts["height_m"] if rack.product else hall_3d.ASSUMED_RACK_HEIGHT_M
        wanted = [[rack.x_m, rack.y_m, 0], [rack.x_m + width, rack.y_m + depth, height]]
        np.testing.assert_allclose(ends, wanted, atol=1e-5)  # single precision of tens of metres


def test_cdus_air_units_and_walls_are_boxes_too(layout):
    hall = layout.halls.get()
    FloorFeature.objects.create(layout=layout, hall=hall, name="East", type="wall", x_m=19, y_m=0, width_m=1, depth_m=2)
    FloorFeature.objects.create(
        layout=layout, hall=hall, name="HA-1", type="hot_aisle", x_m=1, y_m=2.2, width_m=4, depth_m=1.2
    )
    figure, _ = drawn(layout)
    np.testing.assert_allclose(boxes(figure, "Hot aisles")["HA-1"], [[1, 2.2, 0], [5, 3.4, 0.03]], atol=1e-5)
    cdu = layout.cdus.select_related("product").get(name="CDU-1")
    size = [cdu.product.facts[name] for name in ("width_m", "depth_m", "height_m")]
    place = np.array([cdu.x_m, cdu.y_m, 0])
    np.testing.assert_allclose(boxes(figure, "CDUs")["CDU-1<br>CDU of group A"], [place, place + size], atol=1e-5)
    np.testing.assert_allclose(boxes(figure, "Walls")["East"], [[19, 0, 0], [20, 2, hall.height_m]], atol=1e-5)
    assert len(boxes(figure, "Air units")) == layout.air_units.count()


def test_halls_stand_side_by_side(layout):
    second = layout.halls.get()
    second.pk, second.name = None, "Hall 2"
    second.save()
    rack = new_rack(layout, name="Z-0", row="Z", x_m=1.0, hall=second, cdu=None)
    rack.save()
    figure, _ = drawn(layout)
    found = boxes(figure, "Racks")
    ends = next(ends for text, ends in found.items() if text.startswith("Z-0"))
    assert ends[0, 0] == pytest.approx(20 + hall_3d.HALL_GAP_M + 1.0)


def test_triangles_cover_each_face_of_a_box_once_and_face_outward():
    trace = hall_3d.mesh("one", [hall_3d.Box(0, 0, 0, 1, 2, 3)], token="ink")
    corners = np.stack([array(trace[axis]) for axis in "xyz"], axis=1)
    triangles = corners[np.stack([array(trace[axis]) for axis in "ijk"], axis=1).astype(int)]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert np.linalg.norm(normals, axis=1).sum() / 2 == pytest.approx(2 * (1 * 2 + 2 * 3 + 1 * 3))
    outward = triangles.mean(axis=1) - corners.mean(axis=0)
    assert np.all((normals * outward).sum(axis=1) > 0)


def test_pipes_and_busways_run_over_the_racks_they_serve_and_no_lower(layout):
    figure, _ = drawn(layout)
    top = 2.236
    pipes, busways = boxes(figure, "Coolant supply", "Coolant return"), boxes(figure, "Busways")
    assert pipes
    assert busways
    assert all(ends[0, 2] > top - 1e-3 for ends in (*pipes.values(), *busways.values()))
    assert any("Busway-A" in text for text in busways)
    assert any("Busway-B" in text for text in busways)


def test_the_racks_are_one_mesh_with_a_colour_each_and_dead_ones_are_neutral(layout):
    figure, racks = drawn(layout, {"A-0": "dead", "A-1": "throttled", "A-2": "over"})
    (trace,) = (trace for trace in figure["data"] if "colours" in trace["meta"])
    assert [text.split("<br>")[0] for text in trace["meta"]["texts"]] == [rack.name for rack in racks]
    by_name = dict(zip([rack.name for rack in racks], trace["meta"]["colours"], strict=True))
    assert (trace["meta"]["token"], by_name["A-0"]) == ("dead", "")
    assert all(colour.startswith("#") for name, colour in by_name.items() if name != "A-0")
    assert [racks[i].name for i in trace["meta"]["over"]] == ["A-2"]
    assert [racks[i].name for i in trace["meta"]["throttled"]] == ["A-1"]


@pytest.mark.slow
def test_a_thousand_racks_stay_a_small_figure(layout):
    Rack.objects.bulk_create(
        new_rack(layout, name=f"D-{i}", row=f"D{i // 25}", x_m=i % 25, y_m=i // 25) for i in range(1000)
    )
    figure, racks = drawn(layout)
    assert len(racks) == 1007
    assert len(figure["data"]) < 60
    assert len(json.dumps(figure)) < 600_000


def test_only_those_who_may_see_the_site_see_its_halls(client, layout):
    address = reverse("layout-3d", args=[layout.site.slug, layout.slug])
    assert client.get(address).status_code == 302
    users = get_user_model().objects
    client.force_login(users.create_user("stranger"))
    assert client.get(address).status_code == 404
    client.force_login(users.create_superuser("admin"))
    assert client.get(address).status_code == 200
