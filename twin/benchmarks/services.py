"""Services of a measurement's own, on free ports: Mosquitto and PostgreSQL, killed at once and begun again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PATIENCE_S = 60.0
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
DATABASE_USER = "postgres"  # of the system: PostgreSQL does not run as root


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A Mosquitto that keeps whatever is not acknowledged.

    Parameters
    ----------
    folder : Path
        Of its files.
    more : str
        Lines of its configuration, such as those of a certificate.
    """

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\n{more}\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        )

    def start(self) -> "Broker":
        """Start it, with what it had written down; return once it listens."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stdout=quiet, stderr=quiet)
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise TimeoutError("Mosquitto does not listen")

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class Database:
    """A PostgreSQL cluster of one database."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.url = f"postgres://twin@127.0.0.1:{port}/postgres"

    def make(self) -> "Database":
        """Make its files."""
        self._folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(self._folder, DATABASE_USER)
        self._run("initdb", "-D", str(self._folder), "-A", "trust", "-U", "twin", "--no-sync")
        return self

    def start(self) -> "Database":
        """Start it; return once it answers. After a kill the system lets go of the old one's memory by and by."""
        until_s = time.monotonic() + PATIENCE_S
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        log = str(self._folder / "log")
        while True:
            try:
                self._run("pg_ctl", "-D", str(self._folder), "-l", log, "-w", "-o", options, "start")
                return self
            except subprocess.CalledProcessError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.5)

    def kill(self) -> None:
        """End it at once: its children see that their parent is gone."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self._folder / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(POSTGRES and POSTGRES.with_name(program)), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", DATABASE_USER, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
