"""Golden figures of whole runs: they may move only together with `twin.core.provenance.MODEL_VERSION`.

Who changes an answer on purpose raises that version by one and renews the figures:

    TWIN_RENEW_GOLDEN=1 python -m pytest -rP tests/regression/test_golden_figures.py

`golden_figures.json` holds them by version, so that it also says what each version moved. Figures of a version that
stands there already are renewed only where the description itself changed (catalogue, scenario or climate).
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from facility.models import Layout
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.core.inputs.layout import layout_inputs
from twin.core.provenance import MODEL_VERSION
from twin.core.solve.simulate import simulate
from twin.models import Scenario, ScenarioWorkload
from twin.runs import snapshot

pytestmark = [pytest.mark.slow, pytest.mark.compiled]

STORED = Path(__file__).with_name("golden_figures.json")
TOLERANCE = 1e-6  # relative: far above what another processor or NumPy adds up differently, far below what is shown


def liquid_cooled() -> tuple[Layout, Scenario]:
    """Return two GB200 racks on dry coolers that serve assistants."""
    return small_scenario("liquid")


def chilled_and_air_cooled() -> tuple[Layout, Scenario]:
    """Return H200 servers in a chilled hall beside a GB300 rack; agents and research, with a power cap."""
    layout, scenario = small_scenario("mixed")
    layout.cooling_plants.update(
        supply_degc=18,
        economiser="parallel",
        chiller=product("chillers", "wc-carrier-19xr-1407-vsd"),
        n_chillers=3,
        n_chillers_spare=1,
        heat_rejection=product("cooling_towers", "cooling-tower-3500"),
        n_heat_rejection=3,
    )
    layout.halls.get().racks.all().delete()
    for i in range(3):
        new_rack(
            layout, name=f"B-{i:02}", x_m=2.0 + i, product=product("systems", "dgx-h200"), n_systems=4, cdu=None
        ).save()
    new_rack(layout, name="C-01", x_m=8.0, product=product("systems", "dgx-gb300-nvl72")).save()
    scenario.accelerator_power_limit_w = 600.0
    scenario.save()
    scenario.workloads.all().delete()
    for slug, share in (("agentic_workflows", 0.6), ("scientific_research", 0.4)):
        ScenarioWorkload.objects.create(
            scenario=scenario, workload=product("workloads", slug), accelerator_share_frac=share
        )
    return layout, scenario


CASES = {"liquid": liquid_cooled, "mixed": chilled_and_air_cooled}


def described_sha256(inputs: dict) -> str:
    """Return what a case was asked, without the row numbers of its database."""
    products = [
        [kind, sorted(entries.values(), key=lambda entry: (entry["kind"], entry["slug"]))]
        for kind, entries in sorted(inputs["products"].items())
    ]
    asked = {"products": products, **{name: inputs[name] for name in ("site", "scenario", "weather")}}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@pytest.fixture
def solved(db) -> dict[str, dict]:
    """Return what each case is asked and what it comes to."""
    call_command("load_catalogue", verbosity=0)
    found = {}
    for name, make in CASES.items():
        inputs = json.loads(snapshot.canonical(snapshot.snapshot(*make())))
        result = simulate(layout_inputs(inputs))
        figures = {figure: value for figure, value in result.figures.items() if value is not None}
        found[name] = {"described_sha256": described_sha256(inputs), "figures": figures}
    return found


def moved(old: dict, new: dict) -> list[str]:
    """Return the figures of a case that are not what they were: name, old, new and relative change."""
    lines = []
    for name, before in sorted(old["figures"].items()):
        after = new["figures"].get(name)
        if after is None:
            lines.append(f"{name:42} {before:.9g} -> none")
        elif after != pytest.approx(before, rel=TOLERANCE, abs=1e-12):
            change = f" {after / before - 1:+.3%}" if before else ""
            lines.append(f"{name:42} {before:.9g} -> {after:.9g}{change}")
    return lines


def test_golden_figures_move_only_with_the_model_version(solved):
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    known = stored.get(MODEL_VERSION, {})
    changed = {name: lines for name in known if name in solved and (lines := moved(known[name], solved[name]))}
    sys.stdout.write("\n".join(f"{name}: {line}" for name, lines in changed.items() for line in lines) + "\n")
    same_question = [name for name in changed if known[name]["described_sha256"] == solved[name]["described_sha256"]]
    assert not same_question, (
        f"figures of {', '.join(same_question)} moved and MODEL_VERSION is still {MODEL_VERSION} (see the table): "
        "raise it in twin/core/provenance.py, then renew the figures as this file's first lines say"
    )
    if os.environ.get("TWIN_RENEW_GOLDEN"):
        renewed = json.dumps(stored | {MODEL_VERSION: solved}, indent=1, sort_keys=True)
        STORED.write_text(renewed + "\n", encoding="utf-8")
        return
    names = {name: list(case["figures"]) for name, case in known.items()}
    assert names == {name: sorted(case["figures"]) for name, case in solved.items()}, (
        f"model version {MODEL_VERSION} has other or no golden figures: renew them (first lines of this file)"
    )
    assert not changed, f"the catalogue moved figures of {', '.join(changed)}: judge the table, then renew them"


def test_a_moved_figure_is_seen():
    old = {"figures": {"pue": 1.2, "mean_power_w": 1e6, "wue_l_per_kwh": 0.0}}
    new = {"figures": {"pue": 1.2 * (1 + 1e-5), "mean_power_w": 1e6, "wue_l_per_kwh": 0.0}}
    [line] = moved(old, new)
    assert line.split()[0] == "pue"
    assert moved(old, {"figures": old["figures"] | {"mean_power_w": 1e6 * (1 + 1e-9), "new_w": 1.0}}) == []
    assert [line.split()[0] for line in moved(old, {"figures": {"pue": 1.2}})] == ["mean_power_w", "wue_l_per_kwh"]
