"""Kept comparisons: who may make, open and close them."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError

from tests.small_run import done_run, small_scenario
from twin.comparisons import sharing
from twin.comparisons.choice import runs_of_layouts
from twin.models import Comparison, Run, Scenario

pytestmark = pytest.mark.django_db


def member(name: str, **roles: str):
    """Return a user with a role on the sites of these slugs."""
    from facility.models import Membership, Site

    user, _ = get_user_model().objects.get_or_create(username=name)
    for slug, role in roles.items():
        Membership.objects.create(user=user, site=Site.objects.get(slug=slug), role=role)
    return user


@pytest.fixture
def runs() -> list[Run]:
    return [done_run(*small_scenario("first")), done_run(*small_scenario("second"))]


def test_columns_keep_the_order_they_were_given_in(runs):
    maker = member("maker", first="viewer", second="viewer")
    kept = sharing.comparison_create(runs=[runs[1], runs[0]], user=maker, name="  Which?  ")
    assert kept.name == "Which?"
    assert sharing.in_order(kept, list(kept.runs.all())) == [runs[1], runs[0]]


def test_addresses_are_long_enough_not_to_be_guessed(runs):
    maker = member("maker", first="viewer", second="viewer")
    tokens = {sharing.comparison_create(runs=runs, user=maker).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) == 12 for token in tokens)  # 72 bits


def test_only_finished_runs_of_visible_sites_are_kept(runs):
    maker = member("maker", first="planner")
    with pytest.raises(PermissionDenied):
        sharing.comparison_create(runs=runs, user=maker)
    with pytest.raises(ValidationError, match="two to six"):
        sharing.comparison_create(runs=[runs[0], runs[0]], user=maker)
    open_run = Run.objects.create(layout=runs[0].layout, scenario=runs[0].scenario)
    with pytest.raises(ValidationError, match="only finished runs"):
        sharing.comparison_create(runs=[runs[0], open_run], user=maker)
    assert not Comparison.objects.exists()


def test_access_counts_sites_and_needs_all_of_them(runs):
    kept = sharing.comparison_create(runs=runs, user=member("maker", first="viewer", second="viewer"))
    half = sharing.access(member("half", first="planner"), kept)
    assert (half.granted, half.n_sites, half.n_missing) == (False, 2, 1)
    assert sharing.access(member("all", first="viewer", second="viewer"), kept).granted
    assert list(sharing.visible_comparisons(member("half"))) == []
    assert list(sharing.visible_comparisons(member("all"))) == [kept]


def test_a_comparison_whose_runs_are_gone_is_shown_to_nobody(runs):
    kept = sharing.comparison_create(runs=runs, user=member("maker", first="viewer", second="viewer"))
    Run.objects.all().delete()
    assert Comparison.objects.filter(pk=kept.pk).exists()
    assert list(sharing.visible_comparisons(member("stranger"))) == []


def test_its_maker_an_administrator_and_planners_of_its_sites_close_an_address(runs):
    maker = member("maker", first="viewer", second="viewer")
    kept = sharing.comparison_create(runs=runs, user=maker)
    viewer = member("viewer", first="viewer", second="viewer")
    assert [sharing.may_revoke(user, kept) for user in (maker, member("planner", second="planner"), viewer)] == [
        True,
        True,
        False,
    ]
    with pytest.raises(PermissionDenied):
        sharing.comparison_revoke(comparison=kept, user=viewer)
    closed_at = sharing.comparison_revoke(comparison=kept, user=maker).revoked_at
    assert closed_at
    assert sharing.comparison_revoke(comparison=kept, user=maker).revoked_at == closed_at
    assert list(sharing.visible_comparisons(maker)) == []


def test_layouts_come_with_their_last_run_of_the_scenario_that_they_share(runs):
    (one, other), layouts = runs, [run.layout for run in runs]
    latest = done_run(one.layout, one.scenario)
    agents = Scenario.objects.create(site=one.layout.site, slug="agents", name="Agents")
    done_run(one.layout, agents)  # newer, but the other layout has none
    choice = runs_of_layouts(layouts)
    assert [run.id for run in choice.runs] == [latest.id, other.id]
    assert choice.scenario == "Assistants"
    asked = runs_of_layouts(layouts, "agents")
    assert asked.runs[0].scenario_name == "Agents"
    assert asked.scenario == ""


def test_a_layout_without_a_run_is_named(runs):
    empty, _ = small_scenario("third")
    choice = runs_of_layouts([runs[0].layout, empty])
    assert [run.id for run in choice.runs] == [runs[0].id]
    assert choice.without_run == [empty]
    assert runs_of_layouts([empty]).runs == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_comparisons_kept_before_there_were_addresses_get_one_each():
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    try:
        before = MigrationExecutor(connection).migrate([("twin", "0001_initial")]).apps
        old = before.get_model("twin", "Comparison").objects.bulk_create(
            [before.get_model("twin", "Comparison")(name=name) for name in ("one", "two")]
        )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    tokens = set(Comparison.objects.values_list("token", flat=True))
    assert len(tokens) == len(old) == 2
    assert all(tokens)
