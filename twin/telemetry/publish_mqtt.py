"""A layout's predicted points to an MQTT broker, as a building would send them: DSX Exchange's BMS topics."""

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from twin.core.telemetry import dsx_bms
from twin.core.telemetry.publish import Published
from twin.models import TelemetrySource
from twin.telemetry.ingest.mqtt_client import Client, mqtt
from twin.telemetry.source_kinds import address_of

MOST_UNANSWERED = 2_000  # messages that the broker has not acknowledged
PATIENCE_S = 120.0  # how long a broker may be away
METADATA_EVERY_S = 100.0


class CannotPublish(Exception):
    """The broker refuses, or is away for too long."""


class Publisher:
    """Sends messages to a broker and sends again what a connection took with it.

    Parameters
    ----------
    address : str
        mqtt://host:port or mqtts://host:port.
    username, password : str
    repeat_s : float
        What was sent in the last so many seconds is sent again after a reconnection: a broker that was killed has lost
        what it had not passed on, though it had acknowledged it.
    """

    def __init__(self, address: str, *, username: str = "", password: str = "", repeat_s: float = 0.0) -> None:
        found = address_of(TelemetrySource.Kind.MQTT, address)
        self._client = Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"twin-publisher-{os.getpid()}-{time.time_ns()}"
        )
        self._client.tls = found.tls
        if username:
            self._client.username_pw_set(username, password or None)
        self._client.reconnect_delay_set(1, 5)
        self._client.max_inflight_messages_set(MOST_UNANSWERED)
        self._client.on_publish = self._on_publish
        self._client.on_connect, self._client.on_connect_fail = self._on_connect, self._on_connect_fail
        self._repeat_s, self._recent = repeat_s, deque[tuple[float, str, str]]()
        self._connected, self._again = threading.Event(), threading.Event()
        self._problem = "The broker does not answer"
        self._n_given = self._n_answered = 0
        self._client.connect_async(found.host, found.port, 30)
        self._client.loop_start()

    def __enter__(self) -> "Publisher":
        if not self._connected.wait(15.0):
            self.close()
            raise CannotPublish(self._problem)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self.drain()
        finally:
            self.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, message: str, *, retain: bool = False) -> None:
        """Send a message at least once; waits while too many are unanswered."""
        if self._again.is_set():
            self._repeat()
        self._give(topic, message, retain=retain)
        if self._repeat_s and not retain:
            now_s = time.monotonic()
            self._recent.append((now_s, topic, message))
            while self._recent and self._recent[0][0] < now_s - self._repeat_s:
                self._recent.popleft()
        self._wait(MOST_UNANSWERED)

    def drain(self) -> None:
        """Wait until the broker has acknowledged everything."""
        self._wait(0)
        if self._again.is_set():
            self._repeat()
            self._wait(0)

    def _give(self, topic: str, message: str, *, retain: bool = False) -> None:
        self._n_given += 1  # the client keeps it until it is answered, through any number of connections
        self._client.publish(topic, message, qos=1, retain=retain)

    def _wait(self, most: int) -> None:
        answered, until_s = self._n_answered, time.monotonic() + PATIENCE_S
        while self._n_given - self._n_answered > most:
            if answered != self._n_answered:
                answered, until_s = self._n_answered, time.monotonic() + PATIENCE_S
            elif time.monotonic() > until_s:
                raise CannotPublish(f"{self._problem}; {self._n_given - answered:,} messages are unanswered")
            time.sleep(0.002)

    def _repeat(self) -> None:
        self._again.clear()
        for _, topic, message in list(self._recent):
            self._give(topic, message)
            self._wait(MOST_UNANSWERED)

    def _on_publish(self, client: Client, _: Any, mid: int, reason: Any, properties: Any) -> None:
        self._n_answered += 1

    def _on_connect(self, client: Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._problem = f"The broker refuses the connection: {reason}"
            return
        if self._connected.is_set():
            self._again.set()
        self._connected.set()

    def _on_connect_fail(self, client: Client, _: Any) -> None:
        self._problem = client.refusal or "The broker cannot be reached"


def send_metadata(publisher: Publisher, published: Published, serves: Mapping[str, tuple[str, ...]]) -> None:
    """Retain what each point is: its type, its unit, the identity of its object and what that serves."""
    for name, quantity in published.points:
        said = dsx_bms.metadata_of(name, quantity, serves.get(name, ()))
        topic = dsx_bms.topic_text(name, quantity, dsx_bms.METADATA)
        publisher.send(topic, json.dumps(said, ensure_ascii=False), retain=True)


def send_values(
    publisher: Publisher,
    published: Published,
    serves: Mapping[str, tuple[str, ...]],
    *,
    speed: float,
    tell: Callable[[str], object],
) -> int:
    """Send readings in order of time, paced; return how many there were.

    Parameters
    ----------
    publisher : Publisher
    published : Published
    serves : mapping
        As `dsx_topology.serves` gives it.
    speed : float
        How many times faster than the readings' own times; infinite: as fast as the broker takes them.
    tell : callable
        Of progress, now and then.
    """
    send_metadata(publisher, published, serves)
    metadata_s = told_s = begun_s = time.monotonic()
    topics = [(key, dsx_bms.topic_text(*key), values) for key, values in published.points.items()]
    first, n = float(published.times[0]), 0
    for i, time_s in enumerate(published.times.tolist()):
        left_s = begun_s + (time_s - first) / speed - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        for key, topic, values in topics:
            if np.isfinite(values[i]):
                publisher.send(topic, dsx_bms.value_text(*key, time_s, float(values[i])))
                n += 1
        now_s = time.monotonic()
        if now_s - metadata_s > METADATA_EVERY_S:
            metadata_s = now_s
            send_metadata(publisher, published, serves)
        if now_s - told_s > 10:
            told_s = now_s
            tell(f"{n:,} readings sent, {n / (now_s - begun_s):,.0f} a second")
    publisher.drain()
    return n
