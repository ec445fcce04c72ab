"""Large site files are checked and taken in a process of their own, so that no page waits for them."""

import os
import resource
import subprocess
import sys
import threading

from django.conf import settings

from facility import acting
from facility.interchange.documents import SiteFileError
from facility.models import Site
from twin.interchange.site_file import site_import

SMALL_BYTES = 256 * 2**10  # a thousand racks: a quarter of a second
TIMEOUT_S, CPU_S, MEMORY_BYTES = 120, 60, 2 * 2**30
_turn = threading.BoundedSemaphore(1)  # one at a time in a web process: each holds the database's write lock


class ImportBusy(Exception):
    """Another large file is being read."""


def site_import_apart(*, content: bytes, replace: bool, user) -> Site:
    """Do `site_import`, in another process where the file is large.

    Raises
    ------
    SiteFileError
        As `site_import`, and if the file takes longer or more memory than it may.
    ImportBusy
        If another large file is being read.
    """
    if len(content) <= SMALL_BYTES:
        return site_import(content=content, replace=replace, user=user)
    if not _turn.acquire(blocking=False):
        raise ImportBusy("Another large site file is being read; try again in half a minute.")
    try:
        command = [sys.executable, "manage.py", "import_site", "-", "--user", str(user.pk)]
        ended = subprocess.run(
            [*command, "--replace"] if replace else command,
            input=content,
            capture_output=True,
            timeout=TIMEOUT_S,
            cwd=settings.BASE_DIR,
            env=os.environ | acting.handed_on(),
            preexec_fn=_bounded,
        )
    except subprocess.TimeoutExpired as error:
        raise SiteFileError(f"The file takes longer than {TIMEOUT_S} s; split it.") from error
    finally:
        _turn.release()
    if ended.returncode != 0:
        output = ended.stderr.decode(errors="replace").strip()
        refused = output.rpartition("CommandError: ")[2] if "CommandError: " in output else ""
        raise SiteFileError(refused or "The file takes too much time or memory; split it.")
    return Site.objects.get(slug=ended.stdout.decode().partition(":")[0])


def _bounded() -> None:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
