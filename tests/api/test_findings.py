"""/api/layouts/…/findings/: what the rules say, and what the last run found."""

import pytest

from tests.small_run import done_run


@pytest.fixture
def address(asked) -> str:
    return f"/api/layouts/{asked.layout.pk}/findings/"


@pytest.fixture
def run(asked):
    run = done_run(asked.layout, asked.scenario)
    run.details |= {
        "limits": [{"object": "Busway A", "kind": "feed load", "value": 1.2e6, "limit": 1e6, "unit": "W", "hour": 7}],
        "throttled_hours": 31.0,
    }
    run.save()
    return run


def test_a_layout_without_a_run_has_the_findings_of_the_rules(planner, address):
    rows = planner.get(address).json()
    assert all(row["run"] is None and row["rule"] for row in rows)


def test_the_last_run_adds_object_value_limit_unit_severity_and_link(planner, address, asked, run):
    done_run(asked.layout, asked.scenario).delete()
    found = [row for row in planner.get(address).json() if row["run"]]
    assert [row["severity"] for row in found] == ["blocking", "risk"]
    over = found[0]
    assert (over["object_name"], over["value"], over["limit"], over["unit"]) == ("Busway A", 1.2e6, 1e6, "W")
    assert over["href"] == f"/sites/{asked.site.slug}/{asked.layout.slug}/parts/power-feeds/"
    assert (over["run"], over["scenario"]) == (str(run.id), "Assistants")


def test_only_the_newest_run_counts(planner, address, asked, run):
    done_run(asked.layout, asked.scenario)
    assert not [row for row in planner.get(address).json() if row["rule"] == "run-limit"]


def test_others_do_not_see_them(stranger, nobody, viewer, address, run):
    assert viewer.get(address).status_code == 200
    assert stranger.get(address).status_code == 404
    assert nobody.get(address).status_code == 401


def test_the_description_names_the_fields_once(planner):
    schema = planner.get("/api/schema/", HTTP_ACCEPT="application/json").json()
    answer = schema["paths"]["/api/layouts/{id}/findings/"]["get"]["responses"]["200"]
    assert "LayoutFinding" in str(answer)
