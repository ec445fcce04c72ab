"""Sites as files through the API: byte for byte, all or nothing, and only for those who may."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from facility.models import Membership, Rack, Site
from tests.small_run import small_scenario
from twin.interchange.site_file import site_export

pytestmark = pytest.mark.django_db


@pytest.fixture
def site():
    return small_scenario()[0].site


def client_of(site: Site, role: str) -> APIClient:
    user = User.objects.create_user(role or "nobody")
    if role:
        Membership.objects.create(site=site, user=user, role=role)
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(client: APIClient, content: str, *, replace: bool = False):
    address = "/api/sites/import/" + ("?replace=true" if replace else "")
    return client.generic("POST", address, content.encode(), content_type="application/yaml")


def test_export_import_export_is_byte_identical(site):
    client = client_of(site, "planner")
    first = client.get("/api/sites/small/export/").content.decode()
    assert first == site_export(site=site)
    made = post(client, first, replace=True)
    assert (made.status_code, made.data["slug"]) == (201, "small")
    assert client.get("/api/sites/small/export/").content.decode() == first
    copy = post(client, first.replace("slug: small", "slug: copy"))
    assert copy.status_code == 201
    assert Membership.objects.get(site__slug="copy").role == "owner"


def test_what_is_wrong_is_named_and_nothing_is_written(site):
    client = client_of(site, "planner")
    content = client.get("/api/sites/small/export/").content.decode()
    exists = post(client, content)
    assert (exists.status_code, "that site exists" in exists.data["message"]) == (400, True)
    before = Rack.objects.count()
    for old, new, message in (
        ("product: dgx-gb200-nvl72", "product: gb999", "racks[A-00].product is 'gb999'; must be a catalogue entry"),
        ("x_m: 2,", "x_m: 2.3,", "Rack A-01 overlaps rack A-00"),
        ("site:", "site: [", "not plain YAML"),
        ("slug: small", "slug: 5", "site.slug is 5; must be a text"),
    ):
        refused = post(client, content.replace(old, new, 1), replace=True)
        assert refused.status_code == 400
        assert message in refused.data["message"]
        assert Rack.objects.count() == before
        assert site_export(site=site) == content


def test_only_planners_replace_and_only_members_read(site):
    content = site_export(site=site)
    viewer, nobody = client_of(site, "viewer"), client_of(site, "")
    assert viewer.get("/api/sites/small/export/").status_code == 200
    assert post(viewer, content, replace=True).status_code == 403
    assert nobody.get("/api/sites/small/export/").status_code == 404
    assert post(nobody, content, replace=True).status_code == 403
    assert APIClient().get("/api/sites/small/export/").status_code == 401
    assert post(APIClient(), content).status_code == 401
    assert site_export(site=site) == content
