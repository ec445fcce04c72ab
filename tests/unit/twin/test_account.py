"""Sign-in, passwords, tokens, and who may read what lies on the disk."""

import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from facility import services, sign_in_throttle
from facility.models import ApiToken, Membership, RefusedSignIn, Site
from facility.models.text import check_text
from tests.small_run import small_scenario
from twin.runs import tables

pytestmark = pytest.mark.django_db
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def user():
    return get_user_model().objects.create_user("anna", email="anna@example.org", password="right-horse")


def sign_in(client: Client, password: str, name: str = "anna"):
    return client.post(reverse("login"), {"username": name, "password": password})


def test_too_many_wrong_passwords_have_to_wait_and_leave_a_line_in_the_log(user, client, caplog):
    for _ in range(sign_in_throttle.MOST_PER_NAME_AND_ADDRESS):
        assert sign_in(client, "wrong").status_code == 200
    refused = sign_in(client, "right-horse")
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)
    assert "Try again in" in refused.content.decode()
    assert caplog.text.count("password refused from 127.0.0.1 for 'anna'") == 10
    assert sign_in(client, "wrong", "ben").status_code == 200  # others are not kept waiting
    RefusedSignIn.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert sign_in(client, "right-horse").status_code == 302


def test_the_console_has_no_sign_in_of_its_own(client):
    sent = client.post("/admin/login/?next=/admin/", {"username": "a", "password": "b"})
    assert sent["Location"] == "/login/?next=/admin/"


def test_a_right_password_forgets_the_wrong_ones(user, client):
    for _ in range(5):
        sign_in(client, "wrong")
    assert sign_in(client, "right-horse").status_code == 302
    assert not RefusedSignIn.objects.exists()


def test_wrong_tokens_are_counted_and_a_right_one_never_waits(user):
    _, secret = ApiToken.issue(user=user, name="t")
    client = APIClient()
    answers = [client.get("/api/sites/", headers={"Authorization": "Token 12345678.x"}).status_code for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert client.get("/api/sites/", headers={"Authorization": f"Token {secret}"}).status_code == 200


def test_a_password_is_changed_and_reset(user, client, settings):
    client.force_login(user)
    new = {"old_password": "right-horse", "new_password1": "battery-staple", "new_password2": "battery-staple"}
    assert client.post(reverse("password-change"), new).status_code == 302
    client.logout()
    assert sign_in(client, "battery-staple").status_code == 302
    client.logout()
    assert "sends no e-mail" in client.get(reverse("password-reset")).content.decode()
    settings.EMAIL_IS_SET = True
    for address in ("anna@example.org", "nobody@example.org"):
        answer = client.post(reverse("password-reset"), {"email": address}, follow=True)
        assert "a link to set a new password has been sent" in answer.content.decode()
    (message,) = mail.outbox
    link = re.search(r"http://testserver(\S+)", message.body)[1]
    page = client.get(link, follow=True)
    place = page.redirect_chain[-1][0]
    client.post(place, {"new_password1": "third-attempt", "new_password2": "third-attempt"})
    assert sign_in(client, "third-attempt").status_code == 302
    assert "used or is too old" in client.get(link, follow=True).content.decode()


def test_a_user_makes_and_revokes_tokens_that_may_less_than_they(user, client):
    layout, _ = small_scenario()
    other = small_scenario("other")[0]
    for site in (layout.site, other.site):
        Membership.objects.create(site=site, user=user, role="planner")
    client.force_login(user)
    assert client.get(reverse("account")).status_code == 200
    page = client.post(reverse("account"), {"name": "buyer", "write": "on", "sites": [layout.site.pk], "days": 90})
    secret = re.search(r'class="mono">([0-9a-f]{8}\.[\w-]+)<', page.content.decode())[1]
    assert secret not in client.get(reverse("account")).content.decode()
    token = ApiToken.objects.get()
    assert timedelta(days=89) < token.expires_at - timezone.now() < timedelta(days=91)
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    assert [site["slug"] for site in program.get("/api/sites/").json()["results"]] == ["small"]
    assert program.patch(f"/api/layouts/{layout.pk}/", {"name": "Mine"}).status_code == 200
    assert program.patch(f"/api/layouts/{other.pk}/", {"name": "Mine"}).status_code == 404
    assert program.post("/api/sites/", site_values(layout.site)).status_code == 403
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("ben"))
    assert stranger.post(reverse("token-revoke", args=[token.pk])).status_code == 404
    assert client.post(reverse("token-revoke", args=[token.pk])).status_code == 302
    assert program.get("/api/sites/").status_code == 401
    assert "must be" in str(client.post(reverse("account"), {"name": "x", "days": 9999}).content) or not (
        ApiToken.objects.exists()
    )


def site_values(site: Site) -> dict:
    return {
        "slug": "new",
        "name": "New",
        "latitude_deg": 1,
        "longitude_deg": 1,
        "weather": site.weather.slug,
        "region": site.region.slug,
        "grid_limit_w": 1e6,
    }


def test_a_token_lives_90_days_unless_it_says_otherwise(user):
    token, _ = ApiToken.issue(user=user, name="t")
    assert token.expires_at - timezone.now() < timedelta(days=90, minutes=1)


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\u202ecod.exe", "a\u200bb", "a\u2066b", "\ufeffa", "a\x7fb"])
def test_a_name_with_what_cannot_be_seen_is_refused_at_every_door(name, user, client):
    layout, scenario = small_scenario()
    rack = layout.halls.get().racks.first()
    for row in (rack, layout, scenario, layout.site):
        row.name = name
        with pytest.raises(ValidationError, match="cannot be seen"):
            check_text(row)
    with pytest.raises(ValidationError, match="cannot be seen"):
        services.part_save(part=rack)
    Membership.objects.create(site=layout.site, user=user, role="planner")
    client.force_login(user)
    for address in (f"/api/racks/{rack.pk}/", f"/api/layouts/{layout.pk}/", "/api/sites/small/"):
        assert client.patch(address, {"name": name}, content_type="application/json").status_code == 400
    layout.notes = "two\nlines"
    layout.name = "Ünïcode 漢字 ✓"
    check_text(layout)


def test_no_head_of_a_table_is_taken_for_a_formula():
    assert tables.as_csv(["=1+1", "@x", "plain"], []).splitlines() == ["'=1+1,'@x,plain"]


@pytest.mark.slow
def test_the_home_and_the_database_are_their_owners_only(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "twin.sqlite3").touch(mode=0o644)
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE")} | {
        "TWIN_HOME": str(home)
    }
    for https in ("0", "1"):
        ended = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=REPOSITORY,
            env=environment | {"TWIN_HTTPS": https},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        assert "WARNINGS" not in ended.stderr
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir()) if path.is_file()}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (modes["twin.sqlite3"], modes["secret_key"]) == (0o600, 0o600)


def test_every_answer_carries_secure_headers(client):
    answer = client.get(reverse("login"))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert "default-src 'self'" in answer["Content-Security-Policy"]
