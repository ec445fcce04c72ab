"""What a solved year found."""

from tests.compared_runs import plain, pool
from twin.core.results.details import run_details
from twin.core.results.findings import kind_of, run_findings, tightest_margins

LIMIT = {"object": "Busway A", "kind": "feed load", "value": 1.2e6, "limit": 1e6, "unit": "W", "hour": 4711}
DRILL = {
    "plant": "Water",
    "loss": "all pumps",
    "seconds_to_throttle": 12.0,
    "seconds_to_trip": 22.0,
    "recovers_s": None,
    "followed_s": 3600.0,
}


def found_in(details):
    return run_findings(run_details(details))


def margin(name, kind, value, unit):
    return {"object": name, "kind": kind, "value": value, "unit": unit}


def test_a_quiet_year_has_no_findings():
    quiet = {
        "limits": [LIMIT | {"value": 1.004e6}],  # the solver's tolerance
        "margins": [margin("Loop", "CDU heat rating", 0.4, "%"), margin("Loop", "supply above dew point", 9.0, "K")],
        "failures": [{"object": "UPS", "capacity_frac": 1.0, "lost_tokens_per_s": 0.0, "message": ""}],
        "drills": [DRILL | {"seconds_to_throttle": None, "seconds_to_trip": None}],
        "throttled_hours": 0.0,
        "per_workload": [pool("Chat")],
        "solver": {"converged": True},
    }
    assert found_in(quiet) == []
    assert found_in({}) == []


def test_a_passed_limit_blocks_and_names_object_value_and_limit():
    (found,) = found_in({"limits": [LIMIT]})
    assert (found.severity, found.object_kind, found.object_name) == ("blocking", "power_feed", "Busway A")
    assert (found.value, found.limit, found.unit, found.section) == (1.2e6, 1e6, "W", "limits")


def test_an_overload_is_told_once():
    found = found_in({"limits": [LIMIT], "margins": [margin("Busway A", "feed rating", -0.2, "%")]})
    assert [one.rule for one in found] == ["run-limit"]


def test_thin_margins_are_told_by_their_unit():
    found = found_in(
        {
            "margins": [
                margin("Loop", "supply above dew point", 1.0, "K"),
                margin("Accelerators", "junction below throttling", 8.0, "K"),
                margin("Busway A", "feed rating", 0.05, "%"),
                margin("Water", "chiller capacity", 0.0, "%"),
            ]
        }
    )
    assert [(one.object_name, one.object_kind, one.severity) for one in found] == [
        ("Water", "cooling_plant", "risk"),
        ("Loop", "cdu", "hint"),
        ("Busway A", "power_feed", "hint"),
    ]


def test_coolant_at_the_limit_of_the_racks_is_a_hint_and_above_it_blocks():
    supply = {"object": "Loop", "kind": "rack coolant supply", "value": 45.0, "limit": 45.0, "unit": "°C", "hour": 0}
    assert [one.severity for one in found_in({"limits": [supply]})] == ["hint"]
    assert [one.severity for one in found_in({"limits": [supply | {"value": 46.0}]})] == ["blocking"]


def test_the_worst_failure_is_the_one_that_costs_most():
    lost = {"UPS A": 10.0, "CDU-1": 90.0, "Pump": 0.0}
    rows = [
        {"object": name, "capacity_frac": 0.9, "lost_tokens_per_s": tokens, "message": f"Losing {name}."}
        for name, tokens in lost.items()
    ]
    (found,) = found_in({"failures": rows})
    assert (found.object_name, found.value, found.unit) == ("CDU-1", 90.0, "tok/s")
    assert found.message.endswith("1 other single failures cost tokens too.")


def test_a_quick_trip_is_a_risk_and_a_slow_one_a_hint():
    found = found_in({"drills": [DRILL | {"seconds_to_trip": 900.0}, DRILL]})
    assert [(one.severity, one.value, one.limit) for one in found] == [("risk", 22.0, 60.0), ("hint", 900.0, 3600.0)]
    assert plain(found[0].message) == "Loss of all pumps: racks throttle after 12.0 s, trip after 22.0 s."


def test_throttling_and_requests_turned_away_are_told():
    found = found_in(
        {
            "throttled_hours": 31.0,
            "per_workload": [
                pool("Chat", served_requests_per_s=8.0),
                pool("Code", feasible=False, reason="needs 405 GB", served_requests_per_s=0.0),
            ],
        }
    )
    assert {(one.object_name, one.severity) for one in found} == {
        ("Code", "blocking"),
        ("Chat", "risk"),
        ("Accelerators", "risk"),
    }


def test_the_tightest_margins_are_measured_by_what_is_thin():
    rows = [
        margin("Loop", "supply above dew point", 20.0, "K"),
        margin("UPS", "feed rating", 0.2, "%"),
        margin("Busway", "feed rating", 0.3, "%"),
        margin("Chips", "junction below throttling", 4.0, "K"),
    ]
    assert [row.object for row in tightest_margins(run_details({"margins": rows}))] == ["Chips", "UPS", "Loop"]


def test_every_quantity_of_the_solver_belongs_to_an_object():
    known = {
        "grid connection": "site",
        "feed load": "power_feed",
        "CDU heat": "cdu",
        "rack coolant supply": "cdu",
        "air-unit heat": "hall",
        "junction temperature": "rack",
        "CDU valve travel": "cdu",
        "supply above dew point": "cdu",
        "air-unit flow": "hall",
        "chiller capacity": "cooling_plant",
    }
    assert {quantity: kind_of(quantity) for quantity in known} == known
