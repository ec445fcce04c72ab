"""Templates are read and compared line by line: none is too long to see what changed, no fragment is left over."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((REPOSITORY / "templates").rglob("*.html"))
MAX_COLUMNS = 140


@pytest.fixture(scope="module")
def naming() -> str:
    """Return everything that may name a template: the templates themselves and the programs."""
    programs = [path for folder in ("twin", "facility") for path in (REPOSITORY / folder).rglob("*.py")]
    return "\n".join(path.read_text() for path in [*TEMPLATES, *programs])


def test_no_template_line_is_longer_than_the_limit():
    long = [
        f"{path.relative_to(REPOSITORY)}:{number} has {len(line)} columns"
        for path in TEMPLATES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert TEMPLATES
    assert not long, long


def test_every_fragment_is_included_or_rendered_somewhere(naming):
    fragments = [str(path.relative_to(REPOSITORY / "templates")) for path in TEMPLATES if path.name.startswith("_")]
    unused = [name for name in fragments if f'"{name}"' not in naming]
    assert fragments
    assert not unused, unused
