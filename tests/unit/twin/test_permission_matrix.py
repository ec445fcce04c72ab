"""Who may do what: every address of the resolver, every method, every role, against what is in the database.

A new address is in the matrix by itself. One that needs a name which the matrix cannot fill fails here, and so does one
that changes something and whose right nobody has written into `NEEDS`.
"""

import hashlib
import json
import zlib
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from facility.models import ApiToken, Membership, Organisation, Rack, RefusedSignIn
from facility.permissions import GRANTS, Right, Role
from tests.small_run import done_run, small_scenario
from twin.comparisons import sharing
from twin.models import (
    Comparison,
    Run,
    SourceState,
    Study,
    Sweep,
    TakenAdvice,
    TelemetryPoint,
    TelemetrySource,
    TelemetryUpload,
)
from twin.runs import snapshot

pytestmark = pytest.mark.django_db
UNSAFE = ("post", "put", "patch", "delete")
REFUSED = {401, 403, 404, 405, 410, 429}
LEFT_OUT = ("admin:", "api-root", "api-schema", "api-docs")  # the console: tests/unit/facility/test_admin.py


def routes(patterns=None, space: str = "", found: dict | None = None) -> dict[str, URLPattern]:
    """Return every named address of the resolver."""
    found = {} if found is None else found
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            routes(pattern.url_patterns, inner, found)
        elif pattern.name and not f"{space}{pattern.name}".startswith(LEFT_OUT):
            found[f"{space}{pattern.name}"] = pattern
    return found


ROUTES = routes()
STUDIES = ("api-telemetry-comparison", "api-calibration", "api-diagnosis", "api-advice", "api-gain")
#: What anybody who is signed in may send: it changes nothing, or only what is the sender's own.
OWN = {
    "logout",
    "guide-start",
    "guide-skip",
    "site-new",
    "api-site-list",
    "api-site-import",
    "api-serving",
    "api-serving-predict",
    "login",
    "account",
    "account-details",
    "account-preferences",
    "run-notices",
    "api-token-list",
    "password-change",
    "password-reset",
    "password-reset-confirm",
}
#: What is answered without sign-in: the way in, and whether the parts are there.
FOR_ANYBODY = {
    "login",
    "password-reset",
    "password-reset-confirm",
    "sso",
    "sso-callback",
    "health",
    "health-live",
    "health-ready",
}
#: The right on a site that a change by an address takes; where none stands here, that of planning.
NEEDS: dict[Right, set[str]] = {
    Right.RUN: {
        "run-create",
        "run-cancel",
        "run-retry",
        "run-tornado",
        "compare-tornado",
        "sweep-new",
        "sweep-cancel",
        "sweep-retry",
        "study-cancel",
        "study-retry",
        "api-run-list",
        "api-run-detail",
        "api-run-retry",
        "api-run-sensitivity",
        "api-sweep-list",
        "api-sweep-detail",
        "api-sweep-retry",
        *(name for name in ROUTES if name.startswith(STUDIES) and name.endswith(("-detail", "-retry"))),
    },
    Right.OPERATE: {
        "study-create",
        "advice-create",
        "advice-take",
        "taken-remove",
        "gain-create",
        "api-taken-advice-list",
        "api-taken-advice-detail",
        "readings-kept",
        *(
            name
            for name in ROUTES
            if name.startswith(("telemetry-", "api-telemetry-")) and not name.startswith(STUDIES)
        ),
        *(f"{name}-list" for name in STUDIES),
    },
    Right.BUY: {"own-products", "api-own-model", "api-own-accelerator"},
    Right.APPROVE: {"study-accept", "api-calibration-accept"},
    Right.MANAGE: {"site-members", "organisation-members", "member-change"}
    | {name for name in ROUTES if name.startswith(("api-membership", "api-organisation-detail"))},
}
#: What only administrators may, or what a planner may take back that somebody else has made.
ADMINISTRATORS = {"organisation-list", "api-organisation-list", "status", "metrics"}
#: Where machines to be called are named: administrators say so, unless the setting lets others.
CALLS_OUT = {name for name in ROUTES if "source" in name}
SAYS_WHY = {"comparison-share", "comparison-revoke"}


@pytest.fixture
def world():
    layout, scenario = small_scenario("secret-site")
    site = layout.site
    site.name = "Secret campus"
    site.save()
    runs = [done_run(layout, scenario) for _ in range(2)]
    inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    Run.objects.update(inputs=inputs)
    site.organisation = Organisation.objects.create(slug="secret-company", name="Secret company")
    site.save()
    users = {role: get_user_model().objects.create_user(role) for role in (*Role.values, "stranger")}
    for role in Role.values:  # some by the site, some by its organisation
        place = {"organisation": site.organisation} if role in (Role.OPERATOR, Role.OWNER) else {"site": site}
        membership = Membership.objects.create(user=users[role], role=role, **place)
    other = small_scenario("elsewhere")[0].site
    Membership.objects.create(site=other, user=users["stranger"], role="planner")
    kept = sharing.comparison_create(runs=runs, user=users["planner"])
    span = {"start_at": runs[0].created_at, "end_at": runs[0].created_at + timedelta(days=1)}
    study = Study.objects.create(
        layout=layout, scenario=scenario, created_by=users["planner"], kind=Study.Kind.CALIBRATION, **span
    )
    sweep = Sweep.objects.create(
        layout=layout, scenario=scenario, created_by=users["planner"], axes=[], figure="pue", inputs=inputs, n_points=0
    )
    advice = Study.objects.create(
        layout=layout, scenario=scenario, created_by=users["planner"], kind=Study.Kind.ADVICE, figure="tokens_per_joule"
    )
    mark = TakenAdvice.objects.create(study=advice, layout=layout, orders=[1], taken_at=span["start_at"])
    gain = Study.objects.create(layout=layout, scenario=scenario, kind=Study.Kind.GAIN, taken=mark, **span)
    upload = TelemetryUpload.objects.create(
        site=site,
        created_by=users["planner"],
        name="points.csv",
        content=zlib.compress(b"time,power\n2026-07-01T00:00:00Z,1\n"),
        reading={},
        mapping=[],
    )
    source = TelemetrySource.objects.create(site=site, name="Building", address="mqtts://broker.example.org")
    SourceState.objects.create(source=source)
    point = TelemetryPoint.objects.create(site=site, object="site", quantity="power_w", name="meter")
    token, _ = ApiToken.issue(user=users["planner"], name="of the planner")
    return {
        "site": site,
        "layout": layout,
        "scenario": scenario,
        "run": runs[0],
        "kept": kept,
        "study": study,
        "sweep": sweep,
        "advice": advice,
        "mark": mark,
        "gain": gain,
        "upload": upload,
        "source": source,
        "point": point,
        "token": token,
        "membership": membership,
        "users": users,
    }


def arguments(name: str, pattern: URLPattern, world: dict) -> dict:
    """Return what fills an address so that it names something of the secret site."""
    layout, rack = world["layout"], Rack.objects.filter(hall__layout=world["layout"]).first()
    by_pk = {
        "api-layout": layout.pk,
        "api-rack": rack.pk,
        "api-hall": layout.halls.first().pk,
        "api-scenario": world["scenario"].pk,
        "api-run": world["run"].pk,
        "api-comparison": world["kept"].pk,
        "rack-detail": rack.pk,
        "api-power-feed": layout.power_feeds.first().pk,
        "api-cdu": layout.cdus.first().pk,
        "api-cooling-plant": layout.cooling_plants.first().pk,
        "cdu-detail": layout.cdus.first().pk,
        "api-calibration": world["study"].pk,
        "api-sweep": world["sweep"].pk,
        "api-advice": world["advice"].pk,
        "api-taken-advice": world["mark"].pk,
        "api-gain": world["gain"].pk,
        "api-telemetry-source": world["source"].pk,
        "api-token": world["token"].pk,
        "token-revoke": world["token"].pk,
        "api-membership": world["membership"].pk,
        "member-change": world["membership"].pk,
    }
    known = {
        "site": world["site"].slug,
        "layout": layout.slug,
        "scenario": world["scenario"].slug,
        "run": world["run"].pk,
        "study": world["study"].pk,
        "mark": world["mark"].pk,
        "sweep": world["sweep"].pk,
        "upload": world["upload"].pk,
        "source": world["source"].pk,
        "point": world["point"].pk,
        "uidb64": "MQ",
        "token": world["kept"].token,
        "kind": "racks",
        "organisation": "secret-company",
        "slug": "secret-company" if name.startswith("api-organisation") else world["site"].slug,
        "name": "hours",
        "pk": next((pk for start, pk in by_pk.items() if name.startswith(start)), rack.pk),
    }
    names = pattern.pattern.converters
    regex_names = getattr(pattern.pattern, "regex", None)
    wanted = set(names) | (set(regex_names.groupindex) if regex_names else set())
    assert wanted - {"format"} <= set(known), f"{name}: say in this test what fills {wanted - set(known)}"
    return {argument: known[argument] for argument in wanted - {"format"}}


def addresses(world: dict) -> dict[str, str]:
    return {name: reverse(name, kwargs=arguments(name, pattern, world)) for name, pattern in ROUTES.items()}


def fingerprint() -> str:
    """Return a hash of everything that is described, asked and granted."""
    told = hashlib.sha256()
    for label in ("facility", "twin"):
        for model in apps.get_app_config(label).get_models():
            if model is RefusedSignIn:
                continue
            fields = [f.attname for f in model._meta.concrete_fields if f.attname not in ("last_used_at", "rows")]
            told.update(repr(list(model.objects.order_by("pk").values_list(*fields))).encode())
    return told.hexdigest()


def bodies(name: str, world: dict) -> list[dict]:
    """Return what is sent: nothing, and something that the address would take from who may."""
    layout = world["layout"]
    full = {"name": "Changed", "layout": layout.pk, "x_m": 3.0, "product": None}
    special = {
        "api-layout-list": {"site": world["site"].slug, "slug": "new", "name": "New"},
        "api-run-list": {"layout": layout.path, "scenario": "assistants"},
        "api-layout-edits": {"version": layout.version, "operations": [{"op": "delete", "kind": "rack", "id": 1}]},
        "run-create": {"scenario": "assistants"},
        "api-membership-list": {"user": "stranger", "role": "viewer", "site": world["site"].slug},
        "api-hall-list": {"layout": layout.pk, "name": "New", "width_m": 10, "depth_m": 10},
    }
    return [{}, special.get(name, full)]


def send(client: Client, method: str, address: str, body: dict, name: str):
    if name.startswith("api-") or method != "post":
        return getattr(client, method)(address, json.dumps(body), content_type="application/json")
    return client.post(address, {key: value for key, value in body.items() if value is not None})


def needed(name: str) -> Right:
    return next((right for right, names in NEEDS.items() if name in names), Right.PLAN)


def tried(name: str, address: str, world: dict, client: Client, allowed: set[int]) -> list[tuple[str, str, int]]:
    """Send an address every method and body, and return what was answered with another status than those allowed."""
    wrong = []
    for method in UNSAFE:
        for body in bodies(name, world):
            answer = send(client, method, address, body, name)
            to_login = answer.status_code == 302 and answer["Location"].startswith("/login/")
            if answer.status_code not in allowed | ({302} if to_login else set()):
                wrong.append((name, method, answer.status_code))
    return wrong


def refusals(name: str) -> set[int]:
    """Return what says no. A page that only reads answers a POST too; a form page says beside it what it refuses."""
    return REFUSED | ({400} if name.startswith("api-") else {200, 302} if name in SAYS_WHY else {200})


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "stranger", "read-only token", "expired token", *Role.values])
def test_nobody_changes_what_they_may_not(world, who, client):
    client.raise_request_exception = True
    headers = {}
    if "token" in who:
        _, secret = ApiToken.issue(user=world["users"]["owner"], name="t", read_only=who.startswith("read"))
        if who.startswith("expired"):
            ApiToken.objects.filter(name="t").update(expires_at=world["run"].created_at)
        headers = {"HTTP_AUTHORIZATION": f"Token {secret}"}
    elif who != "nobody":
        client.force_login(world["users"][who])
    client.defaults |= headers
    granted = GRANTS.get(who, frozenset())
    elsewhere = {Right.BUY} if who == "stranger" else set()  # who plans another site adds to the catalogue
    asked, before, wrong = addresses(world), fingerprint(), []
    for name, address in asked.items():
        if name not in OWN and needed(name) not in granted | elsewhere and not (granted and name in ADMINISTRATORS):
            wrong += tried(name, address, world, client, refusals(name))
    for name in ADMINISTRATORS:
        wrong += tried(name, asked[name], world, client, refusals(name))
    assert wrong == []
    assert fingerprint() == before


@pytest.mark.slow
@pytest.mark.parametrize("who", Role.values)
def test_everybody_may_what_their_role_grants(world, who, client):
    """Bad input, a wrong state, a missing precondition may stop them; never their rights."""
    client.force_login(world["users"][who])
    refused = []
    for name, address in addresses(world).items():
        if name in OWN | ADMINISTRATORS or needed(name) not in GRANTS[who] or needed(name) is Right.PLAN:
            continue
        with transaction.atomic():
            for method in ("post", "patch", "delete"):
                for body in bodies(name, world):
                    with transaction.atomic():
                        if send(client, method, address, body, name).status_code == 403:
                            refused.append((name, method))
                        transaction.set_rollback(True)
    assert [(name, method) for name, method in refused if name not in CALLS_OUT] == []


def test_every_address_that_a_right_is_written_for_is_there():
    assert not {name for names in NEEDS.values() for name in names} - set(ROUTES)
    assert set(GRANTS) == set(Role)


@pytest.mark.parametrize("who", Role.values)
def test_the_status_of_a_layout_is_for_those_who_may_decide(world, who, client):
    client.force_login(world["users"][who])
    layout = world["layout"]
    answer = client.patch(
        reverse("api-layout-detail", args=[layout.pk]),
        json.dumps({"status": "approved"}),
        content_type="application/json",
    )
    layout.refresh_from_db()
    may = Right.APPROVE in GRANTS[who]
    assert (answer.status_code, layout.status) == ((200, "approved") if may else (403, "proposed"))
    made = {"site": layout.site.slug, "slug": "b", "name": "B", "status": "as_built"}
    answer = client.post(reverse("api-layout-list"), json.dumps(made), content_type="application/json")
    assert answer.status_code == (201 if may else 403)


TOKENS = ("read-only token", "expired token")  # count only under /api/


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_nobody_reads_of_a_site_that_they_may_not_see(world, who, client):
    if who == "stranger":
        client.force_login(world["users"][who])
    told = []
    for name, address in addresses(world).items():
        answer = client.get(address)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if (
            b"Secret campus" in content
            or b"Secret company" in content
            or (b"secret-site" in content and answer.status_code == 200)
        ):
            told.append((name, answer.status_code))
        if who == "nobody" and answer.status_code not in {301, 302, 401, 403, 405}:
            assert name in FOR_ANYBODY, (name, answer.status_code)
    assert told == []


def test_what_a_signed_in_user_may_send_anywhere_leaves_other_sites_alone(catalogue, world, client):
    """The guided start found its site by its name: whoever took the name first gave away their layouts."""
    stranger, planner = world["users"]["stranger"], world["users"]["planner"]
    world["site"].slug = f"guided-start-{stranger.pk}"
    world["site"].save()
    client.force_login(stranger)
    assert client.post(reverse("guide-start")).status_code == 302
    assert client.post(reverse("guide-start")).status_code == 302
    mine = stranger.guided_start.site
    assert mine != world["site"]
    assert world["site"].layouts.count() == 1
    assert Comparison.objects.count() == 1
    refused = client.post(
        reverse("api-site-import") + "?replace=true",
        f"format: ai-factory-site/1\nsite: {{slug: {world['site'].slug}}}\nlayouts: []\n",
        content_type="application/yaml",
    )
    assert refused.status_code in (403, 404)
    assert world["site"].layouts.count() == 1
    client.force_login(planner)
    assert client.get(reverse("site-detail", args=[mine.slug])).status_code == 404


def test_who_may_change_a_site_can(world, client):
    client.force_login(world["users"]["planner"])
    rack = Rack.objects.filter(hall__layout=world["layout"]).first()
    answer = client.patch(
        reverse("api-rack-detail", args=[rack.pk]), json.dumps({"row": "Z"}), content_type="application/json"
    )
    assert (answer.status_code, answer.json()["row"]) == (200, "Z")
