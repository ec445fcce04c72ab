"""How far a figure can be trusted: one table for catalogue, pages, reports and results."""

from facility.catalogue import schema
from facility.models import Product
from power_cooling.site_facts.confidence import (
    CONFIDENCES,
    STATED,
    STRONGEST_FIRST,
    WEAKEST_FIRST,
    confidence_label,
    weakest,
)
from twin.core.glossary import WORDS
from twin.templatetags.marks import provenance


def test_the_weakest_input_decides():
    assert weakest(["published", "estimated", "entered"]) == "estimated"
    assert weakest([]) == "published" == WEAKEST_FIRST[-1]


def test_only_the_model_assumes():
    assert set(STATED) == set(STRONGEST_FIRST) - {"assumed"}
    assert [name for name, _ in Product._meta.get_field("confidence").choices] == list(STATED)
    given = {"source": "a sheet", "field_confidence": {}}
    for name in STRONGEST_FIRST:
        named = [field for field, _ in schema.complaints("pumps", {}, confidence=name, **given)]
        assert ("confidence" in named) == (name == "assumed")


def test_pages_and_glossary_show_each_by_its_sign_and_words():
    [told] = [term.meaning for term in WORDS if term.slug == "confidence"]
    for name, known in CONFIDENCES.items():
        assert confidence_label(name) == known.label
        assert known.sign in told
        assert known.label in provenance(name)
        assert known.sign in provenance(name)
    assert len({known.sign for known in CONFIDENCES.values()}) == len(CONFIDENCES)
    assert confidence_label(None) == provenance(None) == ""
