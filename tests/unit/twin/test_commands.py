"""What the commands print, write and refuse."""

import io
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from facility.models import Layout
from tests.small_run import small_result, small_scenario, use_solver
from twin.benchmarks.measure import Benchmark
from twin.core.figures_of_merit import FIGURES
from twin.management.arguments import named_scenario
from twin.models import Run, Scenario
from twin.validation.check import Check, at_most

REPOSITORY = Path(__file__).resolve().parents[3]


def output(*command: str, **options) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def solved(db, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    return small_scenario()


def test_simulate_lists_every_layout_one_a_line(solved):
    small_scenario("another")
    assert output("simulate", "--list") == "another/first\nsmall/first\n"


def test_simulate_prints_every_figure_of_merit(solved):
    lines = output("simulate", "small/first").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [figure.name for figure in FIGURES]
    assert [line.split()[1:3] for line in lines if line.startswith("tokens_per_joule")] == [["4.00", "tok/J"]]


def test_simulate_writes_the_contracted_json(solved, tmp_path):
    file = tmp_path / "run.json"
    output("simulate", "small/first", "--scenario", "assistants", "--json", str(file))
    written = json.loads(file.read_text())
    assert {
        "site",
        "layout",
        "scenario",
        "figures",
        "bands",
        "per_workload",
        "limits",
        "balance",
        "solver",
        "inputs_sha256",
    } <= set(written)
    assert (written["site"], written["layout"], written["scenario"]) == ("small", "first", "assistants")
    assert written["figures"]["tokens_per_joule"] == 4.0
    assert (written["solver"]["version"], written["solver"]["digest"]) == ("test", "ab" * 32)
    assert written["inputs_sha256"] == Run.objects.get().inputs_sha256


def test_simulate_keeps_its_run_like_any_other(solved):
    output("simulate", "small/first")
    assert Run.objects.get().status == "done"


def test_commands_ask_the_sites_default_scenario_where_none_is_named(solved):
    layout = Layout.objects.get()
    Scenario.objects.create(site=layout.site, slug="agents", name="Agents")
    assert named_scenario(layout, None).slug == "agents"  # first by name, as long as none is the default
    layout.site.scenarios.filter(slug="assistants").update(is_default=True)
    assert named_scenario(layout, None).slug == "assistants"
    assert named_scenario(layout, "agents").slug == "agents"


def test_simulate_refuses_what_is_not_there_in_one_line(solved, tmp_path):
    for arguments, reason in (
        (["small/second"], "there is no layout small/second"),
        (["small"], "there is no layout small;"),
        (["small/first", "--scenario", "nightly"], "no scenario nightly; there are: assistants"),
        ([], "name a SITE/LAYOUT"),
        (["small/first", "--json", str(tmp_path / "absent" / "x.json")], "cannot be written"),
    ):
        with pytest.raises(CommandError, match=reason) as refusal:
            output("simulate", *arguments)
        assert "\n" not in str(refusal.value)


def test_simulate_fails_with_the_reason_of_the_run(solved, monkeypatch):
    def solve(inputs, progress):
        raise ValueError("CDU C-1 has no product")

    use_solver(monkeypatch, solve)
    with pytest.raises(CommandError, match=r"CDU C-1 has no product\."):
        output("simulate", "small/first")


@pytest.fixture
def scoreboard(monkeypatch, settings, tmp_path):
    """Replace the scoreboard's modules by ones of the test."""
    settings.TWIN_HOME = tmp_path
    names = []
    monkeypatch.setattr("pkgutil.iter_modules", lambda *_: [types.SimpleNamespace(name=name) for name in names])

    def add(name, checks):
        names.append(name)
        module = types.ModuleType(f"twin.validation.{name}")
        module.checks = checks
        monkeypatch.setitem(sys.modules, f"twin.validation.{name}", module)

    return add


def test_a_scoreboard_module_that_breaks_is_a_miss_and_stops_nobody(scoreboard, tmp_path):
    def breaks(data: Path):
        yield at_most("first", "alpha", 3, 0.5, 1.0, "K")
        raise KeyError("column t_degc")

    scoreboard("alpha", breaks)
    scoreboard("beta", lambda data: iter([at_most("second", "beta", 2, 3.0, 1.0, "%")]))
    rows = json.loads(output("validate", "--data", str(tmp_path), "--json"))
    assert [(row["check"], row["status"]) for row in rows] == [
        ("first", "pass"),
        ("checks of alpha run to the end", "miss"),
        ("second", "miss"),
    ]
    assert "KeyError: 'column t_degc'" in rows[1]["note"]
    assert set(rows[0]) == {"check", "group", "n", "value", "reach", "unit", "status", "note"}
    assert json.loads((tmp_path / "validation.json").read_text()) == rows


def test_a_value_that_is_not_a_number_is_null_in_json(scoreboard, tmp_path):
    scoreboard("alpha", lambda data: iter([Check("c", "g", 1, float("nan"), (0.0, 1.0), "K", "miss")]))
    row = json.loads(output("validate", "--data", str(tmp_path), "--json"))[0]
    assert (row["value"], row["reach"], row["note"]) == (None, [0.0, 1.0], "value is nan.")


def test_the_scoreboard_is_a_table_with_a_count(scoreboard, tmp_path):
    scoreboard("alpha", lambda data: iter([at_most("warmest", "rooms", 3, 0.5, 1.0, "K")]))
    lines = output("validate", "--data", str(tmp_path)).splitlines()
    assert "warmest" in lines[0]
    assert lines[-1] == "1 pass, 0 miss, 0 skipped"


def test_validate_refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CommandError, match="there is no folder"):
        output("validate", "--data", str(tmp_path / "absent"))


def test_benchmark_prints_what_the_named_module_measures(monkeypatch):
    module = types.ModuleType("twin.benchmarks.simulate")
    measured = Benchmark("points", "10 points", 5.0, "1/s", 4.0, True, 2.0, 10**8)
    module.benchmarks = lambda: iter([measured])
    monkeypatch.setitem(sys.modules, "twin.benchmarks.simulate", module)
    assert output("benchmark", "simulate").startswith("pass")
    assert json.loads(output("benchmark", "simulate", "--json"))[0]["status"] == "pass"


def test_benchmark_refuses_a_name_it_does_not_know():
    with pytest.raises(CommandError, match="there is no benchmark warp; there are: .*simulate"):
        output("benchmark", "warp")


def test_create_token_prints_a_secret_that_signs_in(solved):
    from django.contrib.auth import get_user_model

    from facility.models import ApiToken

    get_user_model().objects.create_user("buyer")
    secret = output("create_token", "buyer").strip()
    token = ApiToken.objects.get()
    assert (token.digest, token.read_only) == (ApiToken.digest_of(secret), True)
    output("create_token", "buyer", "--write")
    assert ApiToken.objects.filter(read_only=False).count() == 1


def test_create_token_refuses_an_unknown_user(db):
    with pytest.raises(CommandError, match="there is no user buyer; there are: nobody yet"):
        output("create_token", "buyer")


@pytest.mark.slow
def test_a_database_without_tables_is_said_in_one_line_with_the_cure(tmp_path):
    home = {"TWIN_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "twin.settings", "DATABASE_URL": ""}
    ended = subprocess.run(
        [sys.executable, "manage.py", "simulate", "--list"],
        cwd=REPOSITORY,
        env={k: v for k, v in (os.environ | home).items() if v},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr == ("The database is not up to date (no such table: facility_layout). Run: manage.py migrate\n")


def test_a_reader_who_has_enough_ends_a_command_without_a_traceback(tmp_path):
    command = [sys.executable, "manage.py", "map_telemetry", "--list"]
    environment = os.environ | {"TWIN_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "twin.settings"}
    ended = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    ended.stdout.close()
    assert ended.stderr.read() == ""
    assert ended.wait() == 141
    ended.stderr.close()
