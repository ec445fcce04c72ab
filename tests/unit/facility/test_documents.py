"""YAML documents: what cannot be read safely is refused, numbers and texts come back as they were."""

import subprocess
import sys
from pathlib import Path

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
        ("a: 1\na: 2", "Line 2: a is given twice"),
        ("? [1]\n: 2", "not plain YAML"),
        ("a: !!python/name:os.system", "not plain YAML"),
        ("a: " + "9" * 5000, "not plain YAML"),
        ("\x00", "not plain YAML"),
        ("a: [1, 2", "not plain YAML"),
        ("just text", "holds str"),
        ("", "holds NoneType"),
        ("a: !!int x", "'x' is no int"),
        ("a: !!bool maybe", "'maybe' is no bool"),
        ("a: !!timestamp x", "'x' is no timestamp"),
        ("a: !!binary aGVsbG8=", "has the tag 'tag:yaml.org,2002:binary'"),
        ("a: !!set {b}", "has the tag 'tag:yaml.org,2002:set'"),
        ("a: !!omap [b: 1]", "has the tag 'tag:yaml.org,2002:omap'"),
        ("<<: {a: 1}", "is a merge"),
        ("a: 1\n---\nb: 2", "more than one YAML document"),
        ("a: " + "1:" * 100_000 + "1", "a number of 200,001 characters"),
        ("a: 0x" + "f" * 100_000, "a number of 100,002 characters"),
        ("a: " + ("x" * 5 * 2**20), "more than 5,242,880 bytes"),
        ("a: [" + "1," * 900_000 + "]", "more than 400,000 values"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_read_safely_is_refused(content, message):
    with pytest.raises(SiteFileError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("010", 10),
        ("+7", 7),
        ("-0", 0),
        ("1e6", 1e6),
        ("-.5E-3", -0.0005),
        ("3.", 3.0),
        ("true", True),
        ("", None),
        ("12:30", "12:30"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("On", "On"),
        ("2024-01-02", "2024-01-02"),
        ("'010'", "010"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_without_octal(word, value):
    found = read(f"a: {word}")["a"]
    assert found == value
    assert type(found) is type(value)


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


MEASURE = """
import sys, time
from pathlib import Path
from facility.interchange.documents import SiteFileError, read

def peak_kib():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

content, before_kib, before_s = sys.stdin.buffer.read(), peak_kib(), time.process_time()
try:
    read(content)
except SiteFileError:
    pass
print(time.process_time() - before_s, (peak_kib() - before_kib) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_a_hostile_document_of_any_shape_stays_within_its_bounds():
    """Each within 10 CPU s and 300 MB above what the process had: quadratic reading took minutes and gigabytes."""
    shapes = {
        "distinct keys": "\n".join(f"k{i}: 1" for i in range(390_000)),
        "small mappings": "a:\n" + "- {x: 1, y: 2}\n" * 130_000,
        "small lists": "a:\n" + "- [1, 2]\n" * 260_000,
        "lists in lists": "a: [" + "[[[[[[[[1]]]]]]]]," * 80_000 + "]",
        "flat numbers": "a: [" + "1.25," * 790_000 + "]",
        "one text": "a: '" + "x" * (5 * 2**20 - 10) + "'",
        "folded lines": "a: >\n" + " x\n" * 1_700_000,
        "comments": "#\n" * 2_600_000 + "a: 1",
    }
    for name, content in shapes.items():
        ended = subprocess.run([sys.executable, "-c", MEASURE], input=content.encode(), capture_output=True, check=True)
        cpu_s, mib = map(float, ended.stdout.split())
        assert (cpu_s < 10, mib < 300) == (True, True), f"{name}: {cpu_s:.1f} CPU s, {mib:.0f} MB"
