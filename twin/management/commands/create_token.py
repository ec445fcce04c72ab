"""Make an API token for a user and print its secret, which cannot be read again."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from facility.models import ApiToken, Site


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--name", default="command line", help="what uses it")
        parser.add_argument("--write", action="store_true", help="may change what the user may change")
        parser.add_argument("--site", action="append", default=[], help="counts for this site only; may be repeated")
        parser.add_argument("--days", type=int, default=ApiToken.LIFE.days, help="valid for so long (default 90)")

    def handle(self, *args, user: str, name: str, write: bool, site: list[str], days: int, **options) -> None:
        if not 1 <= days <= 3650:
            raise CommandError(f"--days is {days}; must be from 1 to 3650")
        sites = list(Site.objects.filter(slug__in=site))
        if unknown := sorted(set(site) - {known.slug for known in sites}):
            raise CommandError(f"there is no site {unknown[0]}")
        owner = get_user_model().objects.filter(username=user).first()
        if owner is None:
            there = ", ".join(get_user_model().objects.values_list("username", flat=True)) or "nobody yet"
            raise CommandError(f"there is no user {user}; there are: {there}")
        expires_at = timezone.now() + timedelta(days=days)
        token, secret = ApiToken.issue(user=owner, name=name, read_only=not write, expires_at=expires_at)
        token.sites.set(sites)
        self.stdout.write(secret)
