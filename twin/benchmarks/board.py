"""What the drawing board waits for: the instant answer, the state and the failure ranking of 1,000 racks.

Each size runs in a process of its own with a database of its own: 12 classes of racks, and racks that all differ.
Answers are taken warm and after an edit each, so that nothing of the edited hall can come from memory.
"""

import io
import json
import time
from collections.abc import Callable, Iterator
from itertools import count

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from facility.models import Rack
from twin.benchmarks.big_layout import big_layout
from twin.benchmarks.measure import Benchmark, in_own_process, peak_bytes

PROGRAM = "import json; from twin.benchmarks import board; print(json.dumps(board.measure({n_classes})))"
N_RACKS = 1000
REACH_CLASSES_S, REACH_DIFFERENT_S = 0.100, 0.150
REPEATS = 5


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of both sizes."""
    for n_classes, name, reach_answer_s in (
        (12, "1,000 racks of 12 classes", REACH_CLASSES_S),
        (0, "1,000 racks that all differ", REACH_DIFFERENT_S),
    ):
        measured = in_own_process(PROGRAM.format(n_classes=n_classes))
        for what, reach_s in (("answer", reach_answer_s), ("state", None), ("rankings", None)):
            cpu_s = measured[what]
            yield Benchmark(
                f"{what} after an edit: {name}",
                measured["size"],
                cpu_s,
                "CPU s",
                reach_s,
                higher_is_better=False,
                cpu_s=cpu_s,
                peak_bytes=measured["peak_bytes"],
                note=measured["note"].get(what, ""),
            )


def measure(n_classes: int) -> dict:
    """Return CPU seconds and notes of each question; asked in a process of its own."""
    call_command("migrate", verbosity=0)
    call_command("load_catalogue", stdout=io.StringIO())
    layout, _ = big_layout(N_RACKS, n_classes=n_classes or None)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.create_superuser("benchmark"))

    def asked(name: str) -> dict:
        answer = client.get(reverse(name, args=[layout.pk]))
        if answer.status_code != 200:
            raise RuntimeError(f"{name} answered {answer.status_code}: {answer.content[:200]!r}")
        return json.loads(answer.content)

    edits = _edits(layout)
    measured, note = {}, {}
    for what, name, repeats in (
        ("answer", "api-layout-answer", REPEATS),
        ("state", "api-layout-state", REPEATS),
        ("rankings", "api-layout-rankings", 1),
    ):
        asked(name)
        measured[what], body = _least_cpu_s(lambda name=name: asked(name), edits, repeats)
        note[what] = ", ".join(f"{stage} {ms:.0f}" for stage, ms in body["ms"].items()) + " ms by the clock"
    kinds = f"{n_classes} classes" if n_classes else "all different"
    return measured | {"note": note, "size": f"{N_RACKS:,} racks, {kinds}", "peak_bytes": peak_bytes()}


def _edits(layout) -> Callable[[], None]:
    """Return what edits one rack of the layout, differently each time."""
    rack = Rack.objects.filter(hall__layout=layout).order_by("name").first()
    flows = (0.0015 + 1e-6 * i for i in count(1))

    def edit() -> None:
        Rack.objects.filter(pk=rack.pk).update(coolant_flow_m3_per_s=next(flows))

    return edit


def _least_cpu_s(work: Callable[[], dict], edit: Callable[[], None], repeats: int) -> tuple[float, dict]:
    """Return the least CPU time of some calls, each after an edit, and the answer of that one."""
    best, answer = float("inf"), {}
    for _ in range(repeats):
        edit()
        started_s = time.process_time()
        body = work()
        took_s = time.process_time() - started_s
        if took_s < best:
            best, answer = took_s, body
    return best, answer
