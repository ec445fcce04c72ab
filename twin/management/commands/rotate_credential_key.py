"""Seal every stored credential with a new key; the key before opens them until the next rotation."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from twin import credentials


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            n = credentials.rotate()
        except (credentials.CannotOpen, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{n} credential{'' if n == 1 else 's'} sealed with the newest key.")
        if settings.TWIN_CREDENTIAL_KEYS:
            self.stdout.write("Of TWIN_CREDENTIAL_KEYS the others may go now; backups made before still need them.")
        else:
            self.stdout.write(f"It is in {credentials.key_file()}, with the one before; keep it apart from backups.")
