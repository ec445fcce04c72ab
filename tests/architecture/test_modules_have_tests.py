"""Every module of the pure packages has a test of its own, or a reason why it has none.

A module has one where a file of `tests/unit` or `tests/properties` is named after it (`test_NAME.py`) or imports from
it by its whole name.
"""

import ast
import datetime
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PURE = ("compute", "power_cooling", "twin/core")

_KERNEL = "compiled; it has no caller but {}, and is tested through it, against values worked by hand and balances"
_COUPLED = _KERNEL.format("`coupled.solve`")
_REPLAY = _KERNEL.format("`replay.run`")
#: Modules without a test, why, and when that was last thought over. Write a test rather than a line.
REASONS = {
    "compute.calibration.case_pools": ("called by `cases` alone, whose tests go through every branch", "2026-11-30"),
    "compute.replay.compiled": ("two decorators", "2026-11-30"),
    "compute.replay.routing": (_REPLAY, "2026-11-30"),
    "compute.replay.state": (_REPLAY, "2026-11-30"),
    "compute.replay.step": (_REPLAY, "2026-11-30"),
    "power_cooling.coupled.columns": ("numbers of columns; any slip in one moves the golden figures", "2026-11-30"),
    "power_cooling.coupled.load_shedding": (_COUPLED, "2026-11-30"),
    "power_cooling.coupled.output": (_COUPLED, "2026-11-30"),
    "power_cooling.coupled.plant_loop": (_COUPLED, "2026-11-30"),
    "power_cooling.coupled.result": ("fields without a rule of their own", "2026-11-30"),
    "power_cooling.electrical.redundancy_kernel": (_KERNEL.format("`electrical.redundancy`"), "2026-11-30"),
    "twin.core.comparison.runs": ("fields without a rule of their own", "2026-11-30"),
    "twin.core.diagrams.symbols": ("what templates write; tested by the diagrams' pages", "2026-11-30"),
    "twin.core.report.bill": ("one call; tested by the report's bill of materials", "2026-11-30"),
    "twin.core.report.diagrams": ("tested by the drawings of the report, in `test_report.py`", "2026-11-30"),
    "twin.core.rules.power": ("tested rule by rule on layouts, in `test_layout_findings.py`", "2026-11-30"),
    "twin.core.text.engine_names": ("one mapping", "2026-11-30"),
}


def modules() -> list[str]:
    """Return the dotted names of the modules of the pure packages."""
    paths = [path for package in PURE for path in (REPOSITORY / package).rglob("*.py") if path.stem != "__init__"]
    return sorted(".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in paths)


@pytest.fixture(scope="module")
def tested() -> tuple[set[str], set[str]]:
    """Return the names that test files have, and the modules that they import from."""
    named, imported = set(), set()
    for folder in ("unit", "properties"):
        for path in (REPOSITORY / "tests" / folder).rglob("test_*.py"):
            named.add(path.stem.removeprefix("test_"))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                elif isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
    return named, imported


@pytest.mark.parametrize("module", modules())
def test_a_module_has_a_test_or_a_reason(module, tested):
    named, imported = tested
    has_test = module.rpartition(".")[2] in named or module in imported
    if module in REASONS:
        assert not has_test, f"{module} has a test now; strike it from REASONS"
    else:
        assert has_test, f"no test is named after {module} or imports from it"


def test_every_reason_is_of_a_module_that_is_there_and_is_dated():
    assert sorted(set(REASONS) - set(modules())) == []
    for why, date in REASONS.values():
        assert why
        assert datetime.date.fromisoformat(date)
