"""Pages in a browser: weight on the wire, time until they answer, how far they jump and what axe-core finds, by width.

Weight is what a page loads before anything is scrolled into view, as it was sent; the chart library counts only where
no chart is in view. A page answers once its document is read and no script holds it up any more. Needs Chromium and the
tools of `requirements-dev.lock`; `--quick` solves one year in place of two and leaves the comparison out.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from twin.benchmarks.measure import REPOSITORY, Benchmark, in_own_process, own_environment, peak_bytes
from twin.benchmarks.planners import Planner, await_pages, free_port

SIZES = {1440: 900, 390: 844}  # CSS pixels: width and height of the window
MOST_BYTES, MOST_SHIFT, MOST_S = 400_000, 0.1, 1.5  # 0.1 is what Web Vitals calls good
CHART_LIBRARY = "plotly"
GRAVE = ("serious", "critical")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WATCH = """window.seen = {shift: 0, busy_until: 0};
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) seen.shift += one.value;
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) seen.busy_until = Math.max(seen.busy_until, one.startTime + one.duration);
}).observe({type: "longtask", buffered: true});"""
ANSWERS_S = """() => {
  const [load] = performance.getEntriesByType("navigation");
  return Math.max(load.domContentLoadedEventEnd, seen.busy_until) / 1e3;
}"""
CHART_IN_VIEW = """() => [...document.querySelectorAll("[data-chart], [data-canvas]")].some((chart) => {
  const box = chart.getBoundingClientRect();
  return box.height > 0 && box.top < innerHeight && box.bottom > 0;
})"""
PREPARE = """
import io, json, sys
from importlib import import_module
from django.core.management import call_command
for command in ("migrate", "load_catalogue", "load_samples"):
    call_command(command, verbosity=0, stdout=io.StringIO())
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.urls import reverse
from facility.models import Layout
from twin.runs import execution
names = ("gb200-nvl72", "gb300-nvl72")[:{n_runs}]
layouts = [Layout.objects.select_related("site").get(site__slug="sterling", slug=name) for name in names]
runs = [execution.run_now(layout=layout, scenario=layout.site.scenarios.first()) for layout in layouts]
assert all(run.status == "done" for run in runs), [run.message for run in runs]
user = get_user_model().objects.create_superuser("planner", password=None)
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
here = ["sterling", names[0]]
pages = dict(
    sites=reverse("site-list"), site=reverse("site-detail", args=here[:1]), plan=reverse("layout-detail", args=here),
    draw=reverse("layout-draw", args=here), one_line=reverse("layout-one-line", args=here),
    loop=reverse("layout-loop", args=here), drill=reverse("layout-drill", args=here),
    three_d=reverse("layout-3d", args=here), racks=reverse("part-list", args=[*here, "racks"]),
    findings=reverse("layout-findings", args=here), bill=reverse("bill-of-materials", args=here),
    run=reverse("run-detail", args=[runs[0].id]), report=reverse("run-report", args=[runs[0].id]),
    serving=reverse("serving"), claims=reverse("serving-claims"), catalogue=reverse("catalogue"),
    validation=reverse("validation"), glossary=reverse("glossary"),
)
if len(runs) > 1:
    pages["compare"] = reverse("compare") + "?runs=" + ",".join(str(run.id) for run in runs)
sys.stdout.write(json.dumps([session.session_key, settings.SESSION_COOKIE_NAME, pages]))
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one page did at one width."""

    sent_bytes: int  # before a chart comes into view
    answers_s: float
    shift: float
    grave: tuple[str, ...]  # findings of axe-core, serious or worse


def benchmarks() -> Iterator[Benchmark]:
    """Yield weight, time, shift and findings of every kind of page at both widths."""
    yield from rows(2)


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield the same of all but the comparison."""
    yield from rows(1)


def rows(n_runs: int) -> Iterator[Benchmark]:
    """Yield the worst page of each figure at each width; the note has all of them."""
    began_s = time.process_time()
    seen = measure(n_runs)
    for width in SIZES:
        pages = {name: at[width] for name, at in seen.items()}
        figures = {
            "weight before a chart is in view": (
                "kB",
                MOST_BYTES / 1e3,
                {n: one.sent_bytes / 1e3 for n, one in pages.items()},
            ),
            "time until it answers": ("s", MOST_S, {n: one.answers_s for n, one in pages.items()}),
            "layout shift": ("", MOST_SHIFT, {n: one.shift for n, one in pages.items()}),
            "grave findings of axe-core": ("", 0.0, {n: float(len(one.grave)) for n, one in pages.items()}),
        }
        for name, (unit, reach, values) in figures.items():
            each = ", ".join(f"{page} {value:.3g}" for page, value in values.items())
            size = f"worst of {len(values)} pages, {width} px"
            cpu_s = time.process_time() - began_s
            yield Benchmark(f"pages: {name}", size, max(values.values()), unit, reach, False, cpu_s, peak_bytes(), each)


def measure(n_runs: int) -> dict[str, dict[int, Seen]]:
    """Return what each page does at each width, on an installation that is started for it.

    Raises
    ------
    RuntimeError
        If there is no browser, or the installation does not come up.
    """
    if (browser := next(filter(None, map(shutil.which, BROWSERS)), None)) is None:
        raise RuntimeError(f"pages are measured in a browser: install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as home:
        session, cookie, addresses = in_own_process(PREPARE.format(n_runs=n_runs), home)
        port = free_port()
        serve = _serving(home, port)
        try:
            await_pages(port, Planner(session, "", "", [], 0, []), addresses.values(), serve)
            origin = f"http://127.0.0.1:{port}"
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
                found = {}
                for width, height in SIZES.items():
                    context = chromium.new_context(viewport={"width": width, "height": height})
                    context.add_cookies([{"name": cookie, "value": session, "url": origin}])
                    for name, address in addresses.items():
                        found.setdefault(name, {})[width] = seen_of(context.new_page(), origin + address)
                chromium.close()
        finally:
            serve.send_signal(signal.SIGINT)
            serve.wait()
    return found


def seen_of(page: Any, address: str, *, with_axe: bool = True) -> Seen:
    """Return what a page does that is opened in an empty tab, which is closed again."""
    page.add_init_script(WATCH)
    sent = _sent(page)
    page.goto(address, wait_until="networkidle")
    answers_s, shift, in_view = page.evaluate(ANSWERS_S), page.evaluate("seen.shift"), page.evaluate(CHART_IN_VIEW)
    sent_bytes = sum(n for url, n in sent.items() if not (in_view and CHART_LIBRARY in url))
    grave = tuple(grave_findings(page)) if with_axe else ()
    page.close()
    return Seen(sent_bytes, answers_s, shift, grave)


def grave_findings(page: Any, rules: Mapping[str, Any] | None = None) -> list[str]:
    """Return what axe-core finds serious or worse on the page that is open."""
    found = Axe().run(page, options=dict(rules or {})).response
    return [
        f"{page.url}: {one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in GRAVE
    ]


def _sent(page: Any) -> Mapping[str, int]:
    """Return the bytes that answers to a page took on the wire, by address; it fills while the page loads."""
    sent: dict[str, int] = {}
    asked: dict[str, str] = {}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    network.on("Network.responseReceived", lambda told: asked.update({told["requestId"]: told["response"]["url"]}))

    def end(told: Mapping[str, Any]) -> None:
        url = asked.get(told["requestId"], "")
        sent[url] = sent.get(url, 0) + int(told["encodedDataLength"])

    network.on("Network.loadingFinished", end)
    return sent


def _serving(home: str, port: int) -> subprocess.Popen:
    with (Path(home) / "log").open("w") as out:
        return subprocess.Popen(
            [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}", "--no-sources"],
            cwd=REPOSITORY,
            env=own_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
