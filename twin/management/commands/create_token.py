"""Make an API token for a user and print its secret, which cannot be read again."""

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from facility.models import ApiToken


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--name", default="command line", help="what uses it")
        parser.add_argument("--write", action="store_true", help="may change what the user may change")

    def handle(self, *args, user: str, name: str, write: bool, **options) -> None:
        owner = get_user_model().objects.filter(username=user).first()
        if owner is None:
            there = ", ".join(get_user_model().objects.values_list("username", flat=True)) or "nobody yet"
            raise CommandError(f"there is no user {user}; there are: {there}")
        _, secret = ApiToken.issue(user=owner, name=name, read_only=not write)
        self.stdout.write(secret)
