"""What this product requires of Django's own users and groups: names that cannot be mistaken, changes logged."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from facility.models import audited
from facility.user_names import check_user_name


def watch() -> None:
    """Hold new names to the rule, and write down what changes; once, when the models are there."""
    # Where every door looks; not among the arguments of the field, which are Django's.
    get_user_model()._meta.get_field("username").validators.append(check_user_name)
    audited.watch(get_user_model(), without=("last_login",), secret=("password",))
    audited.watch(Group)
    audited.watch_links()
