"""A Mosquitto of a test's own, on a free port, that can be killed and begun again with what it had written down."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto") or next(filter(os.path.exists, ("/usr/sbin/mosquitto",)), None)
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no Mosquitto on this machine (apt-get install mosquitto)")


class Broker:
    """Start it with `start`; `address` is what is called."""

    def __init__(self, folder: Path, *, password_file: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None
        self._config = folder / "mosquitto.conf"
        secured = f"password_file {password_file}\nallow_anonymous false" if password_file else "allow_anonymous true"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\n{secured}\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        )

    def start(self) -> "Broker":
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("Mosquitto does not listen")

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
