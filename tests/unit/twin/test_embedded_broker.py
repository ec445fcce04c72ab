"""The broker in a folder: a message is there whole or not at all."""

import os
from queue import Empty

import pytest
from kombu import Connection

import twin.celery  # noqa: F401  (it puts the transport in kombu's place)
from twin.runs import embedded_broker


def test_a_worker_that_looks_while_a_message_is_written_finds_none(tmp_path, monkeypatch):
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    queue = str(tmp_path / "queue")
    options = {"data_folder_in": queue, "data_folder_out": queue, "control_folder": str(tmp_path / "control")}
    looked = []

    with Connection("filesystem://localhost", transport_options=options) as connection:
        channel = connection.channel()

        def replace_after_a_look(unfinished, whole):
            with pytest.raises(Empty):
                channel._get("celery")
            looked.append(os.stat(unfinished).st_size)
            os.rename(unfinished, whole)

        monkeypatch.setattr(embedded_broker.os, "replace", replace_after_a_look)
        channel._put("celery", {"body": "solve"})

        assert looked[0] > 0
        assert channel._get("celery") == {"body": "solve"}
        with pytest.raises(Empty):
            channel._get("celery")
