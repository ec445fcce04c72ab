"""What a reader sees where a page is missing, forbidden, too old or broken: the reason and a way on."""

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/sites/nothing/", "/no/such/page/"])
def test_a_missing_page_leads_back_to_the_sites(viewer, address):
    answer = viewer.get(address)
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "There is nothing at this address" in text
    assert f'href="{reverse("site-list")}">All sites' in text


def test_a_refusal_says_who_can_grant_it(viewer, layout):
    answer = viewer.get(reverse("site-edit", args=[layout.site.slug]))
    assert answer.status_code == 403
    assert "an owner of the site can grant that" in answer.content.decode()


def test_a_form_that_is_too_old_says_that_nothing_was_changed(db):
    answer = Client(enforce_csrf_checks=True).post(reverse("login"), {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


def test_a_broken_page_says_so_in_words(viewer, monkeypatch):
    from twin.views import sites

    def broken(user):
        raise RuntimeError("a table is gone")

    monkeypatch.setattr(sites, "visible_sites", broken)
    viewer.raise_request_exception = False
    answer = viewer.get(reverse("site-list"))
    assert answer.status_code == 500
    text = answer.content.decode()
    assert "Something went wrong" in text
    assert "a table is gone" not in text
