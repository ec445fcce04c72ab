"""Which layout to build: who may win, by how much, and what would change it."""

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from twin.core.comparison.basis import BASES, BASIS_LABELS
from twin.core.comparison.sensitivity import sensitivity, variations, with_fact
from twin.core.comparison.standing import percent_text, ranking
from twin.core.comparison.verdict import Solution, verdict_of
from twin.core.figures_of_merit import BY_NAME
from twin.core.inputs.layout import layout_inputs
from twin.runs import snapshot
from twin.views.comparisons import ahead_of


def solved(name: str, worth: float, *, blocked=(), misses=(), served="gb300", spread=0.1) -> Solution:
    """Return a solution with a yield of good tokens per joule and its band; all other figures are alike."""
    figures = dict.fromkeys(BY_NAME, 1.0) | {"good_tokens_per_joule": worth}
    bands = {"good_tokens_per_joule": [worth * (1 - spread), worth * (1 + spread)]}
    inputs = layout_inputs(snapshot.snapshot(*small_scenario(name)))
    return Solution(name, inputs, tuple(blocked), figures, bands, tuple(misses), frozenset({(served, "model")}))


@pytest.fixture
def catalogue(db):
    """Load the shipped catalogue, which a solve reads whole kinds of."""
    load_shipped(CATALOGUE)


@pytest.mark.django_db
def test_a_layout_that_cannot_be_built_never_wins():
    found = verdict_of([solved("a", 1.0), solved("b", 9.0, blocked=["Rack: stands in a wall"])])
    assert found["winner"] == "a"
    assert [row["layout"] for row in found["ranking"]] == ["a", "b"]
    assert "b cannot be built as drawn" in found["sentence"]


@pytest.mark.django_db
def test_a_layout_that_misses_its_targets_ranks_below_all_that_keep_them():
    rows = [solved("late", 9.0, misses=["p95"]), solved("kept", 1.0), solved("best", 2.0)]
    assert [one.name for one in ranking(rows, "good_tokens_per_joule")] == ["best", "kept", "late"]
    found = verdict_of([rows[0], rows[1]])
    assert found["winner"] == "kept"
    assert "keeps its latency targets" in found["sentence"]


@pytest.mark.django_db
def test_nobody_wins_where_nobody_keeps_the_targets():
    found = verdict_of([solved("a", 2.0, misses=["p95"]), solved("b", 1.0, misses=["p95"])])
    assert found["winner"] is None
    assert "No layout keeps its latency targets" in found["sentence"]


@pytest.mark.django_db
def test_what_the_bands_cannot_tell_apart_is_a_tie():
    found = verdict_of([solved("a", 1.0, served="x", spread=0.4), solved("b", 1.02, served="y", spread=0.4)])
    assert (found["winner"], found["ties"]) == (None, [["b", "a"]])
    assert "Too close to call" in found["sentence"]


@pytest.mark.parametrize(("share", "text"), [(14.03, "1,403 %"), (-0.31, "−31 %"), (0.004, "0 %")])
def test_shares_are_grouped_as_all_numbers_are(share, text):
    assert percent_text(share).replace("\N{NARROW NO-BREAK SPACE}", " ") == text


@pytest.mark.django_db
def test_a_tie_that_would_show_as_0_percent_is_level():
    found = verdict_of([solved("a", 1.0, served="x", spread=0.4), solved("b", 1.003, served="y", spread=0.4)])
    assert found["sentence"] == "Too close to call: b and a are level in good tokens per watt."


@pytest.mark.django_db
def test_errors_that_two_layouts_share_cancel_in_their_difference():
    alike, apart = (
        verdict_of([solved(f"a-{served}", 1.1), solved(f"b-{served}", 1.0, served=served)])["difference"][
            "good_tokens_per_joule"
        ]
        for served in ("gb300", "h200")
    )
    assert alike["value"] == apart["value"] == pytest.approx(0.1)
    assert alike["high"] - alike["low"] < apart["high"] - apart["low"]
    assert alike["probability"] > apart["probability"] > 0.5


@pytest.mark.django_db
def test_a_layout_without_good_tokens_loses_and_two_of_them_have_no_winner():
    found = verdict_of([solved("none", 1.0), solved("some", 1.0)])
    assert found["winner"] is None
    idle, other, best = solved("idle", 1.0), solved("other", 1.0), solved("best", 1.0)
    for one in (idle, other):
        one.figures["good_tokens_per_joule"] = None
        one.bands.pop("good_tokens_per_joule")
    found = verdict_of([idle, best])
    assert (found["winner"], found["sentence"]) == ("best", "Build best: idle has no good tokens per watt.")
    found = verdict_of([idle, other])
    assert found["winner"] is None
    assert "None of these runs has good tokens per watt" in found["sentence"]


@pytest.mark.django_db
def test_every_basis_says_what_is_equal_and_another_is_refused():
    pair = [solved("a", 1.0), solved("b", 2.0)]
    for basis, label in BASIS_LABELS.items():
        assert verdict_of(pair, basis)["basis"].startswith(label)
    with pytest.raises(ValueError, match=f"basis is 'money'; must be one of {', '.join(BASES)}"):
        verdict_of(pair, "money")


@pytest.mark.django_db
def test_one_layout_is_no_comparison():
    with pytest.raises(ValueError, match="1 layout given"):
        verdict_of([solved("a", 1.0)])


@pytest.mark.usefixtures("catalogue")
def test_every_variation_moves_just_its_input():
    inputs = layout_inputs(snapshot.snapshot(*small_scenario()))
    found = list(variations(inputs))
    assert len({variation.input for variation in found}) == len(found)
    names = {variation.input for variation in found}
    assert {"Cost of capital", "busiest hour over capacity of Enterprise AI assistants"} <= names
    for variation in found:
        end = variation.high if variation.high != variation.value else variation.low  # a list price is its own high end
        assert variation.at(end) != inputs, variation.input
    sheet = inputs.products.finance["wacc"]
    assert with_fact(inputs, sheet, "value", 0.2).products.finance["wacc"].facts["value"] == 0.2
    assert inputs.products.finance["wacc"].facts["value"] != 0.2


@pytest.mark.compiled
@pytest.mark.usefixtures("catalogue")
def test_the_tornado_holds_what_a_planner_fears_first():
    rows = sensitivity(layout_inputs(snapshot.snapshot(*small_scenario())), ("cost_per_million_good_tokens_usd",))
    assert [row.swing for row in rows] == sorted((row.swing for row in rows), reverse=True)
    by_name = {row.input: row for row in rows}
    dearer = next(row for name, row in by_name.items() if name.startswith("Price, estimated"))
    assert dearer.figure_high > dearer.figure_low
    assert by_name["Cost of capital"].figure_high > by_name["Cost of capital"].figure_low
    assert all(row.source for row in rows)


@pytest.mark.compiled
@pytest.mark.usefixtures("catalogue")
def test_the_command_prints_the_verdict_as_json():
    small_scenario("a")
    small_scenario("b")
    out = io.StringIO()
    call_command("compare", "a/first", "b/first", "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert set(found) == {
        "sentence",
        "basis",
        "by",
        "ranking",
        "winner",
        "difference",
        "ties",
        "flips",
        "assumptions",
    }
    assert [row["layout"] for row in found["ranking"]] == ["a/first", "b/first"]
    with pytest.raises(CommandError, match="1 layout given"):
        call_command("compare", "a/first")


@pytest.mark.django_db
def test_the_table_counts_from_the_layout_in_its_row_as_the_sentence_does():
    said = verdict_of([solved("A", 2.84), solved("B", 2.0)])
    first, second = said["ranking"]
    assert ahead_of(first, said["by"]) is None
    ahead = ahead_of(second, said["by"])
    assert ahead["text"].startswith("42\u202f% more, ")
    assert "A: 42\u202f% more good tokens per watt than B" in said["sentence"] or "by 42\u202f%" in said["sentence"]
    assert ahead["low"] < 0.84 < ahead["high"]
