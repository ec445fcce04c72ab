"""Credentials at rest: sealed, opened with the keys at hand, sealed anew by a command that can be killed."""

import io

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from tests.small_run import small_scenario
from twin import credentials
from twin.models import TelemetrySource

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_home(settings, tmp_path):
    settings.TWIN_HOME, settings.TWIN_CREDENTIAL_KEYS = tmp_path, []


def source(name: str = "BMS") -> TelemetrySource:
    site = small_scenario(name.lower())[0].site
    return TelemetrySource.objects.create(
        site=site, name=name, address="mqtts://broker.example.org", secret=credentials.sealed("hunter2")
    )


def rotated() -> str:
    out = io.StringIO()
    call_command("rotate_credential_key", stdout=out)
    return out.getvalue()


def test_a_secret_is_not_what_is_stored_and_comes_back():
    stored = credentials.sealed("hunter2")
    assert b"hunter2" not in stored
    assert credentials.opened(stored) == "hunter2"
    assert credentials.key_file().stat().st_mode & 0o777 == 0o600


def test_a_new_key_seals_what_is_there_and_the_oldest_is_forgotten():
    row = source()
    first = bytes(row.secret)
    (oldest,) = credentials.key_file().read_text().split()
    assert "1 credential sealed" in rotated()
    row.refresh_from_db()
    assert bytes(row.secret) != first
    assert credentials.opened(row.secret) == credentials.opened(first) == "hunter2"  # somebody was sealing just then
    rotated()
    row.refresh_from_db()
    assert credentials.opened(row.secret) == "hunter2"
    assert oldest not in credentials.key_file().read_text()
    with pytest.raises(credentials.CannotOpen, match="enter it again"):
        credentials.opened(first)


def test_a_secret_of_a_lost_key_stops_the_rotation_and_keeps_every_key():
    lost, kept = source("LOST"), source("KEPT")
    TelemetrySource.objects.filter(pk=lost.pk).update(secret=Fernet(Fernet.generate_key()).encrypt(b"x"))
    before = bytes(kept.secret)
    with pytest.raises(CommandError, match=f"secret of telemetry source {lost.pk}"):
        rotated()
    kept.refresh_from_db()
    assert bytes(kept.secret) == before
    assert credentials.opened(before) == "hunter2"


def test_keys_of_the_environment_are_the_operators(settings):
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    settings.TWIN_CREDENTIAL_KEYS = [old]
    row = source()
    settings.TWIN_CREDENTIAL_KEYS = [new, old]
    assert "may go now" in rotated()
    settings.TWIN_CREDENTIAL_KEYS = [new]
    row.refresh_from_db()
    assert credentials.opened(row.secret) == "hunter2"
    assert not credentials.key_file().exists()
    settings.TWIN_CREDENTIAL_KEYS = ["short"]
    with pytest.raises(ImproperlyConfigured, match="TWIN_CREDENTIAL_KEYS must hold keys of 32 bytes"):
        credentials.sealed("x")
