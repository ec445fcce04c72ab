"""YAML documents: what cannot be read safely is refused, numbers and texts come back as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.interchange.documents import Line, SiteFileError, read, write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested more than 20 levels"),
        ("{a: " * 50_000, "nested more than 20 levels"),
        ("a: &a [x]\nb: [*a, *a]", r"Line 2: \*a is an alias; write the value out"),
        ("a: 1\na: 2", "Line 1: a is given twice"),
        ("? [1]\n: 2", "not plain YAML"),
        ("a: !!python/name:os.system", "not plain YAML"),
        ("a: 2024-13-45", "not plain YAML"),
        ("a: " + "9" * 5000, "not plain YAML"),
        ("\x00", "not plain YAML"),
        ("a: [1, 2", "not plain YAML"),
        ("just text", "holds str"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_read_safely_is_refused(content, message):
    with pytest.raises(SiteFileError, match=message):
        read(content)


VALUES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=40)
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=8), VALUES, max_size=6))
def test_values_come_back_and_are_written_the_same_again(values):
    content = write({"plain": values, "line": Line(values), "lines": [Line(values)]})
    again = read(content)
    assert again == {"plain": values, "line": values, "lines": [values]}
    assert write({"plain": again["plain"], "line": Line(again["line"]), "lines": [Line(again["lines"][0])]}) == content
