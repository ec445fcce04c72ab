"""One meaning of findings: every page, list and program counts those of the rules and of the last run together."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility import services
from facility.models import Hall, Layout, Membership, Rack
from tests.small_run import small_result, use_solver
from twin.core.results.details import LimitRow, WorkloadRow
from twin.models import Run
from twin.runs import execution
from twin.runs.found import nothing_found
from twin.runs.latest import LatestRun
from twin.runs.standing import SiteStanding, site_standing

pytestmark = pytest.mark.django_db

LIMIT = {"object": "Busway A", "kind": "feed load", "value": 1.2e6, "limit": 1e6, "unit": "W", "hour": 7}


@pytest.fixture
def planner(client, layout, catalogue):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.PLANNER)
    client.force_login(user)
    return client


@pytest.fixture
def run(layout, planner, monkeypatch) -> Run:
    result = small_result()
    result.details = type(result.details)(
        **{name: getattr(result.details, name) for name in result.details.__slots__}
        | {"limits": (LimitRow(**LIMIT),), "throttled_hours": 31.0}
    )
    use_solver(monkeypatch, lambda inputs, progress: result)
    return execution.run_now(layout=layout, scenario=layout.site.scenarios.get())


def count(page: str) -> int:
    """Return the number beside the heading of the findings."""
    return int(re.search(r'Findings <span class="count">(\d+)', page)[1])


def tallied(page: str) -> int:
    """Return the sum of what a list counts by severity."""
    return sum(int(n) for n in re.findall(r"(\d+) (?:blocking|risk|hint)", page))


@pytest.mark.compiled
def test_every_page_and_program_counts_the_same_findings(planner, layout, run):
    here = [layout.site.slug, layout.slug]
    api = planner.get(f"/api/layouts/{layout.pk}/findings/").json()
    rules = len(run.details["findings"])
    assert rules
    assert len(api) == rules + 2
    pages = {
        "list": tallied(planner.get(reverse("site-list")).content.decode()),
        "site": tallied(planner.get(reverse("site-detail", args=here[:1])).content.decode()),
        "layout": count(planner.get(reverse("layout-detail", args=here)).content.decode()),
        "findings": count(planner.get(reverse("layout-findings", args=here)).content.decode()),
        "run": count(planner.get(reverse("run-detail", args=[run.id])).content.decode()),
        "tally": tallied(planner.get(reverse("layout-tally", args=here)).content.decode()),
        "board": planner.get(f"/api/layouts/{layout.pk}/answer/").json()["n_findings"],
        "report": tallied(planner.get(reverse("run-report", args=[run.id])).content.decode().split("When it ran:")[1]),
    }
    assert pages == dict.fromkeys(pages, len(api))


def test_the_findings_of_an_edited_layout_are_asked_anew_by_lists(planner, layout, run):
    here = [layout.site.slug, layout.slug]
    rack = Rack.objects.filter(hall__layout=layout).first()
    rack.name = "Renamed"
    services.part_save(part=rack, fields=["name"], user=None)
    page = planner.get(reverse("site-detail", args=here[:1])).content.decode()
    assert f'hx-get="{reverse("layout-tally", args=here)}"' in page
    layout.refresh_from_db()
    layout.site.grid_limit_w = 1.0
    layout.site.save()
    tally = planner.get(reverse("layout-tally", args=here)).content.decode()
    assert tallied(tally) == count(planner.get(reverse("layout-findings", args=here)).content.decode())


def test_findings_are_one_list_most_severe_first(planner, layout, run):
    severities = [row["severity"] for row in planner.get(f"/api/layouts/{layout.pk}/findings/").json()]
    assert severities == sorted(severities, key=("blocking", "risk", "hint").index)


@pytest.mark.parametrize("with_hall", [False, True])
def test_an_empty_layout_is_not_praised(planner, layout, with_hall):
    empty = Layout.objects.create(site=layout.site, slug="empty", name="Empty")
    if with_hall:
        Hall.objects.create(layout=empty, name="Hall 1", width_m=20, depth_m=20)
    here = [layout.site.slug, "empty"]
    for name in ("layout-findings", "layout-detail"):
        page = planner.get(reverse(name, args=here)).content.decode()
        assert "No rule is broken" not in page
    answer = planner.get(f"/api/layouts/{empty.pk}/answer/").json()
    assert "No rule is broken" not in answer.get("nothing_found", answer.get("message"))


def test_what_was_looked_at_is_said_where_nothing_is_found():
    assert "nothing to judge" in nothing_found(0, None)
    assert "No run has finished yet" in nothing_found(3, None)


def listed(figures: dict, findings=(), bands=None, **fields) -> LatestRun:
    name = fields.pop("id", None)
    head = (name, fields.pop("layout_id", 1), 1, "Assistants", None, figures, bands or {})
    return LatestRun(*head, findings, "", layout_name=name, **fields)


def stood(*runs: LatestRun) -> SiteStanding:
    return site_standing(runs, 1e6)


def test_the_best_layout_has_the_most_good_tokens_per_joule_and_can_be_built():
    plain = listed({"good_tokens_per_joule": 2.0, "tokens_per_joule": 3.0}, id="plain")
    late = listed({"good_tokens_per_joule": 1.0, "tokens_per_joule": 9.0}, id="late")
    blocked = listed({"good_tokens_per_joule": 5.0}, id="blocked", n_found={"blocking": 1})
    large = listed({"good_tokens_per_joule": 4.0, "peak_power_w": 2e6}, id="large")
    stands = stood(late, plain, blocked, large)
    assert (stands.first, stands.is_ahead, stands.left_out) == (plain, True, None)
    assert stands.mark(plain) == "best"
    assert stood(blocked, large).first is None


def test_a_list_calls_a_tie_what_a_comparison_calls_one():
    one = listed({"good_tokens_per_joule": 2.0}, bands={"good_tokens_per_joule": [1.0, 4.0]}, id="one")
    other = listed({"good_tokens_per_joule": 2.1}, bands={"good_tokens_per_joule": [1.0, 4.0]}, id="other")
    stands = stood(one, other)
    assert stands.level == [other, one]
    assert not stands.is_ahead
    assert {stands.mark(one), stands.mark(other)} == {"tie"}
    assert stands.sentence.startswith("Too close to call: other is ahead of one by 5")


def test_a_list_says_when_the_leader_was_left_out_as_changed():
    led = listed({"good_tokens_per_joule": 3.0}, id="led", changed=True)
    stands = stood(led, listed({"good_tokens_per_joule": 1.0}, id="next"))
    assert (stands.first.id, stands.left_out) == ("next", led)
    assert stood(listed({"good_tokens_per_joule": 0.5}, id="last", changed=True), stands.first).left_out is None


def test_a_layout_that_misses_its_targets_is_nobodys_best():
    late = WorkloadRow("Chat", itl_p95_s=0.2, target_itl_s=0.1)
    fast = listed({"good_tokens_per_joule": 9.0}, id="fast", workloads=(late,))
    kept = listed({"good_tokens_per_joule": 1.0}, id="kept")
    assert stood(fast, kept).first is kept
    alone = stood(fast)
    assert (alone.first, alone.is_ahead) == (fast, False)
    assert alone.misses


def test_a_site_whose_layouts_are_all_blocked_names_no_best(planner, layout, run):
    page = planner.get(reverse("site-list")).content.decode()
    assert "none can be built" in page


def test_an_older_run_is_counted_anew(planner, layout, run):
    details = run.details
    details.pop("found_in")
    Run.objects.filter(pk=run.pk).update(details=details)
    assert "counting" in planner.get(reverse("site-list")).content.decode()
