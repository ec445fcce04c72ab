"""Forms and lists of the description: they save through the services and lose nothing that was typed."""

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from facility.models import CpuServer, Fabric, Hall, Membership, Rack, Site, Storage, Weather
from facility.views.parts import PARTS
from facility.weather import ESTIMATED, read_climate, weather_fields
from tests.small_site import new_rack, product, small_layout
from tests.unit.facility.test_weather_files import table

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    layout = small_layout()
    new_rack(layout).save()
    Fabric.objects.create(layout=layout, name="Scale-out", leaf=product("network_switches", "nvidia-qm9700"))
    Storage.objects.create(layout=layout, name="Cache", product=product("storage", "flash-enclosure-24"))
    CpuServer.objects.create(layout=layout, name="Tools", product=product("cpu_servers", "epyc-9965-2s"))
    return layout


@pytest.fixture
def planner(client, layout):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.PLANNER)
    client.force_login(user)
    return client


def address(name: str, layout, *more) -> str:
    return reverse(name, args=[layout.site.slug, layout.slug, *more])


def hall_fields(**changes) -> dict:
    return {
        "name": "Hall 2",
        "width_m": "20",
        "depth_m": "10",
        "height_m": "5",
        "tile_m": "0.6",
        "min_aisle_m": "1.2",
        "floor_load_limit_kg_per_m2": "1700",
        "containment": "hot_aisle",
        "supply_air_degc": "25",
        "n_air_units": "0",
        "n_air_units_spare": "0",
        "leakage_frac": "0.05",
        "recirculation_frac": "0.03",
        "lighting_w": "5000",
    } | changes


def row_fields(layout, **changes) -> dict:
    return {
        "hall": layout.halls.get().pk,
        "row": "B",
        "n_racks": "12",
        "role": "compute",
        "n_systems": "1",
        "product": product("systems", "dgx-gb300-nvl72").pk,
        "other_power_w": "0",
        "x_m": "2",
        "y_m": "8",
        "pitch_m": "0.6",
        "orientation_deg": "180",
        "width_m": "0.6",
        "depth_m": "1.2",
        "version": layout.version,
    } | changes


@pytest.mark.parametrize("kind", list(PARTS))
def test_each_kind_has_a_list_a_form_and_a_way_out(planner, layout, kind):
    part = PARTS[kind].rows_of(layout).first()
    assert planner.get(address("part-list", layout, kind)).status_code == 200
    assert planner.get(address("part-new", layout, kind)).status_code == 200
    assert planner.get(address("part-edit", layout, kind, part.pk)).status_code == 200
    assert planner.get(address("part-delete", layout, kind, part.pk)).status_code == 200


def test_lists_take_as_many_queries_for_many_racks(planner, layout, django_assert_num_queries):
    with django_assert_num_queries(5):  # session, user, layout, racks, membership
        planner.get(address("part-list", layout, "racks"))
    Rack.objects.bulk_create(new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8.0) for i in range(20))
    with django_assert_num_queries(5):
        planner.get(address("part-list", layout, "racks"))


def test_a_hall_is_added_by_form(planner, layout):
    answer = planner.post(address("part-new", layout, "halls"), hall_fields(version=layout.version))
    assert answer.status_code == 302
    assert layout.halls.filter(name="Hall 2", width_m=20).exists()


def test_a_negative_size_is_refused_beside_its_field(planner, layout):
    page = planner.post(address("part-new", layout, "halls"), hall_fields(width_m="-3")).content.decode()
    assert "Nothing was saved" in page
    assert 'value="-3"' in page
    assert not Hall.objects.filter(name="Hall 2").exists()


def test_a_row_of_racks_is_placed_at_once(planner, layout):
    answer = planner.post(address("rack-row", layout), row_fields(layout))
    assert answer.url == address("layout-detail", layout)
    assert Rack.objects.filter(row="B", orientation_deg=180).count() == 12


def test_a_row_that_overlaps_is_refused_whole(planner, layout):
    page = planner.post(address("rack-row", layout), row_fields(layout, y_m="4.5")).content.decode()
    assert "overlaps" in page
    assert not Rack.objects.filter(row="B").exists()


def test_an_edit_of_an_older_version_is_refused_and_nothing_typed_is_lost(planner, layout):
    planner.post(address("part-new", layout, "halls"), hall_fields(version=layout.version))
    layout.refresh_from_db()
    edit = address("part-edit", layout, "halls", Hall.objects.latest("pk").pk)
    assert planner.post(edit, hall_fields(width_m=21, version=layout.version)).status_code == 302
    late = planner.post(edit, hall_fields(name="Late hall", version=layout.version))
    page = late.content.decode()
    assert "What you typed is still below" in page
    assert 'value="Late hall"' in page
    layout.refresh_from_db()
    assert f'name="version" value="{layout.version}"' in page
    assert not Hall.objects.filter(name="Late hall").exists()


def test_a_part_is_deleted_after_asking(planner, layout):
    rack = Rack.objects.get()
    planner.post(address("part-delete", layout, "racks", rack.pk), {"version": layout.version})
    assert not Rack.objects.exists()


def test_a_plant_in_use_cannot_be_deleted(planner, layout):
    plant = layout.cooling_plants.get()
    place = address("part-delete", layout, "cooling-plants", plant.pk)
    assert "does not say which version" in planner.post(place).content.decode()
    assert "is in use by" in planner.post(place, {"version": layout.version}).content.decode()
    assert layout.cooling_plants.exists()


def test_a_viewer_reads_lists_and_gets_no_forms(client, layout):
    user = get_user_model().objects.create_user("viewer")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.VIEWER)
    client.force_login(user)
    page = client.get(address("part-list", layout, "racks"))
    assert page.status_code == 200
    assert "Edit" not in page.content.decode()
    for name, more in (("part-new", ["racks"]), ("part-edit", ["racks", Rack.objects.get().pk]), ("rack-row", [])):
        assert client.get(address(name, layout, *more)).status_code == 403
    assert client.post(address("layout-clone", layout), {"copy-name": "x"}).status_code == 403


def test_a_part_of_another_layout_is_not_found(planner, layout):
    other = small_layout("other")
    stray = other.halls.get()
    assert planner.get(address("part-edit", layout, "halls", stray.pk)).status_code == 404
    assert planner.get(address("part-list", other, "halls")).status_code == 404


def test_a_layout_is_copied_with_its_parts(planner, layout):
    answer = planner.post(address("layout-clone", layout), {"copy-name": "Second try"})
    copy = layout.site.layouts.get(slug="second-try")
    assert answer.url == address("layout-detail", copy)
    assert Rack.objects.filter(hall__layout=copy).count() == 1


def test_a_site_belongs_to_who_described_it(planner, layout):
    fields = {
        "name": "New place",
        "slug": "new-place",
        "latitude_deg": "50",
        "longitude_deg": "8",
        "elevation_m": "100",
        "weather": layout.site.weather_id,
        "region": layout.site.region_id,
        "grid_limit_w": "5",
    }
    assert planner.post(reverse("site-new"), fields).status_code == 302
    assert Site.objects.get(slug="new-place").memberships.get().role == Membership.Role.OWNER


def test_the_catalogue_shows_facts_with_unit_mark_and_source(planner, layout):
    gb200 = product("systems", "dgx-gb200-nvl72")
    assert planner.get(reverse("catalogue"), {"q": "gb200"}).status_code == 200
    assert gb200.name in planner.get(reverse("catalogue-kind", args=["systems"])).content.decode()
    page = planner.get(reverse("product", args=["systems", gb200.slug])).content.decode()
    assert 'title="132000 W"' in page
    assert "BCM manual" in page
    assert planner.get(reverse("catalogue-kind", args=["nonsense"])).status_code == 404


def test_a_frozen_layout_offers_a_copy_on_each_of_its_pages(planner, layout):
    type(layout).objects.filter(pk=layout.pk).update(status="as_operated")
    page = planner.get(address("part-list", layout, "halls")).content.decode()
    assert f'<a href="{address("layout-clone", layout)}">a copy</a>.' in page


def new_site_fields(**changes) -> dict:
    return {
        "name": "Riverside",
        "slug": "riverside",
        "latitude_deg": "50.03",
        "longitude_deg": "8.57",
        "elevation_m": "111",
        "region": product("regions", "germany").pk,
        "grid_limit_w": "3000 kW",
    } | changes


def test_a_town_fills_the_form_of_a_new_site_and_says_what_weather_is_near(planner):
    found = planner.get(reverse("site-new"), {"search": "frankfurt"})
    assert f"{reverse('site-new')}?place=FRA" in found.content.decode()
    page = planner.get(reverse("site-new"), {"place": "FRA"}).content.decode()
    for filled in ('value="frankfurt-am-main"', 'value="Frankfurt am Main, Hesse, DE"', 'value="111"'):
        assert filled in page, filled
    assert "Nearest weather" in page
    assert "km away" in page
    assert "Europe/Berlin" in page


def test_a_search_for_a_town_that_is_not_there_says_so(planner):
    assert "No town with an airport" in planner.get(reverse("site-new"), {"search": "qqqqq"}).content.decode()
    assert "must be 2 to 60 letters" in planner.get(reverse("site-new"), {"search": "x"}).content.decode()


def test_a_measured_year_comes_with_the_form_of_a_new_site(planner):
    upload = SimpleUploadedFile("year.csv", table(), "text/csv")
    answer = planner.post(reverse("site-new"), new_site_fields(weather_file=upload))
    assert answer.status_code == 302, answer.context["form"].errors
    site = Site.objects.select_related("weather").get(slug="riverside")
    assert (site.weather.site, site.weather.confidence, site.weather.utc_offset_h) == (site, "entered", 1.0)


def test_a_new_site_needs_a_year_and_keeps_nothing_of_a_bad_one(planner):
    page = planner.post(reverse("site-new"), new_site_fields()).content.decode()
    assert "Choose a year of weather, or upload a measured one." in page
    upload = SimpleUploadedFile("year.csv", b"dry_bulb_degc,relative_humidity_percent\n1,2", "text/csv")
    page = planner.post(reverse("site-new"), new_site_fields(weather_file=upload)).content.decode()
    assert "The table has 1 rows" in page
    assert not Site.objects.filter(slug="riverside").exists()
    assert not Weather.objects.filter(slug__startswith="riverside").exists()


def test_estimated_weather_is_marked_on_the_site(planner, layout):
    name = "estimated-berlin"
    year = Weather.objects.create(slug=name, **weather_fields(read_climate(ESTIMATED / f"{name}.csv.gz")))
    Site.objects.filter(pk=layout.site.pk).update(weather=year)
    page = planner.get(reverse("site-detail", args=[layout.site.slug])).content.decode()
    assert "The hours of this weather are estimated" in page
    assert "Berlin (estimated)" in page
