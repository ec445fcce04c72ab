"""Take the pictures of docs/screenshots again, from the pages as they are."""

import io
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.urls import reverse
from PIL import Image

from twin import solver_door
from twin.models import Run

try:
    from playwright.sync_api import sync_playwright
except ModuleNotFoundError:  # a development package, which users lack
    sync_playwright = None

FOLDER = settings.BASE_DIR / "docs" / "screenshots"
SIZES = {1440: 800, 390: 844}
MAX_BYTES = 150_000
N_COLOURS = 96  # of a picture: hardly seen, and half the size
CHROMIUM = ["--no-sandbox", "--enable-unsafe-swiftshader"]  # the second draws 3D without a graphics card


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args) -> None:
        """Keep the pictures' requests out of the console."""


class Command(BaseCommand):
    help = "Take screenshots of the main pages at both widths; needs Chromium, Playwright and two finished runs."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: docs/screenshots)")

    def handle(self, *, out: Path, **options) -> None:
        if sync_playwright is None:
            raise CommandError("playwright is not installed: pip install -r requirements-dev.lock")
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if chromium is None:
            raise CommandError("there is no Chromium on this machine: apt-get install chromium")
        if not settings.TWIN_SOLVES_HERE and not solver_door.is_open():
            raise CommandError("nothing solves for the pages: set TWIN_SOLVES_HERE=1, or start `manage.py serve` first")
        pages, session = list(main_pages()), session_of_a_superuser()
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps an event loop in this thread
        out.mkdir(parents=True, exist_ok=True)
        with local_server() as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
            for width, height in SIZES.items():
                context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
                context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": address}])
                page = context.new_page()
                for name, path in pages:
                    for _ in range(2):  # the first visit loads solvers, which a picture of waiting would show
                        page.goto(address + path, wait_until="networkidle")
                    page.wait_for_function("[...document.querySelectorAll('[data-chart]')].every(e => e.dataset.drawn)")
                    page.evaluate("document.querySelector('[data-canvas]')?.scrollIntoView({ block: 'center' })")
                    page.wait_for_timeout(300)
                    few_colours = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(N_COLOURS)
                    few_colours.save(picture := io.BytesIO(), "PNG", optimize=True)
                    self.write(picture.getvalue(), out / f"{name}-{width}.png")
            browser.close()

    def write(self, picture: bytes, path: Path) -> None:
        """Keep a picture, if it is small enough for the repository."""
        if len(picture) > MAX_BYTES:
            raise CommandError(f"{path.name} has {len(picture):,} bytes; pictures stay below {MAX_BYTES:,}.")
        path.write_bytes(picture)
        self.stdout.write(f"{path.name} {len(picture):,} bytes")


def main_pages() -> Iterator[tuple[str, str]]:
    """Yield names and addresses of the pages, on the site with the newest comparable runs."""
    done = Run.objects.filter(status=Run.Status.DONE).select_related("layout__site").defer(*Run.HEAVY)
    newest = done.first()
    if newest is None:
        raise CommandError("no run is finished yet; start `manage.py serve` and wait, or `manage.py simulate` one")
    by_layout = {run.layout_id: run for run in done.filter(scenario=newest.scenario).order_by("finished_at")}
    if len(by_layout) < 2:
        raise CommandError(f"a comparison needs runs of two layouts under {newest.scenario}; there is one")
    runs = sorted(by_layout.values(), key=lambda run: run.layout.name)
    first = runs[0]
    here = [first.layout.site.slug, first.layout.slug]
    yield "sites", reverse("site-list")
    yield "site", reverse("site-detail", args=here[:1])
    yield "layout", reverse("layout-detail", args=here)
    yield "draw", reverse("layout-draw", args=here)
    yield "one-line", reverse("layout-one-line", args=here)
    yield "loop", reverse("layout-loop", args=here)
    yield "drill", reverse("layout-drill", args=here)
    yield "3d", reverse("layout-3d", args=here)
    yield "findings", reverse("layout-findings", args=here)
    yield "run", reverse("run-detail", args=[first.id])
    yield "serving", reverse("serving")
    yield "claims", reverse("serving-claims")
    yield "report", reverse("run-report", args=[first.id])
    yield "compare", reverse("compare") + "?runs=" + ",".join(str(run.id) for run in runs[:3])
    yield "guide", reverse("guide")


def session_of_a_superuser() -> str:
    """Return a session of the first superuser, who sees every site."""
    user = get_user_model().objects.filter(is_superuser=True).order_by("pk").first()
    if user is None:
        raise CommandError("there is no superuser, whose pages are taken: manage.py createsuperuser")
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@contextmanager
def local_server() -> Iterator[str]:
    """Serve the pages on a free port of this machine and yield the address."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), _QuietHandler)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
