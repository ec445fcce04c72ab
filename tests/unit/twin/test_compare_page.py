"""Pages of comparisons: what they show, and to whom."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from facility.models import Membership, Rack
from tests.small_run import done_run, small_scenario
from tests.small_site import new_rack, product
from twin.comparisons import sharing
from twin.core.provenance import MODEL_VERSION
from twin.models import Comparison, Run
from twin.runs import snapshot

pytestmark = pytest.mark.django_db


def solved(layout, scenario, **figures) -> Run:
    run = done_run(layout, scenario)
    run.inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    run.figures |= figures
    run.details |= {
        "mean_power_by_part_w": {"Accelerators": 2e5, "Chillers": figures.get("mean_power_w", 2.5e5) - 2e5},
        "failures": [{"object": "UPS-A", "capacity_frac": 0.9, "lost_tokens_per_s": 100.0, "message": "Losing it."}],
    }
    run.save()
    return run


@pytest.fixture
def runs() -> list[Run]:
    first, scenario = small_scenario("first")
    second, other = small_scenario("second")
    Rack.objects.filter(hall__layout=second).update(product=product("systems", "dgx-gb300-nvl72"))
    new_rack(second, name="A-09", x_m=9.0).save()
    return [solved(first, scenario, mean_power_w=2.5e5), solved(second, other, mean_power_w=3e5)]


def signed_in(*sites, name: str = "reader", role: str = "viewer") -> Client:
    user = get_user_model().objects.create_user(name)
    for site in sites:
        Membership.objects.create(user=user, site=site, role=role)
    client = Client()
    client.force_login(user)
    return client


def sites(runs):
    return [run.layout.site for run in runs]


def page_of(runs, client, **query) -> str:
    answer = client.get(reverse("compare"), {"runs": ",".join(str(run.id) for run in runs)} | query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_differs_comes_before_the_figures(runs):
    text = page_of(runs, signed_in(*sites(runs)))
    assert text.index("Assumptions that differ") < text.index("Figures of merit") < text.index("From A to B")
    assert "2 × NVIDIA" in text
    assert "UPS-A" in text


def test_finished_runs_are_compared_once_and_shown_under_their_present_names(runs, monkeypatch, settings):
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "test-compared"}
    settings.CACHES = settings.CACHES | {"pages": memory}
    client = signed_in(*sites(runs))
    first = page_of(runs, client)
    monkeypatch.setattr("twin.views.comparisons.as_compared", None)  # a second view reads no run again
    assert page_of(runs, client).count("<tr") == first.count("<tr") > 20
    monkeypatch.undo()
    layout = runs[1].layout
    layout.name = "The other hall"
    layout.save()
    assert "From A to B" in page_of(runs, client)
    assert "B The other hall" in page_of(runs, client)
    assert "From B to A" in page_of(runs, client, **{"from": "B", "to": "A"})


def test_a_run_that_cannot_be_solved_anew_says_so_and_keeps_its_page(runs):
    text = page_of(runs, signed_in(*sites(runs)), equal="demand")
    assert "They cannot be compared at equal demand: Rack A-00" in text
    assert "equal share of own capacity: each layout" in text


@pytest.mark.compiled
@pytest.mark.usefixtures("catalogue")
def test_layouts_are_compared_at_equal_demand_where_the_address_says_so(runs):
    client = signed_in(*sites(runs))
    assert "equal share of own capacity: each layout" in page_of(runs, client)
    text = page_of(runs, client, equal="demand")
    assert "equal demand: the requests per second of A" in text
    assert "Demand differs" not in text
    refused = client.get(reverse("compare"), {"runs": ",".join(str(run.id) for run in runs), "equal": "money"})
    assert refused.status_code == 404


def test_a_layout_that_cannot_be_built_stands_unranked_with_its_reason(runs):
    finding = {"object_kind": "feed", "object_name": "UPS-A", "rule": "feed-capacity", "severity": "blocking"}
    runs[1].details |= {"findings": [finding | {"message": "It carries 3 MW of 2 MW.", "value": 3e6, "limit": 2e6}]}
    runs[1].save()
    text = page_of(runs, signed_in(*sites(runs)))
    assert "cannot be built</span> UPS-A: It carries 3 MW of 2 MW." in text
    assert " cannot be built as drawn." in text


def test_runs_of_different_scenarios_say_so_first(runs):
    client = signed_in(*sites(runs))
    assert "answer different questions" not in page_of(runs, client)
    other = small_scenario("third")[1]
    other.site, other.slug, other.name = runs[0].layout.site, "agents", "Agents"
    other.save()
    text = page_of([runs[0], solved(runs[0].layout, other)], client)
    assert text.index("answer different questions") < text.index("Assumptions that differ")
    assert "Scenario" in text


def test_the_pair_is_chosen_by_letters_and_drawn(runs):
    client = signed_in(*sites(runs))
    assert 'only in B <span class="count">1</span>' in page_of(runs, client)
    text = page_of(runs, client, **{"from": "B", "to": "A"})
    assert "From B to A" in text
    assert 'only in B <span class="count">1</span>' in text  # the rack of B is gone on the way to A
    assert "From A to B" in page_of(runs, client, **{"from": "X", "to": "9"})  # no such letters


def test_layouts_are_compared_by_their_last_runs(runs):
    client = signed_in(*sites(runs))
    picked = client.get(reverse("compare"), {"layout": [*(run.layout_id for run in runs), "²", "1" * 5000]})
    assert picked.url == f"{reverse('compare')}?runs={runs[0].id},{runs[1].id}"
    hidden = signed_in(runs[0].layout.site, name="half")
    assert hidden.get(reverse("compare"), {"layout": [run.layout_id for run in runs]}).url.endswith(f"={runs[0].id}")


def test_a_shared_link_opens_for_whoever_may_see_every_site(runs):
    maker = signed_in(*sites(runs), name="maker")
    posted = maker.post(reverse("comparison-share"), {"runs": f"{runs[1].id},{runs[0].id}", "name": "Secret plan"})
    kept = Comparison.objects.get()
    assert posted.url == reverse("comparison-shared", args=[kept.token])
    text = signed_in(*sites(runs), name="second").get(posted.url).content.decode()
    assert text.index(runs[1].layout.name) < text.index("Assumptions that differ")
    assert "Secret plan" in text


def test_others_learn_how_many_sites_they_lack_and_nothing_else(runs):
    for i, run in enumerate(runs):
        run.layout.name = f"Layout number {i}"
        run.layout.save()
    maker = get_user_model().objects.create_superuser("maker-of-it")
    kept = sharing.comparison_create(runs=runs, user=maker, name="Secret plan")
    address = reverse("comparison-shared", args=[kept.token])
    answer = signed_in(runs[0].layout.site, name="half").get(address)
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "runs of 2 sites" in text
    assert "lack permission on 1 site." in text
    for secret in ("Secret plan", "Layout number", "maker-of-it", runs[1].layout.site.name, str(runs[1].id)):
        assert secret not in text
    assert Client().get(address).url.startswith(reverse("login"))
    assert signed_in(name="other").get(reverse("comparison-shared", args=["no-such-token"])).status_code == 404


def test_a_revoked_link_opens_for_nobody(runs):
    maker = signed_in(*sites(runs), name="maker")
    maker.post(reverse("comparison-share"), {"runs": f"{runs[0].id},{runs[1].id}", "name": "Secret plan"})
    kept = Comparison.objects.get()
    assert kept.name in maker.get(reverse("shared-comparisons")).content.decode()
    viewer = signed_in(*sites(runs), name="viewer")
    viewer.post(reverse("comparison-revoke", args=[kept.token]))
    kept.refresh_from_db()
    assert kept.revoked_at is None
    maker.post(reverse("comparison-revoke", args=[kept.token]))
    answer = maker.get(reverse("comparison-shared", args=[kept.token]))
    assert answer.status_code == 410
    assert "revoked" in answer.content.decode()
    assert kept.name not in maker.get(reverse("shared-comparisons")).content.decode()


def test_runs_of_hidden_sites_can_be_neither_seen_nor_shared(runs):
    half = signed_in(runs[0].layout.site, name="half", role="planner")
    assert half.get(reverse("compare"), {"runs": f"{runs[0].id},{runs[1].id}"}).status_code == 404
    assert half.post(reverse("comparison-share"), {"runs": f"{runs[0].id},{runs[1].id}"}).status_code == 404
    assert not Comparison.objects.exists()


def test_one_run_cannot_be_shared(runs):
    client = signed_in(*sites(runs))
    answer = client.post(reverse("comparison-share"), {"runs": f"{runs[0].id}"}, follow=True)
    assert "takes two to six" in answer.content.decode()


def test_the_csv_holds_figures_and_answers(runs):
    text = page_of(runs, signed_in(*sites(runs)), format="csv")
    assert "mean_power_w,Mean power,W,250000.0,300000.0" in text
    assert "worst_failure_tokens_per_s,Worst single failure,tok/s,100.0,100.0" in text


def test_a_comparison_of_names_with_markup_is_escaped(runs):
    runs[1].layout.halls.update(name="<b>Hall</b>")
    Rack.objects.filter(hall__layout=runs[1].layout, name="A-09").update(name="<i>")
    runs[1].inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(runs[1].layout, runs[1].scenario)))
    runs[1].save()
    text = page_of(runs, signed_in(*sites(runs)))
    assert "<b>Hall" not in text
    assert "<i>" not in text


def test_the_findings_page_tells_what_the_last_run_found(runs):
    run = runs[0]
    here = [run.layout.site.slug, run.layout.slug]
    client = signed_in(run.layout.site)
    text = client.get(reverse("layout-findings", args=here)).content.decode()
    assert "From the last run" in text
    assert "The worst single failure. Losing it." in text
    assert f"{reverse('run-detail', args=[run.id])}#availability" in text
    run.delete()
    assert "No run of this layout has finished" in client.get(reverse("layout-findings", args=here)).content.decode()


def test_the_run_page_says_when_no_single_failure_costs_tokens(runs):
    run = runs[0]
    run.details["failures"] = [{"object": "UPS", "capacity_frac": 1.0, "lost_tokens_per_s": 0.0, "message": "None."}]
    run.details["margins"] = [{"object": "Loop 1", "kind": "supply above dew point", "value": 9.0, "unit": "K"}]
    run.save()
    client = signed_in(run.layout.site)
    text = client.get(reverse("run-detail", args=[run.id])).content.decode()
    assert "No single failure costs tokens" in text
    assert "Loop 1, supply above dew point" in text
    table = client.get(reverse("run-table", args=[run.id, "margins"])).content.decode()
    assert table.splitlines() == ["object,kind,value,unit", "Loop 1,supply above dew point,9.0,K"]
    assert client.get(reverse("run-table", args=[run.id, "drills"])).status_code == 200


def test_runs_of_different_model_versions_are_named_and_the_older_offered_again(runs):
    assert "different versions of the model" not in page_of(runs, signed_in(*sites(runs)))
    newer = runs[1]
    newer.solver_version = newer.details["solver"]["version"] = MODEL_VERSION
    newer.save()
    text = page_of(runs, signed_in(*sites(runs), name="planner", role="planner"))
    assert f"different versions of the model (A: test, B: {MODEL_VERSION})" in text
    here = [runs[0].layout.site.slug, runs[0].layout.slug]
    assert f'action="{reverse("run-create", args=here)}"' in text
    assert "Run A again" in text
    assert "Run B again" not in text
    reader = page_of(runs, signed_in(*sites(runs), name="another"))
    assert "different versions of the model" in reader
    assert "again</button>" not in reader
