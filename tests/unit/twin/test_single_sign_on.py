"""Sign-in by an identity provider: real signed tokens, and every way in which they can be wrong."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.urls import reverse

from facility.models import AuditEvent, Membership, Organisation
from tests.small_run import small_scenario
from twin import outgoing
from twin.models import ExternalIdentity
from twin.single_sign_on import mapping_of

pytestmark = pytest.mark.django_db
ISSUER, CLIENT = "https://login.example.org", "twin"
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
SUBJECT = {"sub": "u-1", "preferred_username": "olga", "email": "olga@example.org", "given_name": "Olga"}


class Provider:
    """An identity provider behind the door of outgoing calls."""

    def __init__(self) -> None:
        self.claims, self.about, self.key, self.algorithm, self.kid = dict(SUBJECT), dict(SUBJECT), KEY, "RS256", "k1"
        self.keys, self.document, self.asked, self.down = ["k1"], {}, [], False

    def call(self, method: str, url: str, *, body: bytes | None = None, headers=None, **_) -> outgoing.Answer:
        self.asked.append((method, url, body))
        if self.down:
            raise outgoing.CallRefused("login.example.org cannot be called: timed out.")
        path = urlsplit(url).path
        answers = {
            "/.well-known/openid-configuration": self.discovery,
            "/keys": self.key_set,
            "/token": lambda: {"id_token": self.token(), "access_token": "a"},
            "/userinfo": lambda: self.about,
        }
        return outgoing.Answer(200, {}, json.dumps(answers[path]()).encode())

    def discovery(self) -> dict:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {name: f"{ISSUER}/{path}" for name, path in names.items()}
        return found | {"issuer": ISSUER, "userinfo_endpoint": f"{ISSUER}/userinfo"} | self.document

    def key_set(self) -> dict:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [public | {"kid": kid} for kid in self.keys]}

    def token(self) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": self.nonce} | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.key if self.algorithm != "none" else None
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": self.kid})

    def sign_in(self, client, **changed) -> tuple[int, str, str]:
        """Go the whole way and return the last answer: status, address, page."""
        begun = client.get(reverse("sso"), {"next": "/runs/"})
        if not begun["Location"].startswith(ISSUER):
            return begun.status_code, begun["Location"], client.get(begun["Location"]).content.decode()
        asked = {name: value[0] for name, value in parse_qs(urlsplit(begun["Location"]).query).items()}
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT, "S256")
        self.nonce = asked["nonce"]
        answer = client.get(reverse("sso-callback"), {"code": "c", "state": asked["state"]} | changed)
        page = client.get(answer["Location"]).content.decode() if answer.status_code == 302 else ""
        return answer.status_code, answer["Location"], page


@pytest.fixture
def provider(settings, monkeypatch) -> Provider:
    settings.TWIN_OIDC_ISSUER, settings.TWIN_OIDC_CLIENT_ID, settings.TWIN_OIDC_CLIENT_SECRET = ISSUER, CLIENT, "secret"
    found = Provider()
    monkeypatch.setattr(outgoing, "call", found.call)
    cache.clear()
    return found


def test_a_first_sign_in_makes_a_user_and_the_next_one_finds_them(provider, client):
    assert provider.sign_in(client)[:2] == (302, "/runs/")
    user = get_user_model().objects.get(username="olga")
    assert (user.email, user.first_name, user.has_usable_password()) == ("olga@example.org", "Olga", False)
    assert not user.is_superuser
    (asked,) = (body for method, _, body in provider.asked if method == "POST")
    assert b"code_verifier=" in asked
    provider.claims["preferred_username"] = provider.about["preferred_username"] = "olga.married"
    client.logout()
    assert provider.sign_in(client)[1] == "/runs/"
    assert get_user_model().objects.count() == 1
    assert int(client.session["_auth_user_id"]) == user.pk
    assert AuditEvent.objects.filter(kind="user", action="created", username="olga", detail="single sign-on").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "another"}, "not valid"),
        ({"iss": "https://evil.example.org"}, "not valid"),
        ({"exp": int(time.time()) - 3600}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"iat": None}, "not valid"),
        ({"nonce": "of another sign-in"}, "answers another sign-in"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "another program"),
    ],
)
def test_a_token_with_a_wrong_claim_signs_nobody_in(provider, client, changed, said):
    provider.claims |= changed
    _, address, page = provider.sign_in(client)
    assert address == reverse("login")
    assert said in page
    assert not get_user_model().objects.exists()


def test_a_token_that_another_key_or_no_key_signed_signs_nobody_in(provider, client):
    provider.key = OTHER
    assert "not valid" in provider.sign_in(client)[2]
    provider.key, provider.algorithm = "s" * 32, "HS256"
    assert "signs by HS256" in provider.sign_in(client)[2]
    provider.algorithm = "none"
    assert "signs by none" in provider.sign_in(client)[2]
    provider.key, provider.algorithm, provider.kid = KEY, "RS256", "k9"
    assert "names a key" in provider.sign_in(client)[2]
    assert not get_user_model().objects.exists()


def test_a_new_key_of_the_provider_is_found(provider, client):
    provider.sign_in(client)
    client.logout()
    provider.keys, provider.kid = ["k2"], "k2"
    assert provider.sign_in(client)[1] == "/runs/"


def test_a_sign_in_that_was_not_begun_here_is_refused(provider, client):
    assert provider.sign_in(client, state="of somebody else")[1] == reverse("login")
    answer = client.get(reverse("sso-callback"), {"error": "access_denied"})
    assert answer["Location"] == reverse("login")
    assert not get_user_model().objects.exists()


def test_a_name_that_is_taken_is_not_taken_over(provider, client):
    here = get_user_model().objects.create_superuser("olga", email="olga@example.org")
    assert "There is a user olga already" in provider.sign_in(client)[2]
    ExternalIdentity.objects.create(user=here, issuer=ISSUER, subject="u-1")
    assert provider.sign_in(client)[1] == "/runs/"
    here.refresh_from_db()
    here.is_active = False
    here.save()
    client.logout()
    assert "may no longer sign in" in provider.sign_in(client)[2]


@pytest.mark.parametrize("name", ["Olga", "ｏlga", "оlga", "ОLGA"])  # the last two begin in Cyrillic
def test_a_name_that_looks_like_a_users_signs_nobody_in(provider, client, name):
    get_user_model().objects.create_superuser("olga")
    provider.claims["preferred_username"] = provider.about["preferred_username"] = name
    _, address, page = provider.sign_in(client)
    assert address == reverse("login")
    assert "looks like olga" in page or "mixes letters of Cyrillic and Latin" in page
    assert get_user_model().objects.count() == 1


def test_the_provider_speaks_of_whom_it_signed(provider, client):
    provider.about["sub"] = "u-2"
    assert "somebody else" in provider.sign_in(client)[2]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"issuer": "https://evil.example.org"}, "calls itself https://evil.example.org"),
        ({"token_endpoint": "http://login.example.org/token"}, "token_endpoint is no https"),
        ({"jwks_uri": None}, "jwks_uri is no https"),
    ],
)
def test_a_provider_that_is_not_what_it_should_be_is_not_asked(provider, client, document, said):
    provider.document = document
    assert said in provider.sign_in(client)[2]


def test_a_provider_that_is_away_is_said_and_passwords_go_on(provider, client):
    get_user_model().objects.create_user("paul", password="word-1-2-3")
    provider.down = True
    assert "cannot be asked" in provider.sign_in(client)[2]
    odd = reverse("login") + "?code=c&state=s"
    assert client.post(odd, {"username": "paul", "password": "wrong"}).status_code == 200
    assert client.post(odd, {"username": "paul", "password": "word-1-2-3"}).status_code == 302


def test_groups_grant_roles_and_take_them_back(provider, client, settings):
    site = small_scenario()[0].site
    north = Organisation.objects.create(slug="north", name="North")
    settings.TWIN_OIDC_GROUPS = (
        f"ai=viewer@site:{site.slug}, planners=engineer@site:{site.slug}, north=owner@organisation:north,"
        " bosses=administrator, gone=viewer@site:nowhere"
    )
    provider.claims["groups"] = ["ai", "planners", "bosses", "gone"]
    provider.sign_in(client)
    user = get_user_model().objects.get()
    assert (user.is_superuser, Membership.objects.get().role) == (True, "engineer")
    provider.claims["groups"] = ["north", "ai"]
    provider.sign_in(client)
    user.refresh_from_db()
    assert not user.is_superuser
    assert {(m.place, m.role) for m in Membership.objects.all()} == {(site, "viewer"), (north, "owner")}
    other = small_scenario("elsewhere")[0].site
    Membership.objects.create(user=user, site=other, role="planner")  # by hand: no group is written for it
    provider.claims["groups"] = []
    Membership.objects.create(user=get_user_model().objects.create_user("paul"), organisation=north, role="owner")
    provider.sign_in(client)
    assert [(m.place, m.role) for m in user.memberships.all()] == [(other, "planner")]


@pytest.mark.parametrize("left", ["", "guests"])
def test_groups_leave_a_place_its_last_owner(provider, client, settings, caplog, left):
    north = Organisation.objects.create(slug="north", name="North")
    settings.TWIN_OIDC_GROUPS = "chiefs=owner@organisation:north, guests=viewer@organisation:north"
    provider.claims["groups"] = ["chiefs"]
    provider.sign_in(client)
    provider.claims["groups"] = [left]
    assert provider.sign_in(client)[1] == "/runs/"
    assert Membership.objects.get(organisation=north).role == "owner"
    assert "olga stays owner of the organisation north" in caplog.text
    paul = get_user_model().objects.create_user("paul")
    Membership.objects.create(organisation=north, user=paul, role="owner")
    provider.sign_in(client)
    assert [m.role for m in Membership.objects.filter(user__username="olga")] == (["viewer"] if left else [])


@pytest.mark.parametrize("text", ["ai", "ai=king@site:a", "ai=viewer", "ai=viewer@site:", "=viewer@site:a"])
def test_a_table_of_groups_that_cannot_be_read_is_named(text):
    with pytest.raises(ValueError, match="must be GROUP="):
        mapping_of(text)


def test_without_a_provider_there_is_no_such_page(client):
    assert client.get(reverse("sso")).status_code == 404
    assert client.get(reverse("sso-callback")).status_code == 404
    assert "Sign in with" not in client.get(reverse("login")).content.decode()
