"""The description through the API: reading, changing, and every refusal."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from facility import services
from facility.models import ApiToken, Hall, Layout, Membership, PowerFeed, Product, Rack, Site, Weather
from tests.small_site import new_rack, product, small_layout
from tests.unit.facility.test_weather import altered, epw, rows, zipped

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    return small_layout()


@pytest.fixture
def hidden():
    return small_layout("hidden")


def client_of(layout: Layout | None, role: str = "", *, read_only: bool = False) -> APIClient:
    user = User.objects.create_user(f"{role or 'nobody'}-{User.objects.count()}")
    if role:
        Membership.objects.create(site=layout.site, user=user, role=role)
    _, secret = ApiToken.issue(user=user, name="test", read_only=read_only)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return client


@pytest.fixture
def planner(layout):
    return client_of(layout, "planner")


def rack_values(layout, **changes):
    values = {
        "hall": layout.halls.get().pk,
        "name": "A-01",
        "row": "A",
        "x_m": 2.0,
        "y_m": 4.0,
        "product": product("systems", "dgx-gb200-nvl72").slug,
        "cdu": layout.cdus.first().pk,
        "feed_a": layout.power_feeds.get(name="Busway-A").pk,
        "feed_b": layout.power_feeds.get(name="Busway-B").pk,
    }
    return values | changes


def test_a_rack_is_created_read_changed_and_deleted(planner, layout):
    made = planner.post("/api/racks/", rack_values(layout, version=1))
    assert made.status_code == 201, made.data
    address = f"/api/racks/{made.data['id']}/"
    assert planner.get(address).data["product"] == "dgx-gb200-nvl72"
    assert planner.patch(address, {"x_m": 5.0, "version": 2}).data["x_m"] == 5.0
    assert planner.delete(address).status_code == 204
    assert not Rack.objects.exists()
    assert Layout.objects.get().version == 4


def test_a_change_of_an_older_version_is_a_conflict(planner, layout):
    address = f"/api/racks/{planner.post('/api/racks/', rack_values(layout)).data['id']}/"
    assert planner.patch(address, {"row": "B", "version": 2}).status_code == 200
    refused = planner.patch(address, {"row": "C", "version": 2})
    assert refused.status_code == 409
    assert "You edited version 2 of First, but it is at version 3" in refused.data["message"]
    assert Rack.objects.get().row == "B"


def test_a_part_is_guarded_by_its_own_tag_while_others_change_everything_else(planner, layout):
    made = planner.post("/api/racks/", rack_values(layout))
    address, tag = f"/api/racks/{made.data['id']}/", made["ETag"]
    assert planner.get(address)["ETag"] == tag
    planner.post("/api/racks/", rack_values(layout, name="A-02", x_m=8.0))
    moved = planner.patch(address, {"row": "B"}, headers={"If-Match": tag})
    assert (moved.status_code, moved["ETag"] != tag) == (200, True)
    refused = planner.patch(address, {"row": "C"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.data["status"]) == (412, 412)
    assert planner.delete(address, headers={"If-Match": tag}).status_code == 412
    weak = f'"nothing", W/{moved["ETag"]}'  # as a proxy that compresses sends it back
    assert planner.delete(address, headers={"If-Match": weak}).status_code == 204


def test_a_layout_has_a_tag_that_edits_inside_it_leave_alone(planner, layout):
    address = f"/api/layouts/{layout.pk}/"
    tag = planner.get(address)["ETag"]
    planner.post("/api/racks/", rack_values(layout))
    renamed = planner.patch(address, {"name": "Renamed"}, headers={"If-Match": tag})
    assert (renamed.status_code, renamed["ETag"]) == (200, planner.get(address)["ETag"])
    assert planner.patch(address, {"name": "Again"}, headers={"If-Match": tag}).status_code == 412
    assert planner.delete(address, headers={"If-Match": tag}).status_code == 412


def test_a_guard_is_asked_for_only_where_token_or_server_says_so(planner, layout, settings):
    made = planner.post("/api/racks/", rack_values(layout))
    address = f"/api/racks/{made.data['id']}/"
    assert planner.patch(address, {"row": "B"}).status_code == 200
    settings.TWIN_REQUIRE_IF_MATCH = True
    for answer in (planner.patch(address, {"row": "C"}), planner.delete(address)):
        assert (answer.status_code, "If-Match" in answer.data["message"]) == (428, True)
    assert planner.patch(address, {"row": "C", "version": 3}).status_code == 200
    assert planner.patch(address, {"row": "D"}, headers={"If-Match": "*"}).status_code == 200
    settings.TWIN_REQUIRE_IF_MATCH = False
    ApiToken.objects.update(require_if_match=True)
    assert planner.patch(address, {"row": "E"}).status_code == 428


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product": "gb999"}, "product: gb999 is no catalogue entry of kind systems or network_switches."),
        ({"width_m": -0.6}, "width_m: Ensure this value is greater than or equal to 0.1."),
        ({"x_m": "nan"}, "x_m: A valid number is required."),
        ({"x_m": "left"}, "x_m: A valid number is required."),
        ({"x_m": 2.3}, "x_m: Rack A-02 overlaps rack A-01 by 0.3 m × 1.2 m."),
        ({"x_m": 19.9}, "x_m: Rack A-02 reaches x = 20.5 m, but hall Hall is 20 m wide."),
        ({"name": "A-01"}, "The fields hall, name must make a unique set."),
        ({"cdu": 999_999}, 'cdu: Invalid pk "999999" - object does not exist.'),
        ({"role": "king"}, 'role: "king" is not a valid choice.'),
    ],
)
def test_bad_input_is_refused_with_its_field_and_nothing_is_written(planner, layout, changes, message):
    assert planner.post("/api/racks/", rack_values(layout)).status_code == 201
    refused = planner.post("/api/racks/", rack_values(layout, **{"name": "A-02", "x_m": 4.0} | changes))
    assert refused.status_code == 400
    assert message in refused.data["message"]
    assert {"message", "extra", "status", "instance"} < set(refused.data)
    assert refused.data["extra"]["fields"]
    assert Rack.objects.count() == 1
    assert Layout.objects.get().version == 2


def test_a_feed_of_another_layout_and_a_circle_of_feeds_are_refused(planner, layout):
    other = services.layout_clone(layout=layout, name="Second")
    theirs = other.power_feeds.get(name="Busway-A").pk
    refused = planner.post("/api/racks/", rack_values(layout, feed_a=theirs))
    assert refused.status_code == 400
    assert refused.data["message"] == "feed_a: Feed Busway-A belongs to another layout than rack A-01."
    top, leaf = (layout.power_feeds.get(name=name) for name in ("T-A", "Busway-A"))
    refused = planner.patch(f"/api/power-feeds/{top.pk}/", {"parent": leaf.pk})
    assert refused.status_code == 400
    assert "would form a circle: T-A ← Busway-A ← UPS-A ← T-A" in refused.data["message"]
    assert PowerFeed.objects.get(pk=top.pk).parent.name == "Utility"


def test_a_layout_is_deleted_with_everything_in_it(planner, layout):
    services.part_save(part=new_rack(layout))
    clone = services.layout_clone(layout=layout, name="Second")
    assert planner.delete(f"/api/layouts/{layout.pk}/").status_code == 204
    assert [hall.layout for hall in Hall.objects.all()] == [clone]
    plant = clone.cooling_plants.get()
    refused = planner.delete(f"/api/cooling-plants/{plant.pk}/")
    assert refused.status_code == 400
    assert "Plant Plant is in use by CDU CDU-1, CDU CDU-2, hall Hall; connect them elsewhere" in refused.data["message"]


def test_a_part_cannot_be_moved_to_another_layout(planner, layout):
    other = services.layout_clone(layout=layout, name="Second")
    hall = layout.halls.get()
    refused = planner.patch(f"/api/halls/{hall.pk}/", {"layout": other.pk})
    assert refused.status_code == 400
    assert Hall.objects.get(pk=hall.pk).layout == layout


def test_a_row_of_racks_comes_all_or_not_at_all(planner, layout):
    row = {
        "hall": layout.halls.get().pk,
        "row": "A",
        "n_racks": 12,
        "x_m": 2.0,
        "y_m": 4.0,
        "pitch_m": 0.6,
        "product": product("systems", "dgx-gb300-nvl72").slug,
        "cdu": layout.cdus.first().pk,
    }
    made = planner.post("/api/racks/row/", row)
    assert made.status_code == 201, made.data
    assert [rack["name"] for rack in made.data][-1] == "A-12"
    refused = planner.post("/api/racks/row/", row | {"row": "B", "y_m": 4.5})
    assert refused.status_code == 400
    assert "Rack B-01 overlaps rack A-01" in refused.data["message"]
    assert Rack.objects.count() == 12


def test_epw_years_are_uploaded_and_holes_are_named(planner, layout):
    from django.core.files.uploadedfile import SimpleUploadedFile

    address = f"/api/sites/{layout.site.slug}/weather/"
    n_before = Weather.objects.count()
    holes = SimpleUploadedFile("holes.epw", altered(100, 6, "99.9"))
    refused = planner.post(address, {"file": holes}, format="multipart")
    assert refused.status_code == 400
    assert "Row 100 (line 108), month 1 day 5 hour 4: dry bulb is missing" in refused.data["message"]
    assert Weather.objects.count() == n_before
    good = SimpleUploadedFile("good.zip", zipped({"good.stat": b"", "good.epw": epw(rows())}))
    made = planner.post(address, {"file": good, "name": "Our roof"}, format="multipart")
    assert made.status_code == 201, made.data
    assert (made.data["slug"], made.data["n_hours"]) == ("small-our-roof", 8760)
    assert made.data["notes"] == "good.epw was taken from the ZIP file."
    listed = planner.get("/api/weather/").data["results"]
    assert {"small-our-roof", "sterling-va"} == {weather["slug"] for weather in listed}


@pytest.mark.slow
def test_clone_findings_bill_and_export_of_a_layout(planner, layout):
    services.part_save(part=new_rack(layout))
    product("systems", "hpe-gb200-nvl72")
    address = f"/api/layouts/{layout.pk}/"
    clone = planner.post(f"{address}clone/", {"name": "Copy"})
    assert (clone.status_code, clone.data["slug"], clone.data["cloned_from"]) == (201, "copy", layout.pk)
    assert planner.post(f"{address}clone/", {"name": "Copy"}).status_code == 400
    found = planner.get(f"{address}findings/").data
    assert {finding["severity"] for finding in found} <= {"blocking", "risk", "hint"}
    bill = planner.get(f"{address}bill-of-materials/").data
    racks = next(item for item in bill["items"] if item["slug"] == "dgx-gb200-nvl72")
    assert (racks["quantity"], racks["total_usd"]) == (1, 3_100_000)
    assert "hpe-gb200-nvl72" in {other["slug"] for other in racks["alternatives"]}
    assert bill["total_usd"] == pytest.approx(sum(item["total_usd"] or 0 for item in bill["items"]))
    export = planner.get(f"{address}export/")
    assert export["Content-Type"].startswith("application/yaml")
    assert b"slug: first" in export.content
    assert b"slug: copy" not in export.content


def test_catalogue_lists_kinds_and_entries_with_source(planner, layout):
    listed = planner.get("/api/catalogue/?kind=cdus").data["results"]
    assert [entry["slug"] for entry in listed] == ["vertiv-xdu1350"]
    assert listed[0]["source"]
    assert planner.get("/api/catalogue/?kind=gadgets").status_code == 400
    assert planner.get("/api/catalogue/cdus/vertiv-xdu1350/").data["facts"]["capacity_w"] == 1_368_000
    assert planner.get("/api/catalogue/cdus/none/").status_code == 404
    kinds = {kind["name"]: kind for kind in planner.get("/api/catalogue/kinds/").data}
    capacity = next(fact for fact in kinds["cdus"]["facts"] if fact["name"] == "capacity_w")
    assert (capacity["unit"], capacity["required"]) == ("W", True)
    assert Product.objects.filter(kind="cdus").count() == kinds["cdus"]["n_entries"]


RESOURCES = ("sites", "layouts", "halls", "racks", "cdus", "power-feeds", "cooling-plants")


@pytest.mark.parametrize("resource", RESOURCES)
def test_without_a_token_nothing_is_shown(layout, resource):
    assert APIClient().get(f"/api/{resource}/").status_code == 401


@pytest.mark.parametrize("resource", RESOURCES)
def test_lists_show_only_visible_sites(planner, layout, hidden, resource):
    services.part_save(part=new_rack(layout))
    services.part_save(part=new_rack(hidden))
    mine = planner.get(f"/api/{resource}/").data
    theirs = client_of(None).get(f"/api/{resource}/").data
    assert mine["count"] > 0
    assert theirs["count"] == 0
    admin = APIClient()
    admin.force_authenticate(User.objects.create_superuser("admin"))
    assert admin.get(f"/api/{resource}/").data["count"] == 2 * mine["count"]


def test_invisible_things_do_not_exist_and_cannot_be_named(planner, layout, hidden):
    theirs = services.part_save(part=new_rack(hidden))
    for address in (
        f"/api/racks/{theirs.pk}/",
        f"/api/layouts/{hidden.pk}/",
        f"/api/layouts/{hidden.pk}/export/",
        f"/api/layouts/{hidden.pk}/findings/",
        f"/api/layouts/{hidden.pk}/bill-of-materials/",
        "/api/sites/hidden/",
        "/api/sites/hidden/export/",
    ):
        assert planner.get(address).status_code == 404, address
    assert planner.patch(f"/api/racks/{theirs.pk}/", {"x_m": 9}).status_code == 404
    assert planner.delete(f"/api/racks/{theirs.pk}/").status_code == 404
    refused = planner.post("/api/racks/", rack_values(layout, hall=hidden.halls.get().pk))
    assert (refused.status_code, "object does not exist" in refused.data["message"]) == (400, True)
    refused = planner.post("/api/layouts/", {"site": "hidden", "slug": "x", "name": "X"})
    assert refused.status_code == 400
    assert hidden.site.layouts.count() == 1


def test_a_viewer_reads_and_may_not_change(layout):
    viewer = client_of(layout, "viewer")
    rack = services.part_save(part=new_rack(layout))
    assert viewer.get(f"/api/racks/{rack.pk}/").status_code == 200
    for refused in (
        viewer.post("/api/racks/", rack_values(layout, name="A-02", x_m=4)),
        viewer.post(
            "/api/racks/row/", {"hall": rack.hall_id, "row": "B", "n_racks": 1, "x_m": 6, "y_m": 4, "pitch_m": 1}
        ),
        viewer.patch(f"/api/racks/{rack.pk}/", {"x_m": 9}),
        viewer.delete(f"/api/racks/{rack.pk}/"),
        viewer.post(f"/api/layouts/{layout.pk}/clone/", {"name": "Copy"}),
        viewer.patch(f"/api/layouts/{layout.pk}/", {"name": "Mine"}),
        viewer.delete(f"/api/layouts/{layout.pk}/"),
        viewer.patch(f"/api/sites/{layout.site.slug}/", {"name": "Mine"}),
    ):
        assert refused.status_code == 403
        assert "You can view Small but not change it" in refused.data["message"]
    assert Rack.objects.count() == 1


def test_a_read_only_token_of_a_planner_reads_and_may_not_change(layout):
    reader = client_of(layout, "planner", read_only=True)
    assert reader.get(f"/api/layouts/{layout.pk}/").status_code == 200
    refused = reader.post("/api/racks/", rack_values(layout))
    assert (refused.status_code, refused.data["message"]) == (403, "This token is read-only.")


def test_who_creates_a_site_becomes_its_owner(layout):
    newcomer = client_of(None)
    values = {
        "slug": "mine",
        "name": "Mine",
        "latitude_deg": 1,
        "longitude_deg": 2,
        "weather": "sterling-va",
        "region": "us-virginia-pjm",
        "grid_limit_w": 1e6,
    }
    assert newcomer.post("/api/sites/", values | {"grid_limit_w": -1}).status_code == 400
    made = newcomer.post("/api/sites/", values)
    assert (made.status_code, made.data["repair_crews"]) == (201, 2)
    assert newcomer.patch("/api/sites/mine/", {"repair_crews": 5}).data["repair_crews"] == 5
    assert newcomer.patch("/api/sites/mine/", {"repair_crews": -1}).status_code == 400
    assert newcomer.post("/api/layouts/", {"site": "mine", "slug": "a", "name": "A"}).status_code == 201
    assert Site.objects.get(slug="mine").memberships.get().role == "owner"


def test_lists_take_the_same_queries_however_many_racks_there_are(planner, layout):
    counts = []
    for row in ("A", "B"):
        services.racks_create_row(
            hall=layout.halls.get(),
            row=row,
            n_racks=10,
            x_m=2,
            y_m=4 if row == "A" else 8,
            pitch_m=0.6,
            product=product("systems", "dgx-gb200-nvl72"),
        )
        for address in (
            "/api/racks/",
            f"/api/layouts/{layout.pk}/findings/",
            f"/api/layouts/{layout.pk}/bill-of-materials/",
        ):
            planner.get(address)  # first: the token's last use is written
            with CaptureQueriesContext(connection) as queries:
                assert planner.get(address).status_code == 200
            counts.append((address, len(queries)))
    assert counts[:3] == counts[3:]
    assert max(n for _, n in counts) <= 19  # findings read every table of a layout


def test_the_schema_documents_each_refusal(layout):
    admin = APIClient()
    admin.force_authenticate(User.objects.create_superuser("admin"))
    schema = admin.get("/api/schema/?format=json").data
    for path, operations in schema["paths"].items():
        if path.split("/")[2] not in (*RESOURCES, "catalogue", "weather"):
            continue
        for method, operation in operations.items():
            wanted = {"401", "404"} if method == "get" else {"400", "401", "403", "404", "409"}
            assert wanted <= set(operation["responses"]), (method, path)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("air-units", {"name": "CRAH-9", "x_m": 2.0, "y_m": 8.0, "orientation_deg": 90}),
        ("floor-features", {"name": "W-9", "type": "wall", "x_m": 2.0, "y_m": 8.0, "width_m": 3.0, "depth_m": 0.2}),
    ],
)
def test_air_units_and_floor_features_are_created_changed_deleted_and_guarded(layout, hidden, planner, address, own):
    viewer = client_of(layout, "viewer")
    body = own | {"layout": layout.pk, "hall": layout.halls.get().pk, "version": 1}
    assert viewer.post(f"/api/{address}/", body).status_code == 403
    made = planner.post(f"/api/{address}/", body)
    assert made.status_code == 201, made.data
    one = f"/api/{address}/{made.data['id']}/"
    assert viewer.get(one).data["name"] == own["name"]
    assert planner.patch(one, {"x_m": 3.0, "version": 1}).status_code == 409
    refused = planner.patch(one, {"x_m": 19.5})
    assert refused.status_code == 400
    assert "but hall Hall is 20 m wide" in refused.data["message"]
    assert planner.patch(one, {"x_m": 3.0, "version": 2}).data["x_m"] == 3.0
    assert planner.delete(one).status_code == 204
    listed = planner.get(f"/api/{address}/").data["results"]
    assert {row["layout"] for row in listed} == {layout.pk}
    elsewhere = hidden.floor_features.first() if address == "floor-features" else hidden.air_units.first()
    assert planner.get(f"/api/{address}/{elsewhere.pk}/").status_code == 404
    assert planner.post(f"/api/{address}/", body | {"hall": hidden.halls.get().pk}).status_code == 400
