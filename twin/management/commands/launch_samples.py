"""Write every kind of launch setting that is handed out, for an engine's own parser to read (see CONTRIBUTING.md)."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from compute.accelerators import WEIGHT_PRECISIONS
from facility.catalogue import entries
from twin.core.serving.launch_samples import sample_questions, samples


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="JSON is written to")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        found = list(samples(sample_questions(entries("models").values(), WEIGHT_PRECISIONS)))
        file.write_text(json.dumps(found))
        self.stdout.write(f"{len(found)} settings written to {file}")
