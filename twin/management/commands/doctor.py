"""Examine this installation: name each fault and its remedy. Ends with 1 where there is one, 0 where all is well."""

import json as json_text

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.operations import doctor


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they are part of what is examined; an unreachable database must not end it

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read the whole database too; takes a while")
        parser.add_argument("--json", action="store_true", help="print a list of findings instead of a table")

    def handle(self, *args, deep: bool, json: bool, **options) -> None:
        found = doctor.examined(deep=deep)
        if json:
            rows = [{"name": c.name, "ok": c.ok, "detail": c.detail, "remedy": c.remedy} for c in found]
            self.stdout.write(json_text.dumps(rows, indent=1, ensure_ascii=False))
        else:
            for check in found:
                self.stdout.write(f"{'ok' if check.ok else 'FAULT':6}{check.name:14}{check.detail}")
                if not check.ok and check.remedy:
                    self.stdout.write(f"{'':20}{check.remedy}")
        if faults := [check.name for check in found if not check.ok]:
            raise CommandError(f"{len(faults)} fault{'s' * (len(faults) != 1)}: {', '.join(faults)}")
