"""Measure the speed and memory figures that the project promises, on this machine."""

import json
import logging
import pkgutil
from dataclasses import asdict
from importlib import import_module
from inspect import signature

from django.core.management.base import BaseCommand, CommandError, CommandParser

import twin.benchmarks
from twin.benchmarks.measure import Benchmark

NOT_BENCHMARKS = {
    "measure",
    "big_layout",
    "planners",
    "generated_requests",
    "trial_plants",
    "services",
    "soak_run",
}

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="modules of twin/benchmarks (default: all)")
        parser.add_argument(
            "--quick", action="store_true", help="in under a minute, where a module can (default: of those that can)"
        )
        parser.add_argument("--seed", type=int, help="of what happens by chance, where a module takes one (kills)")
        parser.add_argument("--json", action="store_true", help="print a list of measurements instead of a table")

    def handle(self, *args, names: list[str], quick: bool, seed: int | None, json: bool, **_) -> None:
        known = {module.name for module in pkgutil.iter_modules(twin.benchmarks.__path__)} - NOT_BENCHMARKS
        if unknown := sorted(set(names) - known):
            raise CommandError(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        rows, broken = [], []
        for name in sorted(names or known):
            try:
                module = import_module(f"twin.benchmarks.{name}")
                if quick and not hasattr(module, "quick_benchmarks"):
                    if names:
                        raise CommandError(f"there is no quick form of the benchmark {name}; leave out --quick")
                    continue
                measure = module.quick_benchmarks if quick else module.benchmarks
                if seed is not None and "seed" not in signature(measure).parameters:
                    raise CommandError(f"the benchmark {name} takes no seed; leave out --seed")
                for measured in measure(**({} if seed is None else {"seed": seed})):
                    rows.append(asdict(measured) | {"status": measured.status})
                    if not json:
                        self._line(measured)
            except CommandError:
                raise
            except Exception as error:
                logger.exception("benchmark %s failed", name)
                broken.append(f"{name} failed with {type(error).__name__}: {error}")
        if json:
            self.stdout.write(spelled(rows))
        if broken:
            raise CommandError("; ".join(broken))

    def _line(self, measured: Benchmark) -> None:
        sign = ">=" if measured.higher_is_better else "<="
        bound = "" if measured.reach is None else f"{sign} {measured.reach:g}"
        peak_mb = measured.peak_bytes / 1e6
        self.stdout.write(
            f"{measured.status:9}{measured.name:42}{measured.value:>12.4g} {measured.unit:12}{bound:14}"
            f"{measured.cpu_s:8.2f} CPU s {peak_mb:7.0f} MB  {measured.size}  {measured.note}".rstrip()
        )
        self.stdout.flush()


def spelled(rows: list[dict]) -> str:
    """Return the rows as JSON, one a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
