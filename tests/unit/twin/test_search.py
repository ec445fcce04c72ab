"""One search over everything that has a name, and nothing that the asker may not see."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.models import Hall, Membership
from tests.small_run import done_run, small_scenario
from twin.search import MOST_OF_A_KIND, READ_OF_A_KIND, SearchError, search

pytestmark = pytest.mark.django_db


@pytest.fixture
def here():
    return small_scenario("north-campus")


@pytest.fixture
def elsewhere():
    return small_scenario("elsewhere")


@pytest.fixture
def planner(here, elsewhere):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=here[0].site, user=user, role="viewer")
    return user


def kinds(hits) -> set[str]:
    return {hit.kind for hit in hits}


def test_everything_with_a_name_is_found_with_its_page(planner, here, client):
    layout, scenario = here
    run = done_run(layout, scenario)
    client.force_login(planner)
    wanted = {
        layout.site.name: "site",
        layout.name: "layout",
        "A-00": "rack",
        layout.cdus.first().name: "CDU",
        layout.cooling_plants.first().name: "cooling plant",
        scenario.name: "scenario",
        str(run.pk)[:8]: "run",
        "gb200": "catalogue",
        "PUE": "glossary",
    }
    for text, kind in wanted.items():
        hits = [hit for hit in search(planner, text) if hit.kind == kind]
        assert hits, (text, kind)
        assert client.get(hits[0].href.partition("#")[0]).status_code == 200, hits[0]


def test_nothing_of_a_site_that_one_may_not_see_is_found(planner, here, elsewhere):
    for layout, scenario in (here, elsewhere):
        layout.name = f"Hall of {layout.site.slug}"
        layout.save()
        done_run(layout, scenario)
    mine = search(planner, "Hall of")
    assert {"layout", "run"} <= kinds(mine)
    assert all("elsewhere" not in f"{hit.name} {hit.where} {hit.href}" for hit in mine)
    hidden = done_run(*elsewhere)
    for text in ("elsewhere", "A-00", "assistants", str(hidden.pk)):
        assert all("/elsewhere/" not in hit.href and str(hidden.pk) not in hit.href for hit in search(planner, text))
    everybody = get_user_model().objects.create_superuser("root")
    assert any("/elsewhere/" in hit.href for hit in search(everybody, "A-00"))


def test_every_word_counts_and_the_nearest_name_is_first(planner, here):
    layout, _ = here
    for name in ("East hall", "Hall east wing", *(f"Hall {i}" for i in range(10))):
        Hall.objects.create(layout=layout, name=name, width_m=9, depth_m=9)
    halls = [hit.name for hit in search(planner, "east hall") if hit.kind == "hall"]
    assert halls == ["East hall", "Hall east wing"]
    halls = [hit.name for hit in search(planner, "hall") if hit.kind == "hall"]
    assert halls[0] == "Hall"
    assert len(halls) == MOST_OF_A_KIND


@pytest.mark.parametrize("text", ["", " ", "x", "y" * 81])
def test_a_text_that_is_too_short_or_too_long_is_refused(planner, text):
    with pytest.raises(SearchError, match="search by 2 to 80"):
        search(planner, text)


@pytest.mark.parametrize("text", ["A\x0000", "A\ud800"])
def test_a_text_that_no_name_can_have_is_refused_before_a_database_sees_it(planner, text):
    with pytest.raises(SearchError, match="cannot be printed"):
        search(planner, text)


def test_page_and_program_answer_alike_and_refuse_alike(planner, here, client):
    client.force_login(planner)
    rows = client.get("/api/search/", {"q": "A-0"}).json()
    assert [row["name"] for row in rows if row["kind"] == "rack"] == ["A-00", "A-01"]
    page = client.get(reverse("search"), {"q": "A-0"}).content.decode()
    assert all(f'href="{row["href"]}"' in page for row in rows)
    refused = client.get("/api/search/", {"q": "x"})
    assert refused.status_code == 400
    assert "search by 2 to 80" in str(refused.json())
    assert "search by 2 to 80" in client.get(reverse("search"), {"q": "x"}).content.decode()
    assert "Nothing that you may see" in client.get(reverse("search"), {"q": "zzzz"}).content.decode()
    assert 'aria-keyshortcuts="/"' in page
    client.logout()
    assert client.get("/api/search/", {"q": "A-0"}).status_code in (401, 403)
    assert client.get(reverse("search"), {"q": "A-0"}).status_code == 302


def test_the_name_that_is_the_text_is_found_among_many_that_hold_it(planner, here):
    layout, _ = here
    for name in (*(f"A{i:03}-R-01" for i in range(READ_OF_A_KIND + 5)), "R-01"):
        Hall.objects.create(layout=layout, name=name, width_m=9, depth_m=9)
    assert next(hit.name for hit in search(planner, "r-01") if hit.kind == "hall") == "R-01"


@pytest.mark.parametrize("text", ["ölpumpe", "Ölpumpe", "ÖLPUMPE"])
def test_capitals_of_any_alphabet_do_not_count(planner, here, text):
    Hall.objects.create(layout=here[0], name="Ölpumpe", width_m=9, depth_m=9)
    assert [hit.name for hit in search(planner, text) if hit.kind == "hall"] == ["Ölpumpe"]
