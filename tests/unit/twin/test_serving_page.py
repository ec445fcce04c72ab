import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from tests.small_site import product

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    for kind, slug in (
        ("systems", "dgx-gb200-nvl72"), ("systems", "dgx-h100"), ("models", "deepseek-r1"), ("models", "llama-3.1-70b"),
        ("workloads", "enterprise_assistants"), ("accelerators", "gb200"), ("accelerators", "h100-sxm"),
    ):  # fmt: skip
        product(kind, slug)
    client.force_login(get_user_model().objects.create_user("reader"))
    return client


def test_the_frontier_is_drawn_with_its_table_and_target(reader):
    page = reader.get(reverse("serving")).content.decode()
    assert 'data-chart="figure-throughput"' in page
    assert "Output per accelerator [tok/s]" in page
    assert "the speed that the use case wants" in page


def test_only_the_answer_is_swapped(reader):
    part = reader.get(
        reverse("serving"), {"system": "dgx-h100", "model": "llama-3.1-70b"}, headers={"HX-Request": "true"}
    )
    assert "<html" not in part.content.decode()
    assert 'data-chart="figure-throughput"' in part.content.decode()


def test_what_does_not_fit_says_why(reader):
    page = reader.get(reverse("serving"), {"system": "dgx-h100", "model": "deepseek-r1"}).content.decode()
    assert "It does not fit." in page
    assert "GB" in page


def test_unknown_names_fall_back_to_the_first(reader):
    assert reader.get(reverse("serving"), {"system": "nonsense", "engine": "nonsense"}).status_code == 200


def test_an_empty_catalogue_says_how_to_load_it(client):
    client.force_login(get_user_model().objects.create_user("reader"))
    assert "load_catalogue" in client.get(reverse("serving")).content.decode()
