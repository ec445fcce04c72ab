"""Runs side by side."""

from dataclasses import replace

import pytest

from tests.compared_runs import plain, pool, run
from twin.core.comparison.compare import answer_rows, compare, falls_between
from twin.core.comparison.reasons import chip_text
from twin.core.comparison.standing import standing
from twin.core.results.details import run_details
from twin.core.text.json_rows import as_json

A = run("A", tokens=1000.0, parts_w={"Accelerators": 800.0, "Chillers": 200.0}, usd={"Energy": 600.0, "Staff": 400.0})
B = run("B", tokens=1500.0, parts_w={"Accelerators": 850.0, "Chillers": 50.0}, usd={"Energy": 500.0, "Staff": 400.0})


def test_the_waterfall_leads_from_one_run_to_the_other():
    fall = compare([A, B]).waterfall_w[0]
    assert fall.start == pytest.approx(1000.0)
    assert fall.end == pytest.approx(900.0)
    assert [(step.name, step.change) for step in fall.steps] == [("Chillers", -150.0), ("Accelerators", 50.0)]
    assert fall.steps[-1].total_after == pytest.approx(fall.end)


def test_the_better_run_wins_its_row_and_the_reason_names_the_largest_part():
    rows = {row.name: row for row in compare([A, B]).rows}
    assert rows["tokens_per_joule"].winner == 1
    # 0.8 - 0.5667 J/tok of accelerators, 1.0 - 0.6 J/tok in all
    assert plain(rows["tokens_per_joule"].why) == "Accelerators: 0.233 J/tok less than the next, 0.400 J/tok in all"
    assert rows["mean_power_w"].winner == 1
    assert rows["mean_power_w"].deltas == [0.0, pytest.approx(-100.0)]
    assert rows["nameplate_power_w"].winner is None


def test_a_row_has_no_winner_where_the_verdict_calls_it_a_tie():
    a, b = replace(A, bands={"tokens_per_joule": [0.9, 1.1]}), replace(B, bands={"tokens_per_joule": [1.5, 1.8]})
    assert row_of("tokens_per_joule", a, b).winner == 1
    a, b = replace(a, bands={"tokens_per_joule": [0.02, 40.0]}), replace(b, bands={"tokens_per_joule": [0.04, 70.0]})
    close = row_of("tokens_per_joule", a, b)
    assert (close.winner, close.winners, close.why) == (None, [], "too close to call")
    verdict = standing([a, b], "tokens_per_joule")
    assert verdict.winner is None
    assert verdict.level == [b, a]
    worse = replace(A, figures=A.figures | {"tokens_per_joule": 0.01}, bands={"tokens_per_joule": [0.009, 0.011]})
    three = row_of("tokens_per_joule", a, b, worse)
    assert (three.winner, three.winners) == (None, [0, 1])
    assert three.why.endswith("too close to call")


def test_what_cannot_be_built_wins_no_row():
    better = with_details("better", per_workload=[pool("Chat", feasible=False, reason="needs 405 GB")])
    better = replace(better, figures=better.figures | {"tokens_per_joule": 9.0})
    row = row_of("tokens_per_joule", A, B, better)
    assert row.winners == [1]


def test_equal_runs_have_no_winner():
    assert all(row.winner is None for row in compare([A, A]).rows)


def test_runs_that_read_the_same_win_together_against_a_worse_one():
    row = {row.name: row for row in compare([A, B, B]).rows}["tokens_per_joule"]
    assert (row.winner, row.winners) == (None, [1, 2])
    assert plain(row.why) == "Accelerators: 0.233 J/tok less than the next, 0.400 J/tok in all"


def test_only_differing_assumptions_are_told():
    names = {row.name for row in compare([A, B]).assumptions}
    assert names == {"Layout"}
    other = run("B", tokens=1.0, parts_w={"Accelerators": 1.0}, usd={"Energy": 1.0}, scenario="Agents")
    assert {row.name for row in compare([A, other]).assumptions} == {"Layout", "Scenario"}


def test_one_run_is_no_comparison():
    with pytest.raises(ValueError, match="at least 2"):
        compare([A])


def with_details(name: str, **details):
    one = run(name, tokens=1000.0, parts_w={"Accelerators": 800.0}, usd={"Energy": 600.0})
    return replace(one, details=run_details(as_json(one.details) | details))


def row_of(figure: str, *runs):
    return {row.name: row for row in compare(runs).rows}[figure]


def with_figures(one, **figures):
    return replace(one, figures=one.figures | figures)


def test_deltas_and_waterfalls_start_from_the_reference():
    compared = compare([A, B], reference=1)
    assert {row.name: row for row in compared.rows}["mean_power_w"].deltas == [pytest.approx(100.0), 0.0]
    assert compared.waterfall_w[0].start == pytest.approx(900.0)
    with pytest.raises(ValueError, match="must be 0 to 1"):
        compare([A, B], reference=2)


def test_waterfalls_between_two_runs_are_in_watts_and_dollars():
    falls = dict(falls_between(A, B))
    assert {fall.unit for fall in falls.values()} == {"W", "$/year", "J/tok", "$/M tok"}
    for fall in falls.values():
        assert fall.start + sum(step.change for step in fall.steps) == pytest.approx(fall.end)


def test_a_pool_that_turns_requests_away_is_named_with_its_limit():
    full = with_figures(
        with_details("full", per_workload=[pool("Chat", served_requests_per_s=8.0, output_tokens_per_s=800.0)]),
        output_tokens_per_s=800.0,
    )
    roomy = with_details("roomy", per_workload=[pool("Chat")])
    row = row_of("output_tokens_per_s", full, roomy)
    assert row.winner == 1
    assert plain(row.why) == (
        "Chat: 200 tok/s more; the next turns away 20.0 % of the requests, its accelerators are full at the targets"
    )
    hot = replace(full, details=replace(full.details, throttled_hours=31.0))
    assert "accelerators throttle in 31 h" in row_of("output_tokens_per_s", hot, roomy).why


def test_a_model_that_does_not_fit_is_the_reason():
    none = with_figures(
        with_details(
            "none", per_workload=[pool("Chat", feasible=False, reason="needs 405 GB", output_tokens_per_s=0.0)]
        ),
        output_tokens_per_s=0.0,
    )
    assert (
        "does not fit on the next: needs 405 GB"
        in row_of("output_tokens_per_s", none, with_details("roomy", per_workload=[pool("Chat")])).why
    )


def test_the_component_that_loses_most_explains_availability():
    def lost(name, ups, towers):
        groups = [
            {"name": part, "availability_frac": 1 - frac, "lost_tokens_per_year": frac * 1e9}
            for part, frac in (("UPS", ups), ("towers", towers))
        ]
        return with_figures(with_details(name, availability={"groups": groups}), availability_frac=1 - ups - towers)

    row = row_of("availability_frac", lost("a", 1e-4, 1e-5), lost("b", 2e-5, 1.5e-5))
    assert row.winner == 1
    assert plain(row.why).startswith("full capacity lost a year to UPS: 0.701 h less than the next")  # 8e-5 × 8760


def test_pue_is_explained_by_what_it_is_made_of():
    cool = with_figures(with_details("cool", mean_power_by_part_w={"Accelerators": 1000.0, "Chillers": 10.0}), pue=1.01)
    warm = with_figures(with_details("warm", mean_power_by_part_w={"Accelerators": 1000.0, "Chillers": 90.0}), pue=1.09)
    assert plain(row_of("pue", warm, cool).why) == "Chillers: 0.0800 less than the next, 0.0800 in all"


def test_the_factor_that_moves_utilisation_more_comes_first():
    a = with_figures(with_details("a"), utilisation_frac=0.5)
    b = with_figures(with_details("b"), utilisation_frac=0.25)
    assert plain(row_of("utilisation_frac", a, b).why) == (
        "could serve 2.00 k tok/s against 4.00 k tok/s, serves 1.00 k tok/s against 1.00 k tok/s"
    )


def test_latency_names_the_workload_and_what_makes_it_quicker():
    slow = with_figures(with_details("slow", per_workload=[pool("Chat", ttft_p95_s=0.9)]), ttft_p95_s=0.9)
    quick = with_figures(with_details("quick", per_workload=[pool("Chat", configuration="fp4, TP 4")]), ttft_p95_s=0.5)
    row = row_of("ttft_p95_s", slow, quick)
    assert plain(row.why) == "Chat: 500 ms against 900 ms, on fp4, TP 4 instead of fp8, TP 8"


def test_never_throttling_beats_any_number_of_seconds():
    def drilled(name, seconds):
        return with_details(
            name,
            drills=[
                {
                    "plant": "Water",
                    "loss": "pumps",
                    "seconds_to_throttle": seconds,
                    "seconds_to_trip": None,
                    "followed_s": 3600.0,
                }
            ],
        )

    rows = {row.name: row for row in answer_rows([drilled("a", 12.0), drilled("b", None)])}
    assert rows["seconds_to_throttle"].values == [12.0, None]
    assert rows["seconds_to_throttle"].winners == [1]
    assert rows["seconds_to_throttle"].about == ["pumps, Water", "never within 3,600 s"]
    assert rows["seconds_to_trip"].winners == []


def test_a_run_that_kept_no_answer_does_not_win_it():
    rows = {row.name: row for row in answer_rows([with_details("a", throttled_hours=4.0), with_details("b")])}
    assert rows["throttled_hours"].values == [4.0, None]
    assert rows["throttled_hours"].winners == []


def test_the_efficient_runs_are_those_that_none_beats():
    a = run("A", tokens=1000.0, parts_w={"Accelerators": 1000.0}, usd={"Energy": 400.0})
    b = run("B", tokens=1500.0, parts_w={"Accelerators": 900.0}, usd={"Energy": 900.0})
    worse = run("C", tokens=900.0, parts_w={"Accelerators": 2000.0}, usd={"Energy": 900.0})
    by_unit = {frontier.unit: frontier for frontier in compare([a, b, worse]).frontiers}
    assert [point.efficient for point in by_unit["W"].points] == [False, True, False]
    assert [point.efficient for point in by_unit["$/M tok"].points] == [True, True, False]


def test_another_question_is_told_before_everything_else():
    other = run("B", tokens=1.0, parts_w={"Accelerators": 1.0}, usd={"Energy": 1.0}, scenario="Agents")
    compared = compare([A, other])
    assert [row.name for row in compared.questions] == ["Scenario"]
    assert compared.assumptions[0].name == "Scenario"
    assert compare([A, B]).questions == []


def test_product_data_that_changed_between_runs_is_told():
    def sheet(value):
        return [{"object": "UPS", "field": "rating_va", "value": value, "unit": "VA"}]

    compared = compare([with_details("a", assumptions=sheet(1e6)), with_details("b", assumptions=sheet(2e6))])
    row = next(row for row in compared.assumptions if row.group == "Product data")
    assert (row.name, [plain(value) for value in row.values]) == ("UPS: Rating", ["1.00 MVA", "2.00 MVA"])


@pytest.mark.parametrize(
    ("slug", "text"), [("rubin-r200", "Rubin R200"), ("h200-sxm", "H200 SXM"), ("gb300", "GB300"), ("mi355x", "MI355X")]
)
def test_accelerators_are_called_as_their_makers_write_them(slug, text):
    assert chip_text(slug) == text
