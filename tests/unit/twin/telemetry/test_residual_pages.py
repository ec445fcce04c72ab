"""A point's page and the drawings coloured by residual, of a comparison that is laid down by hand."""

import datetime as dt
import json
import re
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from facility.models import Membership
from tests.small_run import small_scenario
from twin.core.telemetry.coverage import CANNOT, CLOSES, OPEN
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import Study, TelemetryPoint
from twin.telemetry import store, study_points

HOURS = 48
START = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
AT_S = START.timestamp() + 3600.0 * np.arange(HOURS) + 1800
HOT_K = 2.0


@pytest.fixture
def compared(db) -> SimpleNamespace:
    """Two days of a CDU whose return reads 2 K high on the second, of a meter, and of a point of nothing described."""
    layout, scenario = small_scenario()
    cdu = f"cdu/{layout.cdus.first().name}"
    keys = [(cdu, "secondary_return_degc"), ("site", "power_w"), ("cdu/gone", "power_w"), ("weather", "dry_bulb_degc")]
    measured = {key: np.full(HOURS, 45.0) for key in keys}
    predicted = {key: np.full(HOURS, 45.0) for key in keys}
    measured[keys[0]][24:] += HOT_K
    measured[keys[0]][5] = np.nan
    study = Study.objects.create(
        kind=Study.Kind.COMPARISON,
        layout=layout,
        scenario=scenario,
        start_at=START,
        end_at=START + dt.timedelta(hours=HOURS),
        status=Study.Status.DONE,
        finished_at=timezone.now(),
        result={
            "points": [
                {
                    "object": name,
                    "quantity": quantity,
                    "n": HOURS,
                    "input": name == "weather",
                    "covered_frac": 1.0,
                    "rmse_k": 1.4,
                }
                for name, quantity in keys
            ],
            "figures": {},
            "coverage": [
                coverage_row("closing", CLOSES),
                coverage_row("leaking", OPEN),
                coverage_row("half measured", CANNOT, missing=["rack/H/B|power_w"], n_missing=1),
            ],
            "load_from": "described",
            "weather_from": "described",
            "step_s": 3600.0,
            "intervals": HOURS,
            "not_predicted": [],
        },
    )
    study_points.keep(study, SimpleNamespace(at_s=AT_S, measured=measured, predicted=predicted))
    for name, quantity in keys:
        good = np.isfinite(measured[name, quantity])
        columns = (
            np.round(AT_S[good] * 1e3).astype(np.int64),
            measured[name, quantity][good],
            np.ones(good.sum(), np.uint8),
        )
        store.append(layout.site, Readings({MappedPoint(f"{name}|{quantity}", name, quantity): columns}))
    user = get_user_model().objects.create_user("viewer")
    Membership.objects.create(site=layout.site, user=user, role=Membership.Role.VIEWER)
    client = Client()
    client.force_login(user)
    point = TelemetryPoint.objects.get(object=cdu, quantity="secondary_return_degc")
    return SimpleNamespace(study=study, layout=layout, cdu=cdu, client=client, point=point, site=layout.site)


def coverage_row(name: str, state: str, **more) -> dict:
    row = {"sum_of": name, "meter": "site|power_w", "ratio": 0.9, "predicted_ratio": 0.9, "tolerance_frac": 0.014}
    return row | {"state": state, "missing": [], "n_missing": 0} | more


def page(compared, **query):
    return compared.client.get(reverse("measured-point", args=[compared.site.slug, compared.point.id], query=query))


def embedded(html: str, name: str) -> dict:
    return json.loads(re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html).group(1))


def test_a_points_page_shows_readings_beside_their_prediction_and_leaves_gaps(compared):
    answer = page(compared)
    assert answer.status_code == 200
    chart = embedded(answer.content.decode(), "point-chart")
    traces = {trace["name"]: trace for trace in chart["data"]}
    assert len(traces["measured"]["y"]) == HOURS
    assert traces["measured"]["y"][5] is None
    assert traces["predicted"]["y"][12] == 45.0
    assert traces["residual"]["y"][30] == pytest.approx(HOT_K)
    assert answer.context["facts"]["inside_frac"] == pytest.approx(23 / 47)
    assert answer.context["rows"][30]["residual"] == pytest.approx(HOT_K)
    alone = page(compared, study="", step="86400")
    assert alone.context["rows"][1]["mean"] == pytest.approx(45 + HOT_K)
    assert "residual" not in {trace["name"] for trace in embedded(alone.content.decode(), "point-chart")["data"]}


def test_an_odd_span_is_refused_beside_the_form(compared):
    for query, said in (
        ({"start": "2026-07-02T00:00", "end": "2026-07-01T00:00"}, "must come after the start"),
        ({"start": "1850-07-02T00:00"}, "from 1990 to 2100"),
        ({"start": "soon"}, "valid date"),
        ({"step": "7"}, "not one of the available choices"),
        ({"study": "x"}, "not one of the available choices"),
        ({"start": "2000-01-01T00:00", "step": "60"}, "at most 10,000"),
    ):
        answer = page(compared, **query)
        assert (answer.status_code, said in answer.content.decode()) == (400, True), query
    empty = page(compared, start="2025-01-01T00:00", end="2025-01-02T00:00")
    assert "No reading in this span" in empty.content.decode()


def test_strangers_find_neither_page(compared):
    compared.client.force_login(get_user_model().objects.create_user("stranger"))
    assert page(compared).status_code == 404
    assert compared.client.get(reverse("study-residuals", args=[compared.study.id])).status_code == 404


@pytest.mark.parametrize("view", ["plan", "one-line", "loop"])
def test_a_drawing_is_coloured_by_residual_part_by_part(compared, view):
    answer = compared.client.get(reverse("study-residuals", args=[compared.study.id], query={"view": view}))
    assert answer.status_code == 200
    html = answer.content.decode()
    frames = embedded(html, "residual-frames")
    assert len(frames["labels"]) == HOURS + 1
    assert frames["labels"][1].startswith("01 Jul 2026")
    if view != "one-line":  # which has no CDU
        codes = next(spelled for key, spelled in frames["codes"].items() if set(spelled) & set("gh"))
        # 2 K are 6.7 bands of 0.3 K; over the whole span their root mean square is 4.7
        assert (codes[0], codes[1], codes[6], codes[-1]) == ("h", "e", ".", "h")
        assert 'class="lv-h"' in html or " lv-h" in html
    assert frames["worst"][-1][0][:3] == [
        f"{compared.cdu} secondary_return_degc",
        "+2.00\N{NARROW NO-BREAK SPACE}K",
        "+6.7",
    ]
    assert frames["worst"][-1][0][3].startswith(reverse("measured-point", args=[compared.site.slug, compared.point.id]))
    assert "weather dry_bulb_degc" not in html  # it drove the layout


def test_one_quantity_can_be_asked_and_an_odd_question_is_refused(compared):
    address = reverse("study-residuals", args=[compared.study.id])
    watts = compared.client.get(address, {"quantity": "power_w"})
    assert {row["object"] for row in watts.context["components"]} == {"site", "cdu/gone"}
    for query in ({"view": "3d"}, {"quantity": "mood"}):
        assert compared.client.get(address, query).status_code == 400
    compared.study.points.all().delete()
    assert "No values are stored to colour by" in compared.client.get(address).content.decode()
    Study.objects.update(kind=Study.Kind.DIAGNOSIS)
    assert compared.client.get(address).status_code == 404


def test_a_comparison_says_which_balance_closes_and_leads_to_its_points(compared):
    html = compared.client.get(reverse("study-detail", args=[compared.study.id])).content.decode()
    assert "1 not closing, 1 not to be judged, 1 closing" in html
    assert html.index("leaking") < html.index("half measured") < html.index(">closing<")
    assert "1 not measured, rack/H/B|power_w" in " ".join(html.split())
    assert reverse("measured-point", args=[compared.site.slug, compared.point.id]) in html
    home = compared.client.get(reverse("site-telemetry", args=[compared.site.slug])).content.decode()
    assert reverse("measured-point", args=[compared.site.slug, compared.point.id]) in home


def test_long_comparisons_are_kept_in_blocks(compared, monkeypatch):
    monkeypatch.setattr(study_points, "MOST_KEPT", 30)
    key = ("site", "power_w")
    kept = SimpleNamespace(at_s=AT_S, measured={key: np.arange(48.0)}, predicted={key: np.ones(48)})
    study_points.keep(compared.study, kept)
    beside = study_points.kept_point(compared.study, *key)
    assert beside.measured[:2].tolist() == [0.5, 2.5]
    assert beside.times_ms[0] == pytest.approx(np.mean(AT_S[:2]) * 1e3)
    assert compared.study.points.count() == 1


def test_a_comparison_is_reported_beside_an_earlier_one(compared):
    earlier = Study.objects.get()
    earlier.pk, earlier.start_at = uuid4(), START - dt.timedelta(days=90)
    for row in earlier.result["points"]:
        row["mean_error_k"] = 0.0
    earlier.save(force_insert=True)
    for row in compared.study.result["points"]:
        row["mean_error_k"] = 1.0
    compared.study.save()
    shown = compared.client.get(reverse("study-report", args=[compared.study.id])).content.decode()
    assert "the bias of 3 moved by more than our own limit" in shown
    first = compared.client.get(reverse("study-report", args=[earlier.pk])).content.decode()
    assert "There is no earlier comparison" in first
    for name, magic in (("pdf", b"%PDF"), ("xlsx", b"PK")):
        answer = compared.client.get(reverse(f"study-report-{name}", args=[compared.study.id]))
        assert (answer.status_code, answer.content[: len(magic)]) == (200, magic)
        assert f".{name}" in answer["Content-Disposition"]
    address = reverse("study-report", args=[compared.study.id])
    assert compared.client.get(address, {"since": str(earlier.pk)}).status_code == 200
    for odd in ("soon", str(uuid4())):
        assert compared.client.get(address, {"since": odd}).status_code == 404
    Study.objects.filter(pk=earlier.pk).update(kind=Study.Kind.DIAGNOSIS)
    assert compared.client.get(address, {"since": str(earlier.pk)}).status_code == 404
    compared.client.force_login(get_user_model().objects.create_user("stranger"))
    assert compared.client.get(address).status_code == 404
