"""What the documents for contributors name is there: files, names in them, commands, options, targets, addresses."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL_PAGES = tuple(
    f"docs/model/{path.name}" for path in sorted((REPOSITORY / "docs/model").glob("*.md")) if path.name != "README.md"
)
DECISIONS = tuple(f"docs/decisions/{path.name}" for path in sorted((REPOSITORY / "docs/decisions").glob("*.md")))
OPERATE = tuple(f"docs/operate/{path.name}" for path in sorted((REPOSITORY / "docs/operate").glob("*.md")))
DOCUMENTS = (
    "CONTRIBUTING.md",
    "SECURITY.md",
    "README.md",
    "docs/architecture.md",
    "docs/model/README.md",
    *MODEL_PAGES,
    *DECISIONS,
    *OPERATE,
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


def blocks(document: str) -> list[str]:
    """Return the commands of a document's indented blocks, one a line: joined, without comments, variables put in."""
    lines, variables = [], {}
    text = re.sub(r"\\\n\s*", " ", text_of(document))
    for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE):
        said = re.split(r"\s{2,}#|\s#\s", line)[0].strip()
        if found := re.fullmatch(r'([A-Z]+)="?([^"$]*)"?', said):
            variables[found[1]] = found[2]
            continue
        lines.append(re.sub(r"\$([A-Z]+)", lambda name: variables.get(name[1], name[0]), said))
    return lines


def asked_commands() -> list[tuple[str, str, list[str]]]:
    """Return each `manage.py` command of a block: document, name and arguments."""
    return [
        (document, *parts)
        for document in DOCUMENTS
        for line in blocks(document)
        if "python manage.py " in line and (parts := _command(line.split("manage.py ", 1)[1]))
    ]


def _command(words: str) -> tuple[str, list[str]]:
    name, *arguments = shlex.split(words.rstrip(")"))
    return name, arguments


@pytest.mark.parametrize(("document", "name", "arguments"), asked_commands())
def test_a_command_of_a_document_is_understood_as_it_stands(document, name, arguments):
    load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_options_in_sentences_are_there(document):
    known, wrong = get_commands(), []
    for span in re.findall(r"`(?:\.venv/bin/python )?(?:manage\.py )?([a-z_]+(?: [^`\n]*)?)`", text_of(document)):
        name, *words = span.split()
        if name not in known:
            continue
        parser = load_command_class(known[name], name).create_parser("manage.py", name)
        wrong += [span for word in words if word.startswith("--") and word not in parser._option_string_actions]
    named = re.findall(r"manage\.py (\w+)", text_of(document))
    assert (wrong, [name for name in named if name not in known]) == ([], [])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_of_make_are_there(document):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    spans = re.findall(r"`make ([a-z-]+)", text_of(document))
    in_blocks = [found[1] for line in blocks(document) if (found := re.search(r"\bmake ([a-z-]+)", line))]
    assert set(spans + in_blocks) - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_addresses_are_there(document):
    text = text_of(document).replace('"$API/', '"/api/')
    named = {match.rstrip("`") for match in re.findall(r"[`\"\s](/(?:api|admin|metrics|health)[\w/{}.-]*)", text)}
    missing = []
    for address in sorted(named):
        try:
            resolve(re.sub(r"\{\w+\}", "1", address))
        except Resolver404:
            missing.append(address)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_in_a_document_stands_somewhere_in_the_program(document):
    assert sorted({name for name in NAME.findall(text_of(document)) if name not in words_of_the_program()}) == []


@cache
def words_of_the_program() -> frozenset[str]:
    folders = ("compute", "power_cooling", "facility", "twin", "templates", "static/js", "tests")
    files = [file for folder in folders for file in (REPOSITORY / folder).rglob("*")]
    files += [file for file in REPOSITORY.iterdir() if file.is_file()]
    read = [file for file in files if file.suffix in {".py", ".html", ".js", ".toml"} or file.name == "Makefile"]
    texts = (file.read_text(encoding="utf-8") for file in read)
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    return frozenset(words | {file.name for file in files})


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
