"""The guided start: every step is a real finding, is solved by what it proposes, and is judged from the description."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility import services
from facility.models import Cdu, Layout, Product, Rack, Site
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import done_run
from twin.models import Run
from twin.onboarding import guide
from twin.runs.findings import layout_findings


@pytest.fixture
def user(db):
    load_shipped(CATALOGUE)
    return get_user_model().objects.create_user("anna")


@pytest.fixture
def site(user) -> Site:
    return guide.guide_start(user=user)


def state(site) -> guide.Guide:
    return guide.guide_state(Site.objects.get(pk=site.pk))


def yours(site) -> Layout:
    return site.layouts.get(slug=guide.YOURS)


def product(slug: str) -> Product:
    return Product.objects.get(slug=slug)


def changed(part, **values) -> None:
    for name, value in values.items():
        setattr(part, name, value)
    services.part_save(part=part)


def second_cdu(layout: Layout) -> None:
    first = layout.cdus.get(name="CDU-1")
    services.part_save(
        part=Cdu(
            layout=layout,
            hall=first.hall,
            name="CDU-2",
            product=first.product,
            plant=first.plant,
            group="Loop",
            redundant_units=1,
            x_m=8,
            y_m=7,
            supply_degc=44,
        )
    )


#: What each step proposes, by slug.
MENDED = {
    "aisle": lambda layout: changed(Rack.objects.get(hall__layout=layout, name="B-04"), y_m=5.4),
    "feed-b": lambda layout: changed(
        Rack.objects.get(hall__layout=layout, name="A-04"), feed_b=layout.power_feeds.get(name="Busway B")
    ),
    "busway": lambda layout: changed(
        layout.power_feeds.get(name="Busway A"), product=product("busway-1250a-415"), n_units=2
    ),
    "coolant": lambda layout: changed(layout.cdus.get(name="CDU-1"), supply_degc=44),
    "cdu": lambda layout: changed(layout.cdus.get(name="CDU-1"), product=product("vertiv-coolchip-2300")),
    "spare": second_cdu,
    "plant": lambda layout: changed(layout.cooling_plants.get(name="Facility water"), n_heat_rejection=4),
    "grid": lambda layout: Site.objects.filter(pk=layout.site_id).update(grid_limit_w=1.6e6),
}


def test_the_hall_has_the_eight_faults_and_no_other(site):
    found = state(site)
    assert [item.state for item in found.steps] == ["open"] * 8
    named = {f for item in found.steps for f in item.findings}
    others = {f for f in layout_findings(yours(site)) if f not in named}
    assert {f.severity for f in others} <= {"hint"}
    assert all(item.findings for item in found.steps)


def test_each_step_is_solved_by_what_it_proposes_and_only_then(site):
    assert list(MENDED) == [step.slug for step in guide.STEPS]
    for n_solved, step in enumerate(guide.STEPS):
        before = state(site)
        assert before.n_solved == n_solved
        assert before.current.step.slug == step.slug
        MENDED[step.slug](yours(site))
    done = state(site)
    assert done.is_done
    assert done.current is None
    assert {f.severity for f in layout_findings(yours(site))} <= {"hint"}
    assert [item.findings for item in done.steps] == [[]] * 8


def test_another_way_to_solve_a_step_counts_too(site):
    layout = yours(site)
    changed(layout.halls.get(), min_aisle_m=1.0)
    assert state(site).steps[0].state == "solved"


def test_taking_racks_away_solves_nothing(site):
    Rack.objects.filter(hall__layout=yours(site), name__in=["A-04", "B-04"]).delete()
    found = state(site)
    assert found.n_racks_missing == 2
    for mend in MENDED.values():
        try:
            mend(yours(site))
        except Rack.DoesNotExist:
            continue
    assert state(site).n_solved == 8
    assert not state(site).is_done


def test_the_hall_as_found_stays_and_a_restart_brings_yours_back(site, user):
    for mend in MENDED.values():
        mend(yours(site))
    assert len([f for f in layout_findings(site.layouts.get(slug=guide.FOUND)) if f.severity != "hint"]) >= 7
    guide.guide_start(user=user)
    assert state(site).n_solved == 0
    assert Site.objects.get(pk=site.pk).grid_limit_w == 1e6


def test_each_user_has_a_hall_of_their_own(site, user, client):
    other = get_user_model().objects.create_user("ben")
    theirs = guide.guide_start(user=other)
    assert theirs.slug != site.slug
    client.force_login(other)
    assert client.get(reverse("site-detail", args=[site.slug])).status_code == 404
    assert client.get(reverse("site-detail", args=[theirs.slug])).status_code == 200


def test_every_step_links_to_a_form_that_opens(site, user, client):
    client.force_login(user)
    for item in state(site).steps:
        address, _, anchor = item.href.partition("#")
        page = client.get(address)
        assert page.status_code == 200, item.step.slug
        assert not anchor or f'id="{anchor}"' in page.content.decode(), item.href
        assert "Back to the steps" in page.content.decode()


def test_the_page_shows_the_live_finding_of_the_current_step(user, client):
    client.force_login(user)
    assert "Start with my own hall" in client.get(reverse("guide")).content.decode()
    client.post(reverse("guide-start"))
    page = client.get(reverse("guide")).content.decode()
    assert "1.00 m are clear in front of it" in page
    assert "0 of 8 solved" in page
    MENDED["aisle"](yours(guide.guide_site(user)))
    page = client.get(reverse("guide")).content.decode()
    assert "1 of 8 solved" in page
    assert "any failure above it takes the rack down" in page


def test_a_step_can_be_skipped_and_taken_up_again(user, client):
    client.force_login(user)
    client.post(reverse("guide-start"))
    client.post(reverse("guide-skip"), {"step": "aisle"})
    page = client.get(reverse("guide")).content.decode()
    assert "Resume this step" in page
    assert "Give rack A-04 a second feed" in page
    client.post(reverse("guide-skip"), {"step": "aisle"})
    assert "Resume this step" not in client.get(reverse("guide")).content.decode()
    assert client.post(reverse("guide-skip"), {"step": "nonsense"}).status_code == 404


def test_the_end_shows_what_was_gained_and_where_to_share_it(site, user, client):
    client.force_login(user)
    for mend in MENDED.values():
        mend(yours(site))
    page = client.get(reverse("guide")).content.decode()
    assert "What is that worth?" in page
    assert "Compare and share" not in page
    scenario = site.scenarios.get()
    before = done_run(site.layouts.get(slug=guide.FOUND), scenario)
    after = done_run(yours(site), scenario)
    page = client.get(reverse("guide")).content.decode()
    assert f"?runs={before.id},{after.id}" in page
    assert "Tokens per watt" in page
    assert "Findings of the year" in page
    changed(yours(site).halls.get(), lighting_w=2000)
    page = client.get(reverse("guide")).content.decode()
    assert "edited since: run it again" in page
    assert Run.objects.count() == 2


def test_a_deleted_hall_can_be_started_again(site, user, client):
    yours(site).delete()
    client.force_login(user)
    assert "Start with my own hall" in client.get(reverse("guide")).content.decode()
    client.post(reverse("guide-start"))
    assert state(site).n_solved == 0
