"""Move readings that wait into the days of their points, with rollups, and hold each site's rule on what is kept."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from facility.models import Site
from twin.telemetry import compaction


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sites", nargs="*", metavar="SITE", help="slugs (default: every site with something to do)")
        parser.add_argument("--json", action="store_true", help="print what was done as JSON")

    def handle(self, *args: Any, sites: list[str], **options: Any) -> None:
        found = list(Site.objects.filter(slug__in=sites)) if sites else compaction.sites_to_tend()
        if unknown := sorted(set(sites) - {site.slug for site in found}):
            raise CommandError(f"there is no site {', '.join(unknown)}")
        sites_tended = compaction.tend(found)
        if options["json"]:
            self.stdout.write(json.dumps(sites_tended, indent=1))
            return
        for row in sites_tended:
            self.stdout.write(
                f"{row['site']}: {row['compacted']:,} readings compacted; of {row['readings_dropped']:,} days of points"
                f" the readings dropped, of {row['days_dropped']:,} all"
            )
        if not sites_tended:
            self.stdout.write("nothing to do")
