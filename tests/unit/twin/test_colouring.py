"""Which question an address asks, and what answers it."""

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from facility.models import Rack
from power_cooling.site_facts.units import US, shown_in
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import done_run, small_scenario
from tests.small_site import new_rack
from twin.core.results.rack_quantities import BY_NAME, QUANTITIES
from twin.core.text.numbers import GAP
from twin.floor import colouring
from twin.floor.rows import read_floor
from twin.runs import services
from twin.runs.latest import latest_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def scenario():
    return small_scenario()[1]


def test_an_hours_weather_is_said_in_its_readers_units():
    hour = {"label": "16 Jul 16:00", "dry_bulb_degc": 30.0, "load_frac": 0.5}
    assert colouring.hour_text(hour).replace(GAP, " ") == "16 Jul 16:00 · 30.0 °C outside · load 50%"
    with shown_in(US):
        assert colouring.hour_text(hour).replace(GAP, " ") == "16 Jul 16:00 · 86.0 °F outside · load 50%"


@pytest.fixture
def catalogue(db):
    """Load what the solver needs beside the parts themselves."""
    load_shipped(CATALOGUE)


@pytest.fixture
def layout(scenario):
    return scenario.site.layouts.get()


def asked(layout, **query) -> colouring.Question:
    runs = latest_runs([layout.id]).get(layout.id, [])
    return colouring.read_question(query, layout, runs=runs, scenarios=list(layout.site.scenarios.all()))


def coloured(layout, **query) -> colouring.Colouring:
    return colouring.colouring(read_floor(layout), asked(layout, **query))


def test_without_a_run_the_rating_is_shown_and_with_one_the_years_highest_power(layout, scenario):
    assert asked(layout).quantity.name == "rated_power_w"
    done_run(layout, scenario)
    question = asked(layout)
    assert (question.quantity.name, question.hour, question.label) == ("power_w", "year", "Highest power")


def test_names_of_a_runs_arrays_still_name_their_quantity():
    assert BY_NAME["max_junction_degc"] is BY_NAME["junction_degc"]
    assert len({quantity.name for quantity in QUANTITIES}) == len(QUANTITIES)


@pytest.mark.parametrize(
    ("query", "hour", "note"),
    [
        ({"colour": "power_w", "hour": "9000"}, "design", "“9000” is no hour of this year"),
        ({"colour": "power_w", "hour": "noon"}, "design", "“noon” is no hour of this year"),
        ({"colour": "power_w", "hour": "year"}, "design", "run the year first"),
        ({"colour": "power_w", "hour": "17"}, 17, ""),
        ({"colour": "power_w", "hour": "17", "when": "design"}, "design", ""),
        ({"colour": "power_w", "hour": "17", "when": "hour"}, 17, ""),
        ({"colour": "weight_kg", "hour": "17"}, "year", ""),
        ({"colour": "mean_power_w", "hour": "17"}, "year", "known for the whole year only"),
        ({"colour": "sense", "hour": "17"}, "year", "There is no quantity “sense”"),
        ({"colour": "power_w", "scenario": "none"}, "design", "no scenario “none”"),
    ],
)
def test_what_cannot_be_followed_is_said(layout, query, hour, note):
    question = asked(layout, **query)
    assert question.hour == hour
    assert note in " ".join(question.notes)
    assert bool(question.notes) == bool(note)


def test_without_a_limit_there_is_nothing_left_to_show(layout):
    question = asked(layout, colour="tokens_per_joule", mode="remaining")
    assert question.mode == "used"
    assert "No limit" in question.notes[0]


def test_the_hours_of_a_day_are_solved_together():
    assert colouring.block_of(49, 8760) == list(range(48, 72))
    assert colouring.block_of(8790, 8800) == list(range(8784, 8800))
    assert colouring.block_of("design", 8760) == ["design"]


@pytest.mark.compiled
def test_an_hour_of_the_year_has_values_limits_and_the_days_ends(catalogue, layout):
    here = coloured(layout, colour="junction_degc", hour="4720")
    assert np.isfinite(here.used).all()
    assert here.low <= here.used.min() <= here.used.max() <= here.high
    assert here.high > here.low  # the day is warmer at noon
    assert here.time_label.startswith("16 Jul 16:00 · ")
    assert not here.notes


@pytest.mark.compiled
def test_a_rack_takes_the_load_of_what_serves_it(catalogue, layout):
    lone = Rack.objects.filter(hall__layout=layout).first()
    Rack.objects.filter(pk=lone.pk).update(feed_b=None)
    here = coloured(layout, colour="feed_load_frac")
    assert here.question.hour == "design"
    assert (here.used > 0).all()
    assert (here.limit == 1).all()
    cdus = coloured(layout, colour="cdu_load_frac", hour="12")
    assert (cdus.used > 0).all()


def test_the_year_knows_the_load_of_what_serves_a_rack_and_an_older_run_says_that_it_does_not(layout, scenario):
    run = done_run(layout, scenario)
    older = coloured(layout, colour="feed_load_frac")
    assert older.question.hour == "year"
    assert "does not hold “Highest feed load”; run the year again" in older.notes[0]
    ids = np.array(Rack.objects.filter(hall__layout=layout).order_by("name").values_list("id", flat=True))
    run.racks = services.arrays_packed({"rack_id": ids, "max_feed_load_frac": np.array([0.4, 1.1])})
    run.save()
    here = coloured(layout, colour="feed_load_frac", mode="remaining")
    assert here.shown == pytest.approx([0.6, -0.1])
    assert here.is_over.tolist() == [False, True]
    assert not here.notes


@pytest.mark.compiled
def test_racks_that_make_no_tokens_have_no_tokens(catalogue, layout):
    Rack.objects.filter(hall__layout=layout, name="A-00").update(
        role="network", product=None, other_power_w=5e3, cdu=None
    )
    for name in ("output_tokens_per_s", "junction_degc"):
        values = coloured(layout, colour=name, hour="12").used
        assert np.isnan(values[0]), name
        assert values[1] > 0, name


def test_what_cannot_be_solved_is_said_and_stays_without_colour(catalogue, layout):
    layout.power_feeds.all().delete()
    here = coloured(layout, colour="power_w", hour="12")
    assert np.isnan(here.used).all()
    assert here.notes == ["Rack power cannot be computed: Rack A-00 is on no power feed; connect it to one"]


def test_availability_is_shown_without_a_run(catalogue, layout):
    here = coloured(layout, colour="availability_frac")
    assert (here.used > 0.99).all()
    assert (here.used < 1).all()


@pytest.mark.compiled
def test_the_page_shows_an_hour_without_javascript(client, catalogue, layout):
    client.force_login(get_user_model().objects.create_superuser("reader"))
    page = client.get(
        reverse("layout-detail", args=[layout.site.slug, layout.slug]), {"colour": "junction_degc", "hour": "4720"}
    )
    assert page.status_code == 200
    text = page.content.decode()
    assert "16 Jul 16:00" in text
    assert 'value="4720"' in text
    assert text.count('class="r"') == 2


def test_the_pages_queries_do_not_grow_with_the_racks(client, layout):
    client.force_login(get_user_model().objects.create_superuser("reader"))
    address = reverse("layout-detail", args=[layout.site.slug, layout.slug])
    counts = []
    for row in "DE":
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
        Rack.objects.bulk_create(new_rack(layout, name=f"{row}-{i}", row=row, x_m=0.6 * i, y_m=9.0) for i in range(20))
    assert counts[0] == counts[1]
