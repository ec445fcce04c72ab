"""What names a solver: its code without words and names, its coefficients, and a version that people raise."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from compute.calibration.coefficients import SHIPPED, coefficient_set
from tests.compared_runs import run
from twin.core.comparison.compare import compare, model_note
from twin.core.provenance import MODEL_VERSION, ROOT, SOLVERS, digest_of, kept_digest, solver_of, this_solver
from twin.core.results.details import SolverNote


@pytest.fixture
def tree(tmp_path) -> Path:
    """Return a small tree of the solvers' folders."""
    for folder in SOLVERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "compute" / "steps.py").write_text(
        '"""Steps."""\n\nfrom compute.shapes import Shape\n\n\ndef step_s(n: int) -> float:\n'
        '    """Return it."""\n    return 2e-3 * n\n'
    )
    (tmp_path / "compute" / "serving.json").write_text('{"gemm_frac": 0.6}\n')
    return tmp_path


def written(path: Path, old: str, new: str) -> None:
    """Put one text in the place of another in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Steps."""', '"""Steps of the engine."""'),
        ('    """Return it."""\n', ""),
        ("return 2e-3 * n", "return (2e-3 * n)  # seconds"),
        ("return 2e-3", "return 0.002"),
        ("compute.shapes", "compute.steps.shapes"),
    ],
)
def test_words_spelling_and_places_do_not_count(tree, old, new):
    before = digest_of(tree)
    written(tree / "compute" / "steps.py", old, new)
    assert digest_of(tree) == before


def test_a_kept_digest_is_of_the_sources_that_stand_there(tree, tmp_path):
    kept = tmp_path / "made" / "digest"
    first = kept_digest(tree, kept)
    assert first == digest_of(tree)
    kept.write_text(kept.read_text().replace(first, "kept"))
    assert kept_digest(tree, kept) == "kept"  # not taken again
    written(tree / "compute" / "steps.py", "2e-3", "3e-3")
    assert kept_digest(tree, kept) == digest_of(tree) != first
    assert [path.name for path in kept.parent.iterdir()] == ["digest"]


def test_a_digest_that_cannot_be_kept_is_taken_each_time(tree, tmp_path):
    (tmp_path / "file").touch()
    assert kept_digest(tree, tmp_path / "file" / "digest") == digest_of(tree)


def test_names_of_files_do_not_count(tree):
    before = digest_of(tree)
    (tree / "compute" / "prediction").mkdir()
    (tree / "compute" / "prediction" / "__init__.py").touch()
    shutil.move(tree / "compute" / "steps.py", tree / "compute" / "prediction" / "times.py")
    assert digest_of(tree) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("steps.py", "2e-3", "2.1e-3"),
        ("steps.py", "2e-3 * n", "2e-3 + n"),
        ("steps.py", "import Shape", "import Form"),
        ("serving.json", "0.6", "0.61"),
    ],
)
def test_formulas_constants_and_coefficients_count(tree, file, old, new):
    before = digest_of(tree)
    written(tree / "compute" / file, old, new)
    assert digest_of(tree) != before


def test_two_coefficient_sets_are_two_solvers(tmp_path):
    for folder in ("compute", "power_cooling", "twin/core"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert digest_of(tmp_path) == this_solver().digest
    copy = tmp_path / SHIPPED.relative_to(ROOT)
    fitted = json.loads(copy.read_text(encoding="utf-8"))
    fitted["global_log"]["gemm_frac"] += 0.01
    copy.write_text(json.dumps(fitted), encoding="utf-8")
    assert coefficient_set(copy).global_log != coefficient_set().global_log
    assert digest_of(tmp_path) != this_solver().digest


def test_a_result_without_a_digest_has_an_unknown_solver():
    assert solver_of("0.1.0", "").text == "unknown"
    assert solver_of("0.1.0", "").version == "unknown"
    assert this_solver().text == f"model {MODEL_VERSION}, digest {this_solver().digest[:12]}"


def test_runs_of_different_model_versions_are_told_apart():
    runs = [run(name, tokens=100.0, parts_w={"Accelerators": 50.0}, usd={"racks": 10.0}) for name in ("Old", "New")]
    assert compare(runs).model_note == ""
    newer = replace(runs[1].details, solver=SolverNote(version="7", digest="ab" * 32))
    runs[1] = replace(runs[1], details=newer)
    compared = compare(runs)
    assert compared.model_versions == ["unknown", "7"]
    assert "different versions of the model (Old: unknown, New: 7)" in compared.model_note
    assert model_note(["7", "7"], ["A", "B"]) == ""


def test_two_solvers_of_one_version_differ_in_the_assumptions_of_a_comparison():
    runs = [run(name, tokens=100.0, parts_w={"Accelerators": 50.0}, usd={"racks": 10.0}) for name in ("One", "Two")]
    named = [
        replace(one, details=replace(one.details, solver=replace(one.details.solver, version="7", digest=letter * 64)))
        for one, letter in zip(runs, "ab", strict=True)
    ]
    compared = compare(named)
    assert compared.model_note == ""
    [row] = [row for row in compared.assumptions if row.name == "Solver"]
    assert row.values == ["model 7, digest aaaaaaaaaaaa", "model 7, digest bbbbbbbbbbbb"]
