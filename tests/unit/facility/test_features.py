"""Air units, walls, keep-outs and aisles: rules, findings, copies, files and API."""

import pytest
from django.core.exceptions import ValidationError

from facility import services
from facility.findings import BLOCKING, HINT, RISK, floor_findings, take_inventory
from facility.interchange import documents
from facility.interchange.site_file import site_document, site_load
from facility.models import AirUnit, FloorFeature, Layout
from tests.small_site import new_rack, small_layout

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    return small_layout()


def feature(layout: Layout, **changes) -> FloorFeature:
    fields = {"name": "F", "type": "wall", "x_m": 8, "y_m": 6, "width_m": 2, "depth_m": 0.2, "hall": layout.halls.get()}
    return FloorFeature(layout=layout, **fields | changes)


def air_unit(layout: Layout, **changes) -> AirUnit:
    fields = {"name": "U", "x_m": 8, "y_m": 6, "hall": layout.halls.get()}
    return AirUnit(layout=layout, **fields | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_m": 1, "y_m": 5, "width_m": 3}, "Wall or column F overlaps rack A-01 by 0.6 m × 0.2 m."),
        ({"x_m": 18, "y_m": 4.5, "type": "keep_out"}, "Keep-out F overlaps CDU CDU-1 by "),
        ({"x_m": 3, "y_m": 11.5}, "Wall or column F overlaps air unit CRAH-1 by 2 m × 0.2 m."),
        ({"x_m": 19}, "Wall or column F reaches x = 21 m, but hall Hall is 20 m wide."),
        ({"type": "cold_aisle", "depth_m": 9}, "Cold aisle F reaches y = 15 m, but hall Hall is 12 m deep."),
        ({"width_m": 0}, "greater than or equal to 0.01"),
        ({"type": "moat"}, "is not a valid choice"),
        ({"name": "W-1"}, "already exists"),
    ],
)
def test_a_feature_that_cannot_be_is_refused_with_both_sides(layout, changes, message):
    new_rack(layout).save()
    with pytest.raises(ValidationError) as error:
        services.part_save(part=feature(layout, **changes))
    assert message in str(error.value)


def test_aisles_lie_under_racks_and_walls_meet_walls(layout):
    new_rack(layout).save()
    services.part_save(part=feature(layout, type="hot_aisle", x_m=1, y_m=3, width_m=8, depth_m=4))
    services.part_save(part=feature(layout, name="G", x_m=0, y_m=1, width_m=4))
    assert FloorFeature.objects.count() == 4


def test_nothing_stands_on_walls_and_air_units(layout):
    with pytest.raises(ValidationError, match=r"Rack A-01 overlaps wall or column W-1 by 0\.2 m × 1\.2 m\."):
        services.part_save(part=new_rack(layout, x_m=0, y_m=0))
    with pytest.raises(ValidationError, match=r"Rack A-01 overlaps air unit CRAH-1"):
        services.part_save(part=new_rack(layout, x_m=3, y_m=10))
    with pytest.raises(ValidationError, match=r"Air unit U overlaps air unit CRAH-1"):
        services.part_save(part=air_unit(layout, x_m=4, y_m=10.5))
    with pytest.raises(ValidationError, match=r"overlaps wall or column W-1"):
        services.racks_create_row(hall=layout.halls.get(), row="B", n_racks=3, x_m=0, y_m=0, pitch_m=0.6)


def test_a_hall_shrinks_only_around_what_is_in_it(layout):
    hall = layout.halls.get()
    hall.depth_m = 11.5
    with pytest.raises(ValidationError, match="Air unit CRAH-1 reaches y = 12 m, but hall Hall is 11.5 m deep"):
        services.part_save(part=hall)


def test_halls_of_other_layouts_are_refused(layout):
    other = small_layout("other").halls.get()
    for part in (feature(layout, hall=other), air_unit(layout, hall=other)):
        with pytest.raises(ValidationError, match="Hall belongs to another layout than"):
            services.part_save(part=part)


def rules(layout: Layout) -> dict[str, list]:
    found: dict[str, list] = {}
    for finding in floor_findings(take_inventory(layout)):
        found.setdefault(finding.rule, []).append(finding)
    return found


def test_what_stands_on_a_wall_blocks(layout):
    FloorFeature.objects.filter(name="W-1").update(x_m=2, y_m=4)
    new_rack(layout).save()
    (found,) = rules(layout)["overlap"]
    assert (found.severity, found.object_kind, found.message) == (
        BLOCKING,
        "floor_feature",
        "Stands on the same floor as rack A-01.",
    )


def test_aisles_are_kept_clear_and_fronts_turn_to_the_cold(layout):
    new_rack(layout, name="A-01", x_m=2, y_m=4).save()  # its front faces the cold aisle below it
    new_rack(layout, name="A-02", x_m=4, y_m=3).save()  # in the cold aisle
    FloorFeature.objects.create(
        layout=layout, hall=layout.halls.get(), name="Hot", type="hot_aisle", x_m=1.8, y_m=5.2, width_m=6, depth_m=1.5
    )
    new_rack(layout, name="B-01", x_m=2, y_m=6.7).save()  # faces the hot aisle
    new_rack(layout, name="B-02", x_m=3, y_m=6.7, orientation_deg=180).save()
    found = rules(layout)
    assert [(f.object_name, f.severity, f.message) for f in found["clear aisle"]] == [
        ("A-02", RISK, "Stands in cold aisle Cold.")
    ]
    assert [(f.object_name, f.severity) for f in found["front in hot aisle"]] == [("B-01", RISK)]


def test_a_wall_narrows_the_aisle_of_a_rack(layout):
    new_rack(layout, y_m=6).save()
    FloorFeature.objects.create(
        layout=layout, hall=layout.halls.get(), name="W-2", type="wall", x_m=1, y_m=5, width_m=3, depth_m=0.2
    )
    (found,) = [f for f in rules(layout)["aisle width"] if f.object_kind == "rack"]
    assert found.value == pytest.approx(0.8)
    assert "up to wall or keep-out W-2" in found.message


@pytest.mark.parametrize(("n_drawn", "expected"), [(0, None), (3, None), (2, HINT), (4, RISK)])
def test_drawn_air_units_are_counted_against_the_halls(layout, n_drawn, expected):
    AirUnit.objects.all().delete()
    for i in range(n_drawn):
        air_unit(layout, name=f"U-{i}", x_m=1 + 3 * i, y_m=10).save()
    found = rules(layout).get("placed air units", [])
    assert [f.severity for f in found] == ([expected] if expected else [])
    if expected:
        assert f"{n_drawn} air units are drawn, but the hall has 3" in found[0].message


def test_a_copy_has_its_own(layout):
    copy = services.layout_clone(layout=layout, name="Copy")
    assert AirUnit.objects.filter(layout=copy, hall__layout=copy).count() == 3
    assert FloorFeature.objects.filter(layout=copy, hall__layout=copy).count() == 2


def test_the_site_file_keeps_them_and_leaves_empty_sections_out(layout):
    services.part_save(part=new_rack(layout))
    first = documents.write(site_document(layout.site))
    assert "{name: Cold, hall: Hall, type: cold_aisle, x_m: 1.8, y_m: 2.4, width_m: 12, depth_m: 1.5}" in first
    site_load(documents.read(first), replace=True)
    assert documents.write(site_document(layout.site)) == first
    AirUnit.objects.all().delete()
    FloorFeature.objects.all().delete()
    older = documents.write(site_document(layout.site))
    assert "air_units:\n" not in older
    assert "floor_features:" not in older
    site_load(documents.read(older), replace=True)
    assert documents.write(site_document(layout.site)) == older


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: wall", "type: moat", "floor_features[W-1].type: Value 'moat' is not a valid choice."),
        ("{name: W-1, hall: Hall", "{name: W-1, hall: Attic", "floor_features[W-1].hall is 'Attic'; must be one of"),
        ("width_m: 0.2", "width_m: wide", "floor_features[W-1].width_m is 'wide'; must be a number."),
        (
            "x_m: 0, y_m: 0, width_m: 0.2",
            "x_m: 2, y_m: 3, width_m: 0.2",
            "floor_features[W-1].x_m: Wall or column W-1 overlaps rack A-01",
        ),
        ("{name: CRAH-1, hall: Hall, x_m: 3", "{name: CRAH-1, hall: Hall, x_m: 19", "air_units[CRAH-1].x_m: Air unit"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(layout, old, new, message):
    services.part_save(part=new_rack(layout))
    content = documents.write(site_document(layout.site))
    assert old in content
    with pytest.raises(documents.SiteFileError) as error:
        site_load(documents.read(content.replace(old, new, 1)), replace=True)
    assert message in str(error.value)
