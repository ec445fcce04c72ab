"""The glossary: every figure has a word, every word a meaning, every link a page."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from twin.core.figures_of_merit import BY_NAME, FIGURES
from twin.core.glossary import FORMULAS, terms


def test_every_figure_of_merit_is_explained():
    slugs = [term.slug for term in terms()]
    assert len(set(slugs)) == len(slugs)
    assert {figure.name for figure in FIGURES} <= set(slugs)
    assert set(FORMULAS) <= set(BY_NAME)


def test_every_word_has_a_meaning_and_says_where_it_is_met():
    for term in terms():
        assert len(term.meaning) > 20, term.name
        assert term.used, term.name


@pytest.mark.parametrize("word", ["TTFT", "ITL", "PUE", "N+1", "2N", "Approach", "DLC", "Goodput"])
def test_the_trades_words_are_there(word):
    assert any(word.lower() in term.name.lower() for term in terms())


def test_the_page_gives_each_word_an_address(client, db):
    client.force_login(get_user_model().objects.create_user("anna"))
    page = client.get(reverse("glossary")).content.decode()
    for term in terms():
        assert f'id="{term.slug}"' in page
    client.logout()
    assert client.get(reverse("glossary")).status_code == 302
