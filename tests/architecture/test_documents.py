"""What the documents for contributors name is there: files, and the names in them."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md", "README.md", "docs/architecture.md")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|lock|svg))(?:::(\w+))?`")
NAME_IN_FILE = re.compile(r"`(\w+)` in\s+`([\w/.-]+\.py)`")


def text_of(document: str) -> str:
    return (REPOSITORY / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document):
    named = {match.group(1) for match in PATH.finditer(text_of(document))}
    roots = (REPOSITORY, REPOSITORY / "twin", (REPOSITORY / document).parent)
    assert [path for path in sorted(named) if not any((root / path).exists() for root in roots)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_that_a_document_places_in_a_file_is_there(document):
    placed = NAME_IN_FILE.findall(text_of(document))
    assert [(name, file) for name, file in placed if name not in text_of(file)] == []


def test_the_test_that_is_run_as_an_example_is_there():
    [(file, name)] = re.findall(r"pytest (tests/\S+\.py)::(\w+)", text_of("CONTRIBUTING.md"))
    assert f"def {name}(" in text_of(file)


def test_twelve_typical_changes_are_described():
    numbers = re.findall(r"^\| (\d+) \|", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert numbers == [str(i) for i in range(1, 13)]


def test_the_licence_is_the_one_that_the_project_names():
    assert 'license = "Apache-2.0"' in text_of("pyproject.toml")
    assert text_of("LICENSE").split()[:4] == ["Apache", "License", "Version", "2.0,"]
