"""What the documents for contributors name is there: files, and the names in them."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL_PAGES = tuple(
    f"docs/model/{path.name}" for path in sorted((REPOSITORY / "docs/model").glob("*.md")) if path.name != "README.md"
)
DECISIONS = tuple(f"docs/decisions/{path.name}" for path in sorted((REPOSITORY / "docs/decisions").glob("*.md")))
DOCUMENTS = (
    "CONTRIBUTING.md",
    "SECURITY.md",
    "README.md",
    "docs/architecture.md",
    "docs/model/README.md",
    *MODEL_PAGES,
    *DECISIONS,
)
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|lock|svg))(?:::(\w+))?`")
NAME = re.compile(r"`([A-Za-z_]\w{2,})`")
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


@pytest.mark.parametrize("page", MODEL_PAGES)
def test_a_page_of_the_model_begins_with_its_modules_and_says_where_it_holds(page):
    title, modules, *_ = text_of(page).split("\n\n")
    assert title.startswith("# ")
    assert modules.startswith("Modules: ")
    assert [path for path, _ in PATH.findall(modules) if not path.endswith((".py", ".json"))] == []
    assert re.search(r"^## .*(Where it holds|range|bands$)", text_of(page), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("page", MODEL_PAGES)
def test_every_name_on_a_page_of_the_model_is_in_its_modules_or_a_command(page):
    text = text_of(page)
    sources = "".join(text_of(path) for path, _ in PATH.findall(text) if path.endswith(".py"))
    commands = {path.stem for path in (REPOSITORY / "twin/management/commands").glob("*.py")}
    assert [name for name in NAME.findall(text) if name not in commands and name not in sources] == []


def test_the_list_of_the_model_names_each_page_once():
    listed = re.findall(r"^\| \[([\w-]+\.md)\]\(\1\)", text_of("docs/model/README.md"), re.MULTILINE)
    assert sorted(f"docs/model/{name}" for name in listed) == list(MODEL_PAGES)


def test_links_between_documents_lead_somewhere():
    broken = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text_of(document)):
            if not (REPOSITORY / document).parent.joinpath(target).exists():
                broken.append((document, target))
    assert broken == []


def test_decisions_are_numbered_without_a_gap_and_titled_by_their_number():
    numbers = [Path(decision).name[:4] for decision in DECISIONS]
    assert numbers == [f"{i:04d}" for i in range(1, len(numbers) + 1)]
    assert [d for d, n in zip(DECISIONS, numbers, strict=True) if not text_of(d).startswith(f"# {n} ")] == []
    parts = ("**Context.**", "**Decision.**", "**Consequences.**")
    assert [d for d in DECISIONS if any(part not in text_of(d) for part in parts)] == []


def test_the_test_that_is_run_as_an_example_is_there():
    [(file, name)] = re.findall(r"pytest (tests/\S+\.py)::(\w+)", text_of("CONTRIBUTING.md"))
    assert f"def {name}(" in text_of(file)


def test_twelve_typical_changes_are_described():
    numbers = re.findall(r"^\| (\d+) \|", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert numbers == [str(i) for i in range(1, 13)]


def test_the_licence_is_the_one_that_the_project_names():
    assert 'license = "Apache-2.0"' in text_of("pyproject.toml")
    assert text_of("LICENSE").split()[:4] == ["Apache", "License", "Version", "2.0,"]
