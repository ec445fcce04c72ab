"""/api/telemetry/retention/, the page of kept readings and a day of the fleet: read, changed, and every refusal."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from twin.models import TelemetryRetention
from twin.telemetry import compaction

ADDRESS = "/api/telemetry/retention/"
ROWS = [
    {"time": f"2026-07-01T{hour:02}:00:00Z", "point": "site|power_w", "value": hour, "unit": "kW"} for hour in range(24)
]


@pytest.fixture
def stored(asked, planner) -> None:
    sent = planner.post(f"/api/telemetry/batches/?site={asked.site.slug}", ROWS, format="json")
    assert sent.json()["accepted"] == 24


def ask(client, asked, method: str = "get", body=None):
    return getattr(client, method)(f"{ADDRESS}?site={asked.site.slug}", body, format="json")


def test_a_rule_is_read_set_and_held(asked, planner, viewer, stored):
    told = ask(viewer, asked).json()
    waits = {"readings": 0, "bytes": 0, "bytes_per_reading": None, "waiting": 24}
    assert told == {"site": asked.site.slug, "readings_days": None, "rollups_days": None, "stored": waits}
    told = ask(planner, asked, "put", {"readings_days": 30, "rollups_days": 3650}).json()
    assert (told["readings_days"], told["rollups_days"]) == (30, 3650)
    compaction.compact(asked.site)
    after = ask(viewer, asked).json()["stored"]
    assert (after["readings"], after["waiting"]) == (24, 0)
    assert after["bytes_per_reading"] == after["bytes"] / 24
    assert ask(planner, asked, "put", {"readings_days": None, "rollups_days": None}).json()["readings_days"] is None


def test_an_odd_rule_is_refused_and_changes_nothing(asked, planner, viewer, reading_token, stranger, nobody):
    good = {"readings_days": 30, "rollups_days": 60}
    for body, words in (
        ({"readings_days": 0, "rollups_days": None}, "greater than or equal to 1"),
        ({"readings_days": 40_000, "rollups_days": None}, "less than or equal to 36500"),
        ({"readings_days": "soon", "rollups_days": None}, "valid integer"),
        ({"readings_days": 30}, "required"),
        ({"readings_days": 30, "rollups_days": 29}, "readings are kept for 30 days, their quarters not for less"),
        ({"readings_days": None, "rollups_days": 29}, "readings are kept for ever"),
        (good | {"hours": 3}, "hours"),
    ):
        answer = ask(planner, asked, "put", body)
        assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.json()
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 404), (nobody, 401)):
        assert ask(client, asked, "put", good).status_code == status
    assert not TelemetryRetention.objects.exists()
    assert planner.get(ADDRESS).status_code == 400


def test_the_pages_show_and_change_the_rule_and_a_day_of_the_fleet(asked, planner, viewer, stored, client):
    kept = reverse("readings-kept", args=[asked.site.slug])
    day = reverse("readings-day", args=[asked.site.slug])
    client.force_login(asked.site.memberships.get(role="planner").user)
    assert "wait for compaction" in client.get(kept).content.decode()
    assert client.post(kept, {"readings_days": "30", "rollups_days": "7"}).status_code == 400
    assert client.post(kept, {"readings_days": "30", "rollups_days": ""}).status_code == 302
    assert TelemetryRetention.objects.get().readings_days == 30
    shown = client.get(day)
    assert shown.context["rows"][0]["most"] == 23_000.0
    assert shown.context["rows"][0]["empty_frac"] == 0.75
    assert "No good reading" in client.get(day, {"day": "2020-01-01"}).content.decode()
    for query in ({"day": "soon"}, {"quantity": "mood"}):
        assert client.get(day, query).status_code == 400
    client.force_login(asked.site.memberships.get(role="viewer").user)
    assert client.post(kept, {"readings_days": "1", "rollups_days": ""}).status_code == 403
    assert "30 days" in client.get(kept).content.decode()


def test_the_command_compacts_holds_rules_and_refuses_an_unknown_site(asked, stored, capsys):
    call_command("compact_telemetry", asked.site.slug)
    assert f"{asked.site.slug}: 24 readings compacted" in capsys.readouterr().out
    call_command("compact_telemetry")
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(CommandError, match="there is no site nowhere"):
        call_command("compact_telemetry", "nowhere")
