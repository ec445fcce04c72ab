"""Changes of the description: what is refused, and that a refusal leaves nothing behind."""

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from facility import services
from facility.editing.edits import EditRefused, edits_apply
from facility.interchange.documents import SiteFileError
from facility.interchange.site_file import site_document, site_load
from facility.models import Cdu, CoolingPlant, Hall, Layout, PowerFeed, Rack
from tests.small_site import new_rack, product, small_layout

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    return small_layout()


def feed(layout, name):
    return layout.power_feeds.get(name=name)


def test_a_saved_rack_raises_the_version_by_one(layout):
    rack = services.part_save(part=new_rack(layout), version=1)
    assert Layout.objects.get().version == 2
    rack.x_m = 3
    services.part_save(part=rack, version=2)
    assert Rack.objects.get().x_m == 3


def test_an_edit_of_an_older_version_is_refused_and_not_saved(layout):
    rack = services.part_save(part=new_rack(layout), version=1)
    rack.row = "B"
    services.part_save(part=rack, version=2)
    rack.x_m = 7
    with pytest.raises(services.StaleLayout, match="version 2 of First, but it is at version 3"):
        services.part_save(part=rack, version=2)
    assert Rack.objects.get().x_m != 7


def test_a_change_of_an_older_version_goes_beside_changes_of_other_objects(layout):
    one = services.part_save(part=new_rack(layout), version=1)
    services.part_save(part=new_rack(layout, name="A-02", x_m=3), version=1)  # new: nobody else can have changed it
    one.row = "Z"
    assert services.part_save(part=one, version=2).row == "Z"
    assert Layout.objects.get().version == 4
    with pytest.raises(services.StaleLayout):
        services.part_delete(part=layout.cooling_plants.get(), version=2)  # much hangs on a plant
    with pytest.raises(services.StaleLayout):
        services.part_save(part=one, version=99)


def test_of_two_changes_of_one_part_neither_takes_the_others_field_back(layout):
    services.part_save(part=new_rack(layout))
    mine, theirs = Rack.objects.get(), Rack.objects.get()
    mine.row, theirs.x_m = "Z", 7.0
    services.part_save(part=theirs, fields={"x_m"})
    services.part_save(part=mine, fields={"row"})
    assert Rack.objects.values_list("row", "x_m").get() == ("Z", 7.0)


def test_an_edit_after_one_without_a_record_is_refused(layout):
    rack = services.part_save(part=new_rack(layout))
    services.layout_bump(layout=layout)  # as a site file does
    with pytest.raises(services.StaleLayout):
        services.part_save(part=rack, version=2)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"x_m": 2.3}, "x_m", "Rack A-02 overlaps rack A-01 by 0.3 m × 1.2 m."),
        ({"x_m": 17.7, "y_m": 4.2}, "x_m", "Rack A-02 overlaps CDU CDU-1 by 0.3 m"),
        ({"x_m": 19.8}, "x_m", "Rack A-02 reaches x = 20.4 m, but hall Hall is 20 m wide."),
        ({"y_m": 11.0}, "y_m", "Rack A-02 reaches y = 12.2 m, but hall Hall is 12 m deep."),
        ({"x_m": 19.2, "y_m": 0, "orientation_deg": 90}, "x_m", "reaches x = 20.4 m"),
        ({"width_m": -0.6}, "width_m", "greater than or equal to 0.1"),
        ({"n_systems": 2}, "n_systems", "is a whole rack; rack A-02 holds 1, not 2"),
        ({"orientation_deg": 45}, "orientation_deg", "not a valid choice"),
        ({"load_share": 3}, "load_share", "less than or equal to 2"),
        ({"name": "A-01"}, "__all__", "already exists"),
    ],
)
def test_a_rack_that_cannot_stand_there_is_refused(layout, changes, field, message):
    services.part_save(part=new_rack(layout))
    with pytest.raises(ValidationError) as refused:
        services.part_save(part=new_rack(layout, **{"name": "A-02", "x_m": 4.0} | changes))
    assert message in " ".join(refused.value.message_dict[field])
    assert Rack.objects.count() == 1
    assert Layout.objects.get().version == 2


def test_racks_that_touch_do_not_overlap(layout):
    services.part_save(part=new_rack(layout))
    services.part_save(part=new_rack(layout, name="A-02", x_m=2.6))
    assert Rack.objects.count() == 2


def test_products_of_the_wrong_kind_are_refused(layout):
    with pytest.raises(ValidationError, match="Must be a catalogue entry of kind systems or network_switches"):
        services.part_save(part=new_rack(layout, product=product("pumps", "tcs-pump-15kw")))
    with pytest.raises(ValidationError, match="is of kind pumps; a ups takes ups"):
        services.part_save(
            part=PowerFeed(
                layout=layout,
                name="U",
                kind="ups",
                parent=feed(layout, "T-A"),
                product=product("pumps", "tcs-pump-15kw"),
            )
        )


def test_eight_air_cooled_servers_do_not_fit_one_rack(layout):
    rack = new_rack(layout, product=product("systems", "dgx-h200"), n_systems=8, cdu=None)
    with pytest.raises(ValidationError, match=r"8 × NVIDIA DGX H200 need 64 rack units; the tallest rack has 52"):
        services.part_save(part=rack)


def test_cdu_and_feeds_of_another_layout_are_refused(layout):
    other = services.layout_clone(layout=layout, name="Second")
    for name, theirs in (("feed_a", feed(other, "Busway-A")), ("feed_b", feed(other, "Busway-B"))):
        with pytest.raises(ValidationError) as refused:
            services.part_save(part=new_rack(layout, **{name: theirs}))
        assert refused.value.message_dict[name] == [f"Feed {theirs.name} belongs to another layout than rack A-01."]
    with pytest.raises(ValidationError, match="CDU CDU-1 stands in another layout, rack A-01 in Hall"):
        services.part_save(part=new_rack(layout, cdu=other.cdus.get(name="CDU-1")))
    hall = services.part_save(part=Hall(layout=layout, name="Annex", width_m=9, depth_m=9))
    with pytest.raises(ValidationError, match="CDU CDU-1 stands in hall Hall, rack A-01 in Annex"):
        services.part_save(part=new_rack(layout, hall=hall))
    assert not Rack.objects.exists()


def test_one_feed_on_both_sides_and_a_rack_on_the_utility_are_refused(layout):
    with pytest.raises(ValidationError, match="has feed Busway-A on both sides"):
        services.part_save(part=new_rack(layout, feed_b=feed(layout, "Busway-A")))
    with pytest.raises(ValidationError, match="Feed Utility is a utility; rack A-01 needs a PDU or busway"):
        services.part_save(part=new_rack(layout, feed_a=feed(layout, "Utility")))


def test_feeds_cannot_form_a_circle(layout):
    top = feed(layout, "T-A")
    top.parent = feed(layout, "Busway-A")
    with pytest.raises(ValidationError, match="would form a circle: T-A ← Busway-A ← UPS-A ← T-A"):
        services.part_save(part=top)
    assert feed(layout, "T-A").parent.name == "Utility"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "ups"}, "is a ups: name the feed that supplies it"),
        ({"kind": "utility", "parent": "T-A"}, "is a source: it has no parent"),
        ({"kind": "pdu", "parent": "UPS-A"}, "has neither a rating nor a product with one"),
        ({"kind": "pdu", "parent": "UPS-A", "rating_w": -5}, "greater than or equal to 1"),
        ({"kind": "pdu", "parent": "UPS-A", "rating_w": 1e5, "n_units": 0}, "greater than or equal to 1"),
    ],
)
def test_feeds_that_make_no_sense_are_refused(layout, fields, message):
    parent = {"parent": feed(layout, fields["parent"])} if "parent" in fields else {}
    with pytest.raises(ValidationError, match=message):
        services.part_save(part=PowerFeed(layout=layout, name="New", **fields | parent))
    assert not PowerFeed.objects.filter(name="New").exists()


def test_a_feed_below_one_of_another_layout_is_refused(layout):
    other = services.layout_clone(layout=layout, name="Second")
    with pytest.raises(ValidationError, match="T-A belongs to another layout than feed New"):
        services.part_save(
            part=PowerFeed(layout=layout, name="New", kind="pdu", rating_w=1e5, parent=feed(other, "T-A"))
        )


def test_coolant_cannot_be_colder_than_the_facility_water(layout):
    cdu = layout.cdus.get(name="CDU-1")
    cdu.supply_degc = 35
    with pytest.raises(
        ValidationError, match=r"cannot supply 35 °C from the 36 °C facility water of Plant.*40 °C or more"
    ):
        services.part_save(part=cdu)
    plant = layout.cooling_plants.get()
    plant.supply_degc = 42
    with pytest.raises(
        ValidationError, match="CDU CDU-1 supplies 41 °C, which 42 °C facility water of Plant cannot give"
    ):
        services.part_save(part=plant)
    assert CoolingPlant.objects.get().supply_degc == 36


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heat_rejection_spare": 4}, "4 of 4 units are spare"),
        ({"n_chillers": 2}, "2 chillers, but no chiller product"),
        ({"economiser": "integrated"}, "No chiller is installed"),
        ({"supply_degc": 3}, "greater than or equal to 5"),
    ],
)
def test_plants_that_make_no_sense_are_refused(layout, changes, message):
    plant = layout.cooling_plants.get()
    for name, value in changes.items():
        setattr(plant, name, value)
    with pytest.raises(ValidationError, match=message):
        services.part_save(part=plant)


def test_a_hall_cannot_shrink_below_its_racks(layout):
    services.part_save(part=new_rack(layout))
    hall = layout.halls.get()
    hall.width_m = 10
    with pytest.raises(ValidationError, match=r"CDU CDU-1 reaches x = 18.9 m, but hall Hall is 10 m wide"):
        services.part_save(part=hall)


def test_a_plant_in_use_is_not_deleted_and_racks_survive_their_cdu(layout):
    services.part_save(part=new_rack(layout))
    with pytest.raises(ValidationError, match="Plant Plant is in use by CDU CDU-1, CDU CDU-2, hall Hall; connect them"):
        services.part_delete(part=layout.cooling_plants.get())
    services.part_delete(part=layout.cdus.get(name="CDU-1"))
    assert Rack.objects.get().cdu is None
    with pytest.raises(ProtectedError):
        product("systems", "dgx-gb200-nvl72").delete()


def test_a_row_of_racks_is_placed_at_its_pitch(layout):
    racks = services.racks_create_row(
        hall=layout.halls.get(),
        row="A",
        n_racks=12,
        x_m=2,
        y_m=4,
        pitch_m=0.6,
        version=1,
        product=product("systems", "dgx-gb300-nvl72"),
        cdu=layout.cdus.get(name="CDU-1"),
        feed_a=feed(layout, "Busway-A"),
        feed_b=feed(layout, "Busway-B"),
    )
    np.testing.assert_allclose([rack.x_m for rack in racks], 2 + 0.6 * np.arange(12), atol=1e-9)
    assert [rack.name for rack in racks] == [f"A-{i:02}" for i in range(1, 13)]
    assert Layout.objects.get().version == 2
    more = services.racks_create_row(hall=layout.halls.get(), row="A", n_racks=2, x_m=12, y_m=4, pitch_m=0.8)
    assert [rack.name for rack in more] == ["A-13", "A-14"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitch_m": 0.5}, "Pitch 0.5 m is less than the racks' width of 0.6 m"),
        ({"n_racks": 0}, "0 racks; a row has from 1 to 500"),
        ({"n_racks": 40, "y_m": 0}, "reaches x = 20"),
        ({"x_m": 14, "y_m": 4.2}, "overlaps CDU CDU-1"),
        ({"row": " "}, "Name the row"),
        ({"x_m": -1}, "x_m"),
    ],
)
def test_a_row_that_does_not_fit_places_no_rack_at_all(layout, changes, message):
    row = {"row": "A", "n_racks": 8, "x_m": 2, "y_m": 4, "pitch_m": 0.6}
    with pytest.raises(ValidationError, match=message):
        services.racks_create_row(hall=layout.halls.get(), **row | changes)
    assert not Rack.objects.exists()
    assert Layout.objects.get().version == 1


def test_a_clone_has_everything_and_shares_nothing(layout):
    services.part_save(part=new_rack(layout))
    clone = services.layout_clone(layout=layout, name="Second try")
    assert (clone.slug, clone.cloned_from, clone.version) == ("second-try", layout, 1)
    rack = Rack.objects.get(hall__layout=clone)
    for part in (rack.hall, rack.cdu, rack.feed_a, rack.feed_b, rack.cdu.hall, rack.cdu.plant, rack.hall.plant):
        assert getattr(part, "layout_id", None) == clone.pk
    chain = [rack.feed_a.name, rack.feed_a.parent.name, rack.feed_a.parent.parent.name]
    assert chain == ["Busway-A", "UPS-A", "T-A"]
    assert {f.parent.layout_id for f in clone.power_feeds.exclude(parent=None)} == {clone.pk}
    for model in (Cdu, Hall, CoolingPlant, PowerFeed):
        assert model.objects.filter(layout=clone).count() == model.objects.filter(layout=layout).count()
    with pytest.raises(ValidationError, match="already exists"):
        services.layout_clone(layout=layout, name="Second try")


def test_a_part_cannot_move_to_another_layout(layout):
    other = services.layout_clone(layout=layout, name="Second")
    hall = layout.halls.get()
    hall.layout = other
    with pytest.raises(ValidationError, match="belongs to another layout and cannot be moved"):
        services.part_save(part=hall)


@pytest.mark.parametrize("status", ["approved", "as_built", "as_operated"])
def test_what_is_decided_on_is_deleted_behind_no_door(layout, status, admin_client):
    other = services.layout_clone(layout=layout, name="Second")
    layout.status = status
    services.layout_update(layout=layout)
    frozen = f"First is {layout.get_status_display()} and stays as it is"
    with pytest.raises(services.FrozenLayout, match=frozen):
        services.layout_delete(layout=layout)
    document = site_document(layout.site)
    document["layouts"] = [entry for entry in document["layouts"] if entry["slug"] == other.slug]
    document["layouts"][0].pop("cloned_from")
    with pytest.raises(SiteFileError, match=rf"layouts has no {layout.slug}: {frozen}"):
        site_load(document, replace=True)
    tag = admin_client.get(f"/api/layouts/{layout.pk}/").headers["ETag"]
    answer = admin_client.delete(f"/api/layouts/{layout.pk}/", headers={"If-Match": tag})
    assert (answer.status_code, frozen in answer.json()["message"]) == (409, True)
    assert admin_client.post(f"/admin/facility/layout/{layout.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [layout.pk, other.pk], "post": "yes"}
    assert admin_client.post("/admin/facility/layout/", chosen).status_code == 403
    assert layout.site.layouts.count() == 2
    layout.status = "proposed"
    services.layout_update(layout=layout)
    site_load(document, replace=True)
    assert [kept.slug for kept in layout.site.layouts.all()] == [other.slug]


@pytest.mark.parametrize("status", ["approved", "as_built", "as_operated"])
def test_what_is_decided_on_stays_as_it_is_behind_every_door(layout, status, admin_client):
    part = services.part_save(part=new_rack(layout))
    layout.refresh_from_db()
    layout.status = status
    services.layout_update(layout=layout)
    part.x_m = 9
    place = {"op": "move", "kind": "rack", "id": part.pk, "x_m": 9, "y_m": part.y_m, "orientation_deg": 0}
    frozen = f"First is {layout.get_status_display()} and stays as it is. Copy it"
    with pytest.raises(services.FrozenLayout, match=frozen):
        services.part_save(part=part)
    with pytest.raises(services.FrozenLayout, match=frozen):
        services.part_delete(part=part)
    with pytest.raises(EditRefused, match=frozen):
        edits_apply(layout=layout, operations=[place], version=layout.version)
    layout.notes = "changed"
    with pytest.raises(services.FrozenLayout, match=frozen):
        services.layout_update(layout=layout)
    document = site_document(layout.site)
    document["layouts"][0]["notes"] = "changed in the file"
    with pytest.raises(SiteFileError, match=rf"layouts\[{layout.slug}\]: {frozen}"):
        site_load(document, replace=True)
    answer = admin_client.patch(f"/api/racks/{part.pk}/", {"x_m": 9}, content_type="application/json")
    assert answer.status_code == 409
    assert frozen in answer.json()["message"]
    form = {"_save": "1", "hall": part.hall_id, "name": part.name, "x_m": 9}
    assert admin_client.post(f"/admin/facility/rack/{part.pk}/change/", form).status_code == 403
    assert Rack.objects.get(pk=part.pk).x_m != 9
    copy = services.layout_clone(layout=layout, name="Next")
    assert copy.status == "proposed"
    layout.status, layout.notes = "proposed", ""
    services.layout_update(layout=layout)
    assert services.part_save(part=part).x_m == 9
