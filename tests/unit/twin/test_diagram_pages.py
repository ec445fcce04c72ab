"""The diagrams as pages: what they say at an hour, who may see them, and what they answer to a bad address."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.models import Cdu, Rack
from tests.small_site import new_rack

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
PAGES = ("layout-one-line", "layout-loop")


def address(layout, name, **query):
    return reverse(name, args=[layout.site.slug, layout.slug], query=query)


@pytest.mark.parametrize("name", PAGES)
def test_a_site_does_not_exist_for_others(client, layout, name):
    assert client.get(address(layout, name)).status_code == 302
    client.force_login(get_user_model().objects.create_user("stranger"))
    assert client.get(address(layout, name)).status_code == 404


@pytest.mark.compiled
def test_feeds_show_load_loss_and_limit_at_the_design_hour(viewer, layout):
    answer = viewer.get(address(layout, "layout-one-line"))
    html = answer.content.decode()
    for feed in layout.power_feeds.all():
        assert f'data-row="feeds-{feed.id}"' in html
    assert "of 3.00\N{NARROW NO-BREAK SPACE}MW" in html  # the transformers' rating
    assert "Design hour" in html
    assert "UPS · 2N" in html


@pytest.mark.compiled
def test_loops_show_temperatures_and_flows(viewer, layout):
    html = viewer.get(address(layout, "layout-loop", hour=4000)).content.decode()
    assert "41.0\N{NARROW NO-BREAK SPACE}°C" in html  # the CDUs' set point
    assert "kg/s" in html
    assert "16 Jun 16:00" in html
    assert "2 CDUs · N+1" in html
    for cdu in Cdu.objects.filter(layout=layout):
        assert reverse("cdu-detail", args=[layout.site.slug, layout.slug, cdu.id]) in html


@pytest.mark.parametrize("hour", ["8760", "-1", "noon", "1.5"])
@pytest.mark.parametrize("name", PAGES)
def test_a_bad_hour_is_refused_in_a_sentence_beside_the_bare_drawing(viewer, layout, name, hour):
    answer = viewer.get(address(layout, name, hour=hour))
    assert answer.status_code == 400
    html = answer.content.decode()
    assert "must be design or 0 to 8759" in html
    assert 'class="node ' in html


def test_an_unknown_scenario_is_refused(viewer, layout):
    answer = viewer.get(address(layout, "layout-one-line", scenario="none"))
    assert answer.status_code == 400
    assert "assistants" in answer.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_without_a_scenario_the_drawing_stands_alone(viewer, layout, name):
    layout.site.scenarios.all().delete()
    answer = viewer.get(address(layout, name))
    assert answer.status_code == 200
    assert "has no scenario" in answer.content.decode()
    assert "unsolved" in answer.content.decode()


@pytest.mark.parametrize(
    ("name", "words"), [("layout-one-line", "Start at the utility"), ("layout-loop", "Start with a plant")]
)
def test_an_empty_layout_says_what_comes_next(viewer, layout, name, words):
    layout.halls.all().delete()
    layout.power_feeds.all().delete()
    layout.cooling_plants.all().delete()
    answer = viewer.get(address(layout, name))
    assert answer.status_code == 200
    assert words in answer.content.decode()


@pytest.mark.compiled
@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_few_queries_however_many_racks(viewer, layout, name, django_assert_max_num_queries):
    Rack.objects.bulk_create(new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8.0) for i in range(20))
    with django_assert_max_num_queries(32):
        viewer.get(address(layout, name))
