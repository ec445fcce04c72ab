"""What may import what, and other promises that code review would forget."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.conftest import COMPILED
from twin.models import Run

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("compute", "power_cooling", "facility", "twin")


def test_imports_run_one_way():
    ended = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_solvers_import_without_django_or_numba_models():
    # numba compiles pythermalcomfort's models for a minute at first import: only the function that needs them may.
    probe = (
        "import sys, pkgutil, importlib, compute, power_cooling\n"
        "for package in (compute, power_cooling):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "print([m for m in ('django', 'celery', 'pythermalcomfort.models') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr


@pytest.mark.slow
def test_the_web_process_loads_no_solver():
    # What solves is asked of the solver processes (ADR 0010). Of `compute` it reads the text of pinned configurations.
    probe = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'twin.settings'\n"
        "os.environ.pop('TWIN_SOLVES_HERE', None)\n"
        "django.setup()\n"
        "import twin.urls, twin.solver_door\n"
        "solvers = ('numba', 'pythermalcomfort', 'power_cooling.coupled', 'compute.replay', 'compute.steady.serving',\n"
        "           'twin.core.solve', 'twin.core.drill', 'twin.core.rules.findings', 'twin.solvers')\n"
        "print([m for m in solvers if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr


def test_imports_inside_functions_are_few_and_say_why():
    found = []
    for path in (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")):
        text = path.read_text()
        if not re.search(r"^\s+(from|import)\s", text, re.MULTILINE):
            continue
        lines = text.splitlines()
        for function in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
                found += [
                    (path.name, n.lineno, "  #" in lines[n.lineno - 1] or "# " in lines[n.lineno - 2]) for n in inner
                ]
    assert [place for place in found if not place[2]] == []
    assert len(found) < 10


def test_no_import_hides_in_a_call():
    # What a call imports by a name that is written there, neither the contracts nor a reader finds.
    hidden = []
    for path in (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")):
        if "import_module" not in (text := path.read_text()) and "__import__" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                hidden += [(path.name, node.lineno)] if called in ("import_module", "__import__") else []
    assert hidden == []


@pytest.mark.django_db
def test_migrations_are_up_to_date():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_status_of_a_run_says_what_may_follow():
    assert set(Run.NEXT) == set(Run.Status)
    assert all(following <= set(Run.Status) for following in Run.NEXT.values())


def test_only_a_retry_leaves_an_ended_state():
    assert {to for status in Run.ENDED for to in Run.NEXT[status]} == {Run.Status.QUEUED}


def test_every_dependency_has_a_reason_beside_it():
    text = (REPOSITORY / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    lines = text.splitlines()
    silent = [name for name in wanted if not any(f'"{name}"' in line and "# " in line for line in lines)]
    assert silent == []


def test_every_ignored_lint_rule_has_a_reason_beside_it():
    text = (REPOSITORY / "pyproject.toml").read_text()
    ignored = tomllib.loads(text)["tool"]["ruff"]["lint"]["ignore"]
    assert [r for r in ignored if not any(f'"{r}"' in line and "# " in line for line in text.splitlines())] == []


def test_the_lock_files_do_not_name_the_project_or_an_index():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (REPOSITORY / name).read_text()
        assert "ai-factory-twin" not in text
        assert "://" not in text


def test_every_package_of_an_installation_is_pinned_with_its_checksums():
    pinned = re.split(r"\n(?=\S)", (REPOSITORY / "requirements.lock").read_text())
    assert len(pinned) > 50
    assert [
        text for text in pinned if not re.match(r"[\w.-]+(\[\w+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", text, re.DOTALL)
    ] == []


def test_no_module_is_named_by_what_it_is_not():
    vague = {"utils", "helpers", "common", "base", "misc", "tools"}
    packages = [REPOSITORY / name for name in PACKAGES]
    assert [path for package in packages for path in package.rglob("*.py") if path.stem in vague] == []


def test_no_test_is_kept_from_the_formatter():
    skip = "# fmt: " + "skip"
    assert [str(path) for path in (REPOSITORY / "tests").rglob("*.py") if skip in path.read_text()] == []


def test_what_the_quick_tests_keep_from_compiling_is_there():
    for name in COMPILED:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function)), name
