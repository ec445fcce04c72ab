"""The pages of the model as help: each is there, whole, escaped, and only for who is signed in."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from twin.views.model_pages import as_html, slugs, title_of


@pytest.fixture
def reader(client, db):
    client.force_login(get_user_model().objects.create_user("anna"))
    return client


def test_the_index_names_every_subject_and_links_to_it(reader):
    page = reader.get(reverse("model")).content.decode()
    assert len(slugs()) >= 11
    assert [
        slug for slug in slugs() if f'href="{reverse("model-page", args=[slug])}">{title_of(slug)}<' not in page
    ] == []


def test_every_subject_is_shown_with_its_equations_and_nothing_of_the_markup(reader):
    for slug in slugs():
        answer = reader.get(reverse("model-page", args=[slug]))
        page = answer.content.decode()
        assert answer.status_code == 200
        assert f"<h1>{title_of(slug)}</h1>" in page
        shown = page.partition("<h1>")[2].partition("</main>")[0]
        assert [mark for mark in ("## ", "`", ".md)") if mark in shown] == [], slug
        assert "<p>Modules: <code>" in shown


def test_a_page_of_another_name_is_not_found_and_nobody_reads_without_signing_in(reader):
    assert reader.get(reverse("model-page", args=["readme"])).status_code == 404
    assert reader.get("/help/model/..%2F..%2FREADME/").status_code == 404
    reader.logout()
    assert reader.get(reverse("model")).status_code == 302
    assert reader.get(reverse("model-page", args=["serving"])).status_code == 302


def test_headings_lists_equations_and_links_become_html_and_the_rest_is_escaped():
    text = "## A < B\n\nSee `x < y` in\n[power.md](power.md):\n- one\n  more\n- two\n\n    P < 3\n\n    Q = 1\n"
    assert as_html(text) == (
        "<h2>A &lt; B</h2>\n"
        f'<p>See <code>x &lt; y</code> in <a href="{reverse("model-page", args=["power"])}">Power</a>:</p>'
        "<ul><li>one more</li><li>two</li></ul>\n"
        '<pre class="launch">    P &lt; 3</pre>\n<pre class="launch">    Q = 1</pre>'
    )
