"""Batches of edits: all or nothing, undone by their inverse, refused with names, in conflict with both sides told."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility import services
from facility.edit_records import changes_since
from facility.editing.edits import EditConflict, EditRefused, edits_apply
from facility.interchange import documents
from facility.interchange.site_file import site_document
from facility.models import AirUnit, Cdu, EditRecord, FloorFeature, Hall, Layout, Membership, Rack
from tests.small_site import new_rack, product, small_layout

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    """A layout with four racks of row A on CDU-1."""
    layout = small_layout()
    Rack.objects.bulk_create(new_rack(layout, name=f"A-{i + 1:02}", x_m=2 + 0.6 * i) for i in range(4))
    return layout


def rack(name: str = "A-01") -> Rack:
    return Rack.objects.get(name=name)


def spelled(layout: Layout) -> str:
    """Return the whole layout as text, without its version."""
    return documents.write(site_document(layout.site))


def edit(layout: Layout, *operations: dict, **more):
    layout.refresh_from_db()
    return edits_apply(layout=layout, operations=list(operations), **{"version": layout.version} | more)


def move(name: str, **place) -> dict:
    return {"op": "move", "kind": "rack", "id": rack(name).pk} | place


def new(layout: Layout, **fields) -> dict:
    return {
        "op": "create",
        "kind": "rack",
        "hall": layout.halls.get().pk,
        "name": "B-01",
        "x_m": 2,
        "y_m": 8,
        "product": "dgx-gb200-nvl72",
    } | fields


def new_cdu(layout: Layout, **fields) -> dict:
    return {
        "op": "create",
        "kind": "cdu",
        "ref": "new-cdu",
        "hall": layout.halls.get().pk,
        "name": "CDU-3",
        "group": "B",
        "product": "vertiv-xdu1350",
        "plant": layout.cooling_plants.get().pk,
        "x_m": 15,
        "y_m": 8,
        "supply_degc": 41,
    } | fields


def test_a_batch_moves_creates_assigns_and_deletes_at_once(layout):
    applied = edit(
        layout,
        move("A-01", x_m=8.0, y_m=8.0, orientation_deg=180),
        new_cdu(layout),
        new(layout, ref="new-1"),
        {"op": "assign", "racks": ["new-1", rack("A-02").pk], "cdu": "new-cdu", "feed_b": None},
        {"op": "delete", "kind": "rack", "id": rack("A-04").pk},
        {
            "op": "create",
            "kind": "feature",
            "ref": "w",
            "hall": layout.halls.get().pk,
            "name": "W-2",
            "type": "wall",
            "x_m": 6,
            "y_m": 0,
            "width_m": 0.2,
            "depth_m": 3,
        },
    )
    assert applied.version == Layout.objects.get().version == 2
    assert set(applied.created) == {"new-cdu", "new-1", "w"}
    assert Rack.objects.get(pk=applied.created["new-1"]).cdu_id == applied.created["new-cdu"]
    assert (rack().x_m, rack().y_m, rack().orientation_deg) == (8, 8, 180)
    assert (rack("A-02").cdu.name, rack("A-02").feed_b, rack("A-02").feed_a.name) == ("CDU-3", None, "Busway-A")
    assert not Rack.objects.filter(name="A-04").exists()
    assert FloorFeature.objects.get(name="W-2").depth_m == 3


def test_the_inverse_brings_everything_back_under_its_own_number_and_its_inverse_does_it_again(layout):
    before, numbers = spelled(layout), set(Rack.objects.values_list("pk", flat=True))
    cdu = layout.cdus.get(name="CDU-1")
    batch = [
        {"op": "delete", "kind": "cdu", "id": cdu.pk},
        {"op": "delete", "kind": "rack", "id": rack("A-04").pk},
        {"op": "delete", "kind": "air_unit", "id": AirUnit.objects.first().pk},
        {"op": "update", "kind": "hall", "id": layout.halls.get().pk, "n_air_units": 2},
        move("A-01", x_m=10),
        new(layout, ref="n"),
        new_cdu(layout),
        {"op": "assign", "racks": ["n"], "cdu": "new-cdu"},
    ]
    done = edit(layout, *batch)
    after = spelled(layout)
    assert rack("A-01").cdu is None
    undone = edit(layout, *done.inverse)
    assert spelled(layout) == before
    assert set(Rack.objects.values_list("pk", flat=True)) == numbers
    assert Cdu.objects.get(name="CDU-1").pk == cdu.pk
    redone = edit(layout, *undone.inverse)
    assert spelled(layout) == after
    edit(layout, *redone.inverse)
    assert spelled(layout) == before


def refused(layout: Layout, *operations: dict) -> EditRefused:
    before = spelled(layout)
    version = Layout.objects.get(pk=layout.pk).version
    with pytest.raises(EditRefused) as error:
        edit(layout, *operations)
    assert spelled(layout) == before
    assert Layout.objects.get(pk=layout.pk).version == version
    assert not EditRecord.objects.exists()
    return error.value


def of_rack(**fields) -> dict:
    return {"op": "update", "kind": "rack"} | fields


REFUSALS = [
    ({"x_m": 2.5, "y_m": 4.0}, "x_m", "Rack A-01 overlaps rack A-02 by 0.5 m × 1.2 m."),
    ({"x_m": 2.9}, "x_m", "Rack A-01 overlaps rack A-02 by 0.3 m × 1.2 m."),
    ({"x_m": 19.9}, "x_m", "Rack A-01 reaches x = 20.5 m, but hall Hall is 20 m wide."),
    ({"y_m": 11.5}, "y_m", "Rack A-01 reaches y = 12.7 m, but hall Hall is 12 m deep."),
    ({"x_m": -1}, "x_m", "Rack A-01, x_m: Ensure this value is greater than or equal to 0."),
    ({"x_m": 0, "y_m": 0}, "x_m", "Rack A-01 overlaps wall or column W-1 by 0.2 m × 1.2 m."),
    ({"x_m": 3, "y_m": 10.5}, "x_m", "Rack A-01 overlaps air unit CRAH-1 by 0.6 m × 0.7 m."),
    ({"x_m": 17.8, "y_m": 4}, "x_m", "Rack A-01 overlaps CDU CDU-1 by 0.4 m × 1.2 m."),
    ({"x_m": "left"}, "x_m", "x_m is 'left'; must be a number."),
    ({"x_m": float("nan")}, "x_m", "x_m is nan; must be a number."),
    ({"x_m": None}, "x_m", "x_m is None; must be a number."),
    ({"orientation_deg": 45}, "orientation_deg", "Rack A-01, orientation_deg: Value 45 is not a valid choice."),
    ({"name": "A-02"}, "name", "There already is a rack A-02 in this hall; names are unique."),
    ({"name": ""}, "name", "This field cannot be blank."),
    ({"name": "A\0"}, "name", "name holds a null character; leave it out."),
    ({"product": "abacus"}, "product", "product is 'abacus'; must be a catalogue entry of kind systems or network_sw"),
    ({"product": "vertiv-xdu1350"}, "product", "product is 'vertiv-xdu1350'; must be a catalogue entry of kind"),
    ({"n_systems": 2}, "n_systems", "is a whole rack; rack A-01 holds 1, not 2."),
    ({"n_systems": 1.5}, "n_systems", "n_systems is 1.5; must be a whole number."),
    ({"cdu": 999}, "cdu", "cdu is 999; must be one that stands in this layout."),
    ({"cdu": [1]}, "cdu", "cdu is [1]; must be one that stands in this layout."),
    ({"feed_a": 999}, "feed_a", "feed_a is 999; must be one that stands in this layout."),
    ({"hall": None}, "hall", "hall is None; must be one that stands in this layout."),
    ({"colour": "red"}, "colour", "colour is not a field of a rack; hall, name, row"),
    ({"id": 999, "x_m": 3}, "id", "There is no rack 999 in this layout; it may have been deleted."),
    ({"id": None, "x_m": 3}, "id", "There is no rack None in this layout"),
    ({"op": "fly"}, "op", "op is 'fly'; must be one of move, create, update, delete, assign."),
    ({"op": ["move"]}, "op", "must be one of move"),
    ({"kind": "door"}, "kind", "kind is 'door'; to update, it must be hall or feature or air_unit or cdu or rack."),
    ({"kind": ["rack"]}, "kind", "to update, it must be"),
    ({"op": "delete", "kind": "hall"}, "kind", "kind is 'hall'; to delete, it must be feature or air_unit"),
    ({"op": "move", "name": "Z"}, "name", "name is not a field of a rack; x_m, y_m, orientation_deg are."),
    ({"op": "assign", "racks": 3}, "racks", "racks is 3; must be a list of rack numbers."),
    ({"op": "assign", "racks": [999]}, "racks", "There is no rack 999 in this layout"),
]


@pytest.mark.parametrize(("fields", "field", "message"), REFUSALS, ids=[message[:40] for *_, message in REFUSALS])
def test_what_is_not_possible_is_named_and_nothing_is_saved(layout, fields, field, message):
    error = refused(layout, move("A-03", x_m=9), of_rack(id=rack().pk) | fields)
    assert [(problem.operation, problem.field) for problem in error.problems][:1] == [(1, field)]
    assert message in error.problems[0].message


def test_sources_and_objects_of_other_layouts_are_refused(layout):
    utility = layout.power_feeds.get(name="Utility")
    assert "Feed Utility is a utility; rack A-01 needs a PDU or busway." in str(
        refused(layout, of_rack(id=rack().pk, feed_a=utility.pk))
    )
    side = layout.power_feeds.get(name="Busway-A").pk
    assert "has feed Busway-A on both sides" in str(refused(layout, of_rack(id=rack().pk, feed_a=side, feed_b=side)))
    elsewhere = small_layout("elsewhere").cdus.first().pk
    assert "must be one that stands in this layout" in str(refused(layout, of_rack(id=rack().pk, cdu=elsewhere)))


def test_new_objects_are_checked_as_those_that_stand(layout):
    assert "name is missing; give it" in str(refused(layout, {"op": "create", "kind": "rack", "hall": 1}))
    assert "Rack B-01 overlaps rack A-01" in str(refused(layout, new(layout, x_m=2.3, y_m=4)))
    assert "ref is 7; must be a text." in str(refused(layout, new(layout, ref=7)))
    twice = refused(layout, new(layout, ref="n"), new(layout, ref="n", name="B-02", x_m=9))
    assert "'n' is the name of another object already" in str(twice)
    assert "id is 5000; only an object that an edit of this layout deleted" in str(
        refused(layout, new(layout, id=5000))
    )
    assert "id is [1]" in str(refused(layout, new(layout, id=[1])))
    assert "cannot supply 30 °C" in str(refused(layout, new_cdu(layout, supply_degc=30)))
    wall = {"op": "create", "kind": "feature", "hall": layout.halls.get().pk, "name": "W-9", "type": "wall"}
    box = {"x_m": 1, "y_m": 5, "width_m": 8, "depth_m": 0.2}
    assert "Wall or column W-9 overlaps rack A-01 by 0.6 m × 0.2 m." in str(refused(layout, wall | box))
    assert "Value 'moat' is not a valid choice" in str(refused(layout, wall | box | {"type": "moat"}))
    assert "W-9, depth_m: Ensure this value is greater" in str(refused(layout, wall | box | {"depth_m": 0}))


def test_one_batch_may_pass_through_states_that_would_not_stand(layout):
    """Two racks change places: one after the other each would stand on the other's floor."""
    first, second = rack("A-01"), rack("A-02")
    edit(layout, move("A-01", x_m=second.x_m), move("A-02", x_m=first.x_m))
    assert (rack("A-01").x_m, rack("A-02").x_m) == (second.x_m, first.x_m)


def test_aisles_may_lie_under_racks_and_walls_may_meet(layout):
    hall = layout.halls.get().pk
    feature = {"op": "create", "kind": "feature", "hall": hall, "x_m": 0, "y_m": 0, "width_m": 5, "depth_m": 5}
    edit(layout, feature | {"name": "Hot", "type": "hot_aisle"})
    edit(layout, feature | {"name": "W-2", "type": "wall", "depth_m": 0.2})
    assert FloorFeature.objects.filter(hall=hall).count() == 4


def test_an_old_overlap_stops_no_other_edit_of_the_rack(layout):
    Rack.objects.filter(name="A-02").update(x_m=2.3)
    edit(layout, of_rack(id=rack().pk, other_power_w=500))
    assert rack().other_power_w == 500


def test_a_cdu_stays_in_the_hall_of_its_racks(layout):
    other = Hall.objects.create(layout=layout, name="Hall 2", width_m=10, depth_m=10)
    cdu = layout.cdus.get(name="CDU-1")
    operation = {"op": "update", "kind": "cdu", "id": cdu.pk, "hall": other.pk, "x_m": 1, "y_m": 1}
    assert "CDU CDU-1 cools A-01, A-02, A-03 and 1 more in another hall." in str(refused(layout, operation))
    racks = [of_rack(id=r.pk, hall=other.pk) for r in Rack.objects.all()]
    edit(layout, *racks, operation)
    assert Rack.objects.filter(hall=other).count() == 4


def test_the_air_units_of_a_hall_keep_its_rules(layout):
    operation = {"op": "update", "kind": "hall", "id": layout.halls.get().pk}
    assert "1 of 1 units are spare; one must work." in str(refused(layout, operation | {"n_air_units": 1}))
    assert "0 air units, but a product" in str(refused(layout, operation | {"n_air_units": 0, "n_air_units_spare": 0}))
    assert "width_m is not a field of a hall" in str(refused(layout, operation | {"width_m": 50}))


def test_an_empty_and_a_huge_batch_are_refused(layout):
    assert "There are 0 operations; a batch has from 1 to 5,000." in str(refused(layout))
    assert "There are 5001 operations" in str(refused(layout, *[{"op": "move"}] * 5001))


def planner_of(layout, name):
    user = get_user_model().objects.create_user(name)
    Membership.objects.create(site=layout.site, user=user, role="planner")
    return user


def test_a_conflict_names_what_both_sides_did(layout):
    theirs, mine = planner_of(layout, "anna"), planner_of(layout, "ben")
    stale = layout.version
    edit(layout, move("A-01", x_m=8), {"op": "delete", "kind": "rack", "id": rack("A-03").pk}, user=theirs)
    deleted = changes_since(layout, stale)[0]["changes"][1]["id"]
    before = spelled(layout)
    with pytest.raises(EditConflict) as error:
        edit(
            layout,
            move("A-01", x_m=9),
            move("A-02", y_m=6),
            {"op": "move", "kind": "rack", "id": deleted, "x_m": 1},
            version=stale,
            user=mine,
        )
    assert spelled(layout) == before
    conflict = error.value
    assert conflict.version == 2
    assert [(edit["user"], edit["version"]) for edit in conflict.theirs] == [("anna", 2)]
    moved, gone = conflict.theirs[0]["changes"]
    assert (moved["name"], moved["action"], moved["fields"]) == ("A-01", "changed", {"x_m": [2.0, 8]})
    assert (gone["name"], gone["action"]) == ("A-03", "deleted")
    assert [(change["name"], change["fields"], change["clash"]) for change in conflict.yours[:2]] == [
        ("A-01", {"x_m": [8.0, 9]}, True),
        ("A-02", {"y_m": [4.0, 6]}, False),
    ]
    assert conflict.yours[2]["action"] == "impossible"
    assert "it may have been deleted" in conflict.yours[2]["message"]


def test_batches_on_an_older_version_go_side_by_side_where_they_touch_nothing_of_each_other(layout):
    theirs, mine = planner_of(layout, "dora"), planner_of(layout, "emil")
    stale = layout.version
    edit(layout, move("A-01", x_m=8), user=theirs)
    applied = edit(layout, move("A-02", x_m=5), version=stale, user=mine)
    assert applied.version == 3
    assert [(change["user"], change["changes"][0]["name"]) for change in applied.theirs] == [("dora", "A-01")]
    assert (rack("A-01").x_m, rack("A-02").x_m) == (8, 5)
    before = spelled(layout)
    with pytest.raises(EditConflict):  # free on the version that was seen, taken on the newest
        edit(layout, move("A-02", x_m=8), version=stale, user=mine)
    with pytest.raises(EditConflict):
        edit(layout, move("A-01", x_m=9), version=stale, user=mine)
    assert spelled(layout) == before


def test_edits_by_form_are_recorded_too(layout):
    user = planner_of(layout, "carl")
    one = rack()
    one.other_power_w, one.cdu = 800, None
    services.part_save(part=one, user=user)
    services.part_delete(part=rack("A-02"))
    services.layout_update(layout=Layout.objects.get())
    told = changes_since(layout, 1)
    assert [edit["version"] for edit in told] == [2, 3, 4]
    assert told[0]["user"] == "carl"
    assert told[0]["changes"][0]["fields"] == {"other_power_w": [0.0, 800], "cdu": ["CDU-1", None]}
    assert told[1]["changes"][0]["action"] == "deleted"
    assert (told[2]["version"], told[2]["user"], told[2]["changes"]) == (4, None, [])


@pytest.mark.slow
def test_a_thousand_racks_take_as_many_queries_as_a_hundred(layout, django_assert_max_num_queries):
    Hall.objects.update(width_m=100, depth_m=100)
    Rack.objects.bulk_create(
        new_rack(layout, name=f"R-{i:04}", x_m=5 + i % 100 * 0.6, y_m=15 + i // 100 * 3) for i in range(1000)
    )
    batch = [
        {"op": "move", "kind": "rack", "id": pk, "y_m": y + 1}
        for pk, y in Rack.objects.filter(name__startswith="R-").values_list("pk", "y_m")
    ]
    with django_assert_max_num_queries(35):  # a write for every 200 racks
        applied = edit(layout, *batch)
    assert len(applied.inverse) == 1000
    assert rack("R-0999").y_m == 15 + 27 + 1


# The page's address.


@pytest.fixture
def planner(client, layout):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.PLANNER)
    client.force_login(user)
    return client


def sent(client, layout: Layout, body) -> tuple[int, dict]:
    address = reverse("api-layout-edits", args=[layout.pk])
    answer = client.post(address, body if isinstance(body, str) else json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_the_address_answers_saved_stale_and_refused(planner, layout):
    status, body = sent(planner, layout, {"version": 1, "operations": [move("A-01", x_m=8)]})
    assert (status, body["version"], body["created"]) == (200, 2, {})
    assert body["inverse"] == [{"op": "update", "kind": "rack", "id": rack().pk, "x_m": 2.0}]
    status, body = sent(planner, layout, {"version": 1, "operations": [move("A-01", x_m=9)]})
    assert (status, body["extra"]["version"]) == (409, 2)
    assert body["extra"]["theirs"][0]["user"] == "planner"
    status, body = sent(planner, layout, {"version": 2, "operations": [move("A-01", x_m=2.9)]})
    assert status == 422
    assert body["extra"]["errors"][0] == {
        "operation": 0,
        "object": "rack A-01",
        "field": "x_m",
        "value": 2.9,
        "message": "Rack A-01 overlaps rack A-02 by 0.3 m × 1.2 m.",
    }


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "JSON"),
        ("[" * 100_000, 400, "nested too deep"),
        ("[]", 400, "dictionary"),
        ({"operations": []}, 400, "version: This field is required."),
        ({"version": [], "operations": []}, 400, "version: A valid integer is required."),
        ({"version": 10**30, "operations": []}, 400, "version: Ensure this value is less than or equal to 2147483647."),
        ({"version": 1, "operations": {}}, 400, 'operations: Expected a list of items but got type "dict".'),
        ({"version": 1, "operations": []}, 400, "operations"),
        ({"version": 1, "operations": [None]}, 400, "operations.0"),
        ({"version": 1, "operations": [{}]}, 422, "op is None; must be one of"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bodies_that_are_no_batch_are_refused(planner, layout, body, status, message):
    got, answer = sent(planner, layout, body)
    assert got == status
    assert message in answer["message"]


def test_who_may_not_change_the_site_may_only_look(client, layout):
    address = reverse("api-layout-drawing", args=[layout.pk])
    page = reverse("layout-draw", args=[layout.site.slug, layout.slug])
    batch = {"version": 1, "operations": [move("A-01", x_m=8)]}
    assert (client.get(address).status_code, client.get(page).status_code) == (401, 302)
    assert sent(client, layout, batch)[0] == 401
    user = get_user_model().objects.create_user("viewer")
    client.force_login(user)
    assert client.get(address).status_code == client.get(page).status_code == 404
    assert sent(client, layout, batch)[0] == 404
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.VIEWER)
    assert client.get(address).json()["version"] == 1
    status, body = sent(client, layout, batch)
    assert (status, body["message"][:12]) == (403, "You can view")
    assert rack().x_m == 2
    assert client.put(address).status_code == 405


def test_a_token_of_another_page_is_asked_for(layout):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.create_superuser("root"))
    assert sent(strict, layout, {"version": 1, "operations": [move("A-01", x_m=8)]})[0] == 403
    assert rack().x_m == 2


def test_the_drawing_takes_the_same_queries_however_many_racks(planner, layout, django_assert_num_queries):
    address = reverse("api-layout-drawing", args=[layout.pk])
    with django_assert_num_queries(13):
        one = planner.get(address).json()
    services.racks_create_row(
        hall=layout.halls.get(),
        row="B",
        n_racks=20,
        x_m=2,
        y_m=8,
        pitch_m=0.6,
        product=product("systems", "dgx-gb200-nvl72"),
    )
    with django_assert_num_queries(13):
        more = planner.get(address).json()
    assert len(more["rack"]["rows"]) == len(one["rack"]["rows"]) + 20
    first = dict(zip(one["rack"]["fields"], one["rack"]["rows"][0], strict=True))
    assert (first["name"], first["product"], first["x_m"]) == ("A-01", "dgx-gb200-nvl72", 2.0)
