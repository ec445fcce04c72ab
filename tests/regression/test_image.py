"""The image of docs/operate: built on a base of Debian's packages, and its web server and a worker solve a run.

It takes minutes and downloads a system, so it waits to be asked for: TWIN_TEST_IMAGE=1, as root, with buildah and
mmdebstrap of Debian.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.processes import free_port

REPOSITORY = Path(__file__).parents[2]
CONTAINERFILE = REPOSITORY / "docs/operate/Containerfile"
TWIN = 999  # the first system user that Debian makes
HOST = ("--isolation", "chroot", "--network", "host")  # neither kernel rights nor a bridge of its own are needed
TOOLS = ("buildah", "mmdebstrap")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.skipif(
        os.environ.get("TWIN_TEST_IMAGE") != "1", reason="TWIN_TEST_IMAGE=1 builds and starts the image"
    ),
]


class Images:
    """A store of images of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')  # of one's own files only

    def command(self, verb: str, *arguments: str) -> list[str]:
        store = ("--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))
        trust = ("--signature-policy", str(self.policy)) if verb in ("from", "commit", "bud") else ()
        return ["buildah", *store, verb, *trust, *arguments]

    def ran(self, verb: str, *arguments: str) -> str:
        ended = subprocess.run(
            self.command(verb, *arguments), cwd=REPOSITORY, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]
        return ended.stdout.strip()

    def base(self) -> str:
        """Return an image of Debian 12 alone, which trusts whom this machine's pip trusts."""
        system = self.folder / "system.tar"
        made = subprocess.run(["mmdebstrap", "--variant=minbase", "bookworm", system], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"Debian's packages cannot be had: {made.stderr[-300:]}")
        container = self.ran("from", "scratch")
        self.ran("add", "--quiet", container, str(system), "/")
        if authority := os.environ.get("PIP_CERT"):
            settings = self.folder / "pip.conf"
            settings.write_text("[global]\ncert = /etc/own-authority.pem\n")
            self.ran("copy", "--quiet", container, authority, "/etc/own-authority.pem")
            self.ran("copy", "--quiet", container, str(settings), "/etc/pip.conf")
        self.ran("commit", "--quiet", container, "localhost/debian12")
        return "localhost/debian12"


@pytest.fixture
def images(tmp_path) -> Iterator[Images]:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.getuid():
        pytest.skip(f"needs root and Debian's {' and '.join(missing or TOOLS)}")
    store = Images(tmp_path)
    yield store
    subprocess.run(store.command("rm", "--all"), capture_output=True)
    subprocess.run(store.command("rmi", "--all", "--force"), capture_output=True)


def answer(address: str, token: str = "") -> dict:
    """Return what the web server answers, whatever its status; nothing while it does not listen."""
    asked = urllib.request.Request(address, headers={"Authorization": f"Token {token}"} if token else {})
    try:
        with urllib.request.urlopen(asked, timeout=30) as said:
            return json.load(said)
    except urllib.error.HTTPError as refused:
        return json.load(refused)
    except OSError:
        return {}


def wait_for(what: str, found, seconds: float, log: Path):
    """Return what is found once it is there; a limit on waiting for processes, not a promise of speed."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        if value := found():
            return value
        time.sleep(1)
    raise AssertionError(f"no {what} within {seconds:.0f} s: {log.read_text()[-3000:]}")


def test_the_image_is_built_and_its_web_server_and_worker_solve_a_run(images, tmp_path):
    images.ran("bud", *HOST, "--file", str(CONTAINERFILE), "--build-arg", f"BASE={images.base()}", "--tag", "twin", ".")
    container = images.ran("from", "localhost/twin")
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    os.chown(home, TWIN, TWIN)
    [line] = [line for line in CONTAINERFILE.read_text().splitlines() if line.startswith("CMD ")]
    serve = [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in yaml.safe_load(line[4:])]
    worker = yaml.safe_load((CONTAINERFILE.parent / "compose.yaml").read_text())["services"]["worker"]["command"]

    def inside(*command: str) -> list[str]:
        return images.command("run", *HOST, "--volume", f"{home}:/var/lib/twin", container, "--", *command)

    log = tmp_path / "log"
    here = f"http://127.0.0.1:{port}"
    with log.open("w") as told:
        processes = [subprocess.Popen(inside(*serve), stdout=told, stderr=told)]
        try:
            wait_for("page", lambda: answer(f"{here}/health/ready/").get("status") == "ok", 180, log)
            processes.append(subprocess.Popen(inside(*map(str, worker)), stdout=told, stderr=told))
            wait_for("worker", lambda: answer(f"{here}/health/").get("status") == "ok", 180, log)
            token = subprocess.run(
                inside("python", "manage.py", "create_token", "planner"), capture_output=True, text=True
            )
            assert token.returncode == 0, token.stderr[-2000:]
            done = f"{here}/api/runs/?status=done"
            wait_for("run", lambda: answer(done, token.stdout.split()[-1]).get("count"), 400, log)
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait(60)
