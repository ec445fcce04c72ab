import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.catalogue import entries
from tests.small_site import product
from twin.core.serving import explore as exploration

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    for kind, slug in (
        ("systems", "dgx-gb200-nvl72"),
        ("systems", "dgx-h100"),
        ("models", "deepseek-r1"),
        ("models", "llama-3.1-70b"),
        ("workloads", "enterprise_assistants"),
        ("accelerators", "gb200"),
        ("accelerators", "h100-sxm"),
    ):
        product(kind, slug)
    client.force_login(get_user_model().objects.create_user("reader"))
    return client


def test_the_frontier_is_drawn_with_its_table_and_target(reader):
    page = reader.get(reverse("serving")).content.decode()
    assert 'data-chart="figure-throughput"' in page
    assert "Output per accelerator [tok/s]" in page
    assert "the speed per user that the use case requires" in page


def test_the_chosen_point_stands_with_its_bands(reader):
    page = reader.get(reverse("serving")).content.decode()
    assert page.count('class="band" title="80 % band: ') == 4  # throughput, TTFT, energy and power; a batch has none


def test_sessions_are_drawn_where_a_use_case_has_them(reader):
    page = reader.get(reverse("serving")).content.decode()
    assert 'data-chart="figure-sessions"' in page
    assert "Sessions under way per accelerator" in page
    entry = product("workloads", "enterprise_assistants")
    entry.facts |= {"user_turns_per_task": 1, "llm_calls_per_turn": 1}
    entry.save()
    assert "figure-sessions" not in reader.get(reverse("serving")).content.decode()


def test_a_cache_tier_is_said_where_it_is_used(reader):
    asked = {"workload": "enterprise_assistants"}
    page = reader.get(reverse("serving"), asked).content.decode()
    assert "there is no slower cache tier" in page
    page = reader.get(reverse("serving"), asked | {"cache_tier_bytes": "240 GB"}).content.decode()
    assert "is read back at an assumed 50 GB/s per accelerator" in page
    page = reader.get(reverse("serving"), asked | {"cache_tier_bytes": "much"}).content.decode()
    assert "must be a number of bytes" in page


def test_published_claims_stand_beside_our_ratios_with_bands_and_what_is_measured(reader):
    page = reader.get(reverse("serving")).content.decode()
    assert "50x tokens per megawatt" in page
    assert "MLPerf Inference v4.1" in page
    for claim in exploration.claims(entries):
        for row in claim[3]:
            if row.power_ratio is None:
                assert "no ratio: one side cannot reach this speed" in page
            else:
                assert f"{row.power_ratio_low:.1f} to {row.power_ratio_high:.1f}" in page


def test_only_the_answer_is_swapped(reader):
    part = reader.get(
        reverse("serving"), {"system": "dgx-h100", "model": "llama-3.1-70b"}, headers={"HX-Request": "true"}
    )
    assert "50x" not in part.content.decode()
    assert "<html" not in part.content.decode()
    assert 'data-chart="figure-throughput"' in part.content.decode()


def test_what_does_not_fit_says_why(reader):
    page = reader.get(reverse("serving"), {"system": "dgx-h100", "model": "deepseek-r1"}).content.decode()
    assert "It does not fit." in page
    assert "GB" in page


def test_unknown_names_fall_back_to_the_first(reader):
    assert reader.get(reverse("serving"), {"system": "nonsense", "engine": "nonsense"}).status_code == 200


def test_an_empty_catalogue_says_how_to_load_it(client):
    client.force_login(get_user_model().objects.create_user("reader"))
    assert "load_catalogue" in client.get(reverse("serving")).content.decode()


def test_a_cap_that_cannot_be_set_says_what_can(reader):
    asked = {"system": "dgx-h100", "model": "llama-3.1-70b", "power_cap_w": "30"}
    page = reader.get(reverse("serving"), asked).content.decode()
    assert "the power cap is 30 W; h100-sxm can be set to" in page
    assert "It does not fit." not in page
    assert (
        "must be a number of watts" in reader.get(reverse("serving"), asked | {"power_cap_w": "lots"}).content.decode()
    )


def test_an_engine_that_does_not_run_on_a_system_is_named(reader):
    for kind, slug in (("systems", "mi355x-8gpu-liquid"), ("accelerators", "mi355x")):
        product(kind, slug)
    asked = {"system": "mi355x-8gpu-liquid", "model": "llama-3.1-70b"}
    page = reader.get(reverse("serving"), asked | {"engine": "trtllm"}).content.decode()
    assert "does not run on mi355x; choose vllm or sglang" in page
    assert "It does not fit." not in page
    on_vllm = reader.get(reverse("serving"), asked | {"engine": "vllm"}).content.decode()
    assert 'data-chart="figure-throughput"' in on_vllm


def test_the_engines_release_and_drafts_are_asked_for_and_refused_where_impossible(reader):
    asked = {"system": "dgx-h100", "model": "llama-3.1-70b", "engine": "vllm"}
    page = reader.get(reverse("serving"), asked | {"engine_version": "99.1"}).content.decode()
    assert "no measured runs of vllm 99.1 on hopper; taken as " in page
    assert 'value="99.1"' in page
    for held, words in (
        ({"draft_tokens": "2"}, "Nothing may be drafted here"),
        ({"drafts": "on", "draft_tokens": "2.5"}, "must be a whole number"),
        ({"drafts": "on", "draft_tokens": "40"}, "draft_tokens is 40; must be 1 to 16"),
        ({"drafts": "on", "draft_acceptance": "1.5"}, "draft_acceptance is 1.5; must be in [0, 1]"),
        ({"drafts": "on", "draft_tokens": "2"}, "llama-3.1-70b has no prediction module"),
    ):
        assert words in reader.get(reverse("serving"), asked | held).content.decode(), held


@pytest.mark.slow
def test_a_cap_and_drafts_change_the_frontier(reader):
    plain = reader.get(reverse("serving")).content.decode()
    drafting = reader.get(reverse("serving"), {"drafts": "on", "power_cap_w": "800"}).content.decode()
    assert not re.search(r'<th scope="row">[^<]*MTP', plain)
    assert ", MTP " in drafting
    assert 'value="800"' in drafting


def test_a_release_of_thousands_of_digits_is_refused_by_name(reader):
    page = reader.get(reverse("serving"), {"engine_version": "1" * 5000 + ".0"})
    assert page.status_code == 200
    assert "engine_version has 5,002 characters" in page.content.decode()
