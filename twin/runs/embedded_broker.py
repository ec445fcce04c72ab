"""The broker of one machine: a folder with a file per message, as kombu has it, where each file appears whole."""

import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """kombu opens a message under its own name and writes it then; a worker that looks in between reads nothing."""

    def _put(self, queue: Any, message: Any, **kwargs: Any) -> None:
        whole = Path(self.data_folder_out) / f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        unfinished = whole.with_suffix(".part")  # of no queue, so that no worker takes it
        try:
            unfinished.write_text(dumps(message))
            os.replace(unfinished, whole)
        except OSError as error:
            raise ChannelError(f"Cannot add file {str(whole)!r} to directory") from error


class Transport(filesystem.Transport):
    """What `filesystem://` means here; `twin.celery` puts it in kombu's place."""

    Channel = Channel
