"""No user can be called so that they are taken for somebody else, whichever door makes them."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse

from facility.user_names import check_user_name, likeness

pytestmark = pytest.mark.django_db
#: Names that can be taken for `root` or `anna`.
ALIKE = ["Root", "ROOT", "ｒoot", "ｒｏｏｔ", "ʀᴏᴏᴛ", "ᵣₒₒₜ", "𝗿𝗼𝗼𝘁", "аnnа", "ANNА", "ΑΝΝΑ", "ɑnnɑ"]
NOT_ALIKE = [
    "roots",
    "r00t",
    "root2",
    "róot",
    "анна",
    "李娜",
    "山田たろう",
    "李wei",
    "Ωμέγα",
    "straße",
    "владимир@host.com",
    "o'brien",
]


@pytest.fixture
def people():
    for name in ("root", "anna"):
        get_user_model().objects.create_user(name)


@pytest.mark.parametrize("name", ALIKE)
def test_a_name_that_looks_like_anothers_is_refused_at_every_door(people, client, admin_client, name):
    with pytest.raises(ValidationError, match=r"looks like (root|anna), who is a user|mixes letters of"):
        check_user_name(name)
    with pytest.raises(CommandError, match=r"looks like|mixes letters"):
        call_command("createsuperuser", "--noinput", username=name, email="a@example.org")
    words = {"usable_password": "true", "password1": "long-word-17", "password2": "long-word-17"}
    page = admin_client.post(reverse("admin:auth_user_add"), {"username": name} | words)
    assert page.status_code == 200
    assert not get_user_model().objects.filter(username=name).exists()


@pytest.mark.parametrize("name", NOT_ALIKE)
def test_other_names_of_any_script_are_taken(people, name):
    check_user_name(name)


def test_what_cannot_be_seen_and_mixed_scripts_are_named(people):
    with pytest.raises(ValidationError, match=r"holds U\+3164, which cannot be seen"):
        check_user_name("root\u3164")
    with pytest.raises(ValidationError, match="mixes letters of Cyrillic and Latin"):
        check_user_name("petеr")  # its second e is Cyrillic
    assert likeness("сор") == likeness("cop")  # whole words of another script too


def test_two_who_were_alike_before_can_still_be_changed(people, admin_client):
    user = get_user_model().objects.create_user("Root")  # as an older release let them
    page = reverse("admin:auth_user_change", args=[user.pk])
    form = admin_client.get(page).context["adminform"].form
    told = {name: value for name, value in form.initial.items() if value not in (None, "", [])}
    told |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    told.pop("is_active")
    assert admin_client.post(page, told).status_code == 302
    user.refresh_from_db()
    assert not user.is_active
