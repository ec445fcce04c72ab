"""Pages of answers: who sees what, what they say, and how many queries they take."""

from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.models import Membership, Rack
from tests.small_run import done_run, small_scenario
from tests.small_site import new_rack
from twin.models import Run
from twin.runs import tasks
from twin.runs.changed import stamp_if_unchanged
from twin.views import validation

pytestmark = pytest.mark.django_db


@pytest.fixture
def scenario(layout):
    return layout.site.scenarios.get()


@pytest.fixture
def run(layout, scenario):
    run = stamped(done_run(layout, scenario))
    run.details |= {"mean_power_by_part_w": {"Accelerators": 2e5}, "costs": [], "assumptions": []}
    run.save()
    return run


def stamped(run: Run) -> Run:
    """Return a run that knows, as one that a worker ended does, that its layout was not edited meanwhile."""
    run.details["solved_in"] = stamp_if_unchanged(run)
    run.save()
    return run


def signed_in(client, layout=None, role=None):
    user = get_user_model().objects.create_user("somebody", password="somebody")
    if role:
        Membership.objects.create(site=layout.site, user=user, role=role)
    client.force_login(user)
    return client


@pytest.fixture
def planner(client, layout):
    return signed_in(client, layout, Membership.Role.PLANNER)


def addresses(layout, run) -> list[str]:
    here = [layout.site.slug, layout.slug]
    return [
        reverse("site-detail", args=here[:1]),
        reverse("layout-detail", args=here),
        reverse("layout-findings", args=here),
        reverse("rack-detail", args=[*here, Rack.objects.first().pk]),
        reverse("cdu-detail", args=[*here, layout.cdus.first().pk]),
        reverse("run-detail", args=[run.id]),
        reverse("run-table", args=[run.id, "figures"]),
        reverse("compare") + f"?runs={run.id}",
        reverse("site-file", args=here[:1]),
        reverse("bill-of-materials", args=here),
    ]


def test_everything_asks_for_signing_in(client, layout, run):
    for address in [reverse("site-list"), reverse("run-list"), reverse("validation"), *addresses(layout, run)]:
        assert client.get(address).status_code == 302, address


def test_a_member_sees_a_sites_pages(viewer, layout, run):
    for address in addresses(layout, run):
        assert viewer.get(address).status_code == 200, address


def test_a_site_does_not_exist_for_others(client, layout, run):
    stranger = signed_in(client)
    for address in addresses(layout, run):
        assert stranger.get(address).status_code == 404, address
    assert layout.site.name not in stranger.get(reverse("site-list")).content.decode()
    assert str(run.id) not in stranger.get(reverse("run-list")).content.decode()


def test_only_a_planner_may_run_cancel_and_change(viewer, layout, scenario, run):
    here = [layout.site.slug, layout.slug]
    for address in (reverse("run-create", args=here), reverse("run-cancel", args=[run.id])):
        assert viewer.post(address, {"scenario": scenario.slug}).status_code == 403
    assert viewer.get(reverse("scenario-edit", args=[layout.site.slug, scenario.slug])).status_code == 403
    assert "Run year" not in viewer.get(reverse("layout-detail", args=here)).content.decode()


def test_running_queues_a_run_and_shows_it(planner, layout, scenario, monkeypatch):
    monkeypatch.setattr("twin.runs.jobs.ring", lambda kind, run_id: None)
    answer = planner.post(reverse("run-create", args=[layout.site.slug, layout.slug]), {"scenario": scenario.slug})
    run = Run.objects.get()
    assert answer.url == reverse("run-detail", args=[run.id])
    page = planner.get(answer.url).content.decode()
    assert "Waiting for a worker" in page
    assert 'hx-trigger="every 1s"' in page


def test_an_ended_run_stops_the_polling(planner, layout, scenario):
    run = Run.objects.create(layout=layout, scenario=scenario)
    address = reverse("run-detail", args=[run.id])
    part = planner.get(address, headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert "HX-Request" in part.headers["Vary"]
    planner.post(reverse("run-cancel", args=[run.id]))
    assert planner.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    page = planner.get(address).content.decode()
    assert "The run was cancelled" in page
    assert "hx-trigger" not in page


def test_a_failed_run_says_why_and_where_to_mend_it(planner, layout, scenario):
    run = done_run(layout, scenario)
    run.status, run.message = Run.Status.FAILED, "Rack A-00: 70 B weights need 140 GB, 80 GB are there."
    run.save()
    page = planner.get(reverse("run-detail", args=[run.id])).content.decode()
    assert "70 B weights need 140 GB" in page
    assert "Run it again" in page


def test_a_refusal_is_shown_and_the_run_unchanged(planner, run):
    page = planner.post(reverse("run-cancel", args=[run.id]), follow=True).content.decode()
    assert "only a queued or running one can be cancelled" in page
    run.refresh_from_db()
    assert run.status == Run.Status.DONE


def test_the_series_can_be_chosen_alone(planner, run):
    part = planner.get(reverse("run-detail", args=[run.id]), {"series": "pue"}, headers={"HX-Request": "true"})
    assert "PUE over the year" in part.content.decode()
    assert "<html" not in part.content.decode()
    odd = planner.get(reverse("run-detail", args=[run.id]), {"series": "nonsense"}, headers={"HX-Request": "true"})
    assert "Power at the meter over the year" in odd.content.decode()


def test_an_unknown_table_is_not_found(planner, run):
    assert planner.get(reverse("run-table", args=[run.id, "secrets"])).status_code == 404


def test_odd_comparison_addresses_are_not_found(planner, run):
    for names in ("nonsense", str(uuid4()), f"{run.id},{uuid4()}"):
        assert planner.get(reverse("compare"), {"runs": names}).status_code == 404


def test_ticked_runs_become_one_address_to_share(planner, run):
    answer = planner.get(reverse("compare"), {"runs": str(run.id), "run": [str(run.id)]})
    assert answer.url == f"{reverse('compare')}?runs={run.id}"


def test_the_plan_colours_by_what_is_asked(planner, layout, run):
    address = reverse("layout-detail", args=[layout.site.slug, layout.slug])
    part = planner.get(address, {"colour": "rated_power_w"}, headers={"HX-Request": "true"}).content.decode()
    assert '<option value="rated_power_w" selected>' in part
    assert "<html" not in part


def test_a_layout_page_takes_as_many_queries_for_many_racks(
    planner, layout, run, django_assert_num_queries, django_assert_max_num_queries
):
    address = reverse("layout-detail", args=[layout.site.slug, layout.slug])
    with django_assert_max_num_queries(44) as few:  # five of them for how it stands among its site's layouts
        planner.get(address)
    Rack.objects.bulk_create(new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8.0) for i in range(20))
    with django_assert_num_queries(len(few)):
        planner.get(address)


def test_the_site_list_takes_as_many_queries_for_many_sites(planner, layout, run, django_assert_num_queries):
    with django_assert_num_queries(
        8
    ):  # session, user, sites, layouts, runs; of their stamps: scenarios, shares, products
        planner.get(reverse("site-list"))
    other = small_scenario("other")[0]
    Membership.objects.create(site=other.site, user=get_user_model().objects.get(), role=Membership.Role.VIEWER)
    stamped(done_run(other, other.site.scenarios.get()))
    with django_assert_num_queries(8):
        page = planner.get(reverse("site-list"))
    assert other.site.name in page.content.decode()


def test_many_sites_come_in_pages(planner, layout, monkeypatch):
    other = small_scenario("other")[0]
    Membership.objects.create(site=other.site, user=get_user_model().objects.get(), role=Membership.Role.VIEWER)
    names = sorted([layout.site.name, other.site.name])
    monkeypatch.setattr("twin.views.sites.PAGE_SITES", 1)
    pages = [planner.get(reverse("site-list"), {"page": i}).content.decode() for i in (1, 2)]
    assert [[f">{name}</a>" in page for name in names] for page in pages] == [[True, False], [False, True]]
    assert 'rel="next"' in pages[0]
    assert "2 to 2 of 2" in pages[1]


def test_a_scenario_is_saved_with_its_use_cases(planner, layout, scenario):
    address = reverse("scenario-edit", args=[layout.site.slug, scenario.slug])
    row = scenario.workloads.get()
    form = {
        "name": "Assistants, colder",
        "slug": scenario.slug,
        "engine": "vllm",
        "weight_precision": "fp8",
        "kv_precision": "bf16",
        "notes": "",
        "weather": "",
        "accelerator_power_limit_w": "700",
        "electricity_usd_per_kwh": "",
        "serving_mode": "aggregated",
        "admission": "queue",
        "allow_pipelines": "on",
        "engine_version": "0.11.0",
        "draft_tokens": "2",
        "draft_acceptance_frac": "0.7",
        "workloads-0-configuration": "fp8, TP 8",
        "workloads-TOTAL_FORMS": "1",
        "workloads-INITIAL_FORMS": "1",
        "workloads-0-id": row.pk,
        "workloads-0-scenario": scenario.pk,
        "workloads-0-workload": row.workload_id,
        "workloads-0-model": "",
        "workloads-0-accelerator_share_frac": "1.5",
        "workloads-0-peak_load_frac": "0.8",
        "workloads-0-requests_per_s": "",
    }
    refused = planner.post(address, form)
    assert refused.status_code == 200
    scenario.refresh_from_db()
    assert scenario.engine == "trtllm"  # nothing half-written
    form |= {"workloads-0-accelerator_share_frac": "0.5"}
    assert "Nothing may be drafted here" in planner.post(address, form).content.decode()
    page = planner.post(address, form | {"allow_drafts": "on", "workloads-0-requests_per_s": "1e300"})
    assert "less than or equal to 1000000000" in page.content.decode()
    assert planner.post(address, form | {"allow_drafts": "on"}).status_code == 302
    scenario.refresh_from_db()
    assert (scenario.engine_version, scenario.draft_tokens, scenario.draft_acceptance_frac) == ("0.11.0", 2, 0.7)
    assert (scenario.engine, scenario.accelerator_power_limit_w) == ("vllm", 700.0)
    assert scenario.kv_precision == "bf16"
    assert scenario.workloads.get().accelerator_share_frac == 0.5


def test_the_scoreboard_is_made_by_a_worker_and_then_shown(planner, admin_client, settings, tmp_path, monkeypatch):
    settings.TWIN_HOME, settings.TWIN_DATA_DIR = tmp_path, tmp_path / "nothing"
    asked = []
    monkeypatch.setattr(validation.app, "send_task", asked.append)
    address = reverse("validation")
    assert "there is no folder" in planner.get(address).content.decode()
    admin_client.post(address)
    assert not asked
    settings.TWIN_DATA_DIR = tmp_path
    assert planner.post(address).status_code == 403
    assert "Measure now" not in planner.get(address).content.decode()
    assert "Measure now" in admin_client.get(address).content.decode()
    assert admin_client.post(address).status_code == 302
    assert asked == [tasks.scoreboard_make.name]
    (tmp_path / "validation.json").write_text(
        '[{"check": "Fan laws", "group": "power", "n": 12, "value": 1.234, "reach": [0, 2], "unit": "%", '
        '"status": "pass", "note": ""}, {"check": "Balance", "group": "power", "n": 12000, "value": 1.32e-14, '
        '"reach": 1e-10, "unit": "relative", "status": "miss", "note": "on purpose"}]'
    )
    page = planner.get(address).content.decode()
    assert "Fan laws" in page
    assert "0 to 2 %" in page
    assert "10⁻¹⁴ relative" in page
    assert "12,000" in page
    assert "What misses its target" in page
