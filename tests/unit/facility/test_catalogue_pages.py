"""Catalogue pages open for every entry; names of models carry dots."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from tests.small_site import product

pytestmark = pytest.mark.django_db


def test_an_entry_with_a_dot_in_its_name_has_a_page(client):
    product("models", "llama-3.1-8b")
    client.force_login(User.objects.create_user("reader"))
    assert client.get(reverse("catalogue-kind", args=["models"])).status_code == 200
    page = client.get(reverse("product", args=["models", "llama-3.1-8b"]))
    assert page.status_code == 200
    assert b"Llama-3.1-8B" in page.content
