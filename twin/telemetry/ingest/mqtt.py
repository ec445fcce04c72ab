"""Readings from an MQTT broker: DSX Exchange's BMS topics, acknowledged once they are stored.

The session is kept by the broker under one name per source, so what is published while nobody reads waits there. A
message is acknowledged after the transaction that holds it; what dies in between comes again and is counted as a
duplicate.
"""

import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from twin.core.telemetry import dsx_bms
from twin.models import TelemetrySource
from twin.telemetry import sources
from twin.telemetry.ingest.held import HeldSource
from twin.telemetry.ingest.mqtt_client import Client, mqtt
from twin.telemetry.source_kinds import address_of

KEEPALIVE_S = 30
WRITE_EVERY_S = 0.5  # at the latest, while messages come
PAUSE_S = 0.005  # without a message, after which what came is written: a broker may wait for acknowledgements
MOST_AT_ONCE = 20_000
MOST_WAITING = 100_000  # messages in memory; then the connection is left unread
METADATA_FIRST_S = 5.0  # for what is retained to come before the first values are asked for; a pause ends it
SETTLE_EVERY_S = 5.0
SETTLE_SHARE = 4.0  # times as long as the last settling took
CHECK_EVERY_S = 5.0  # that the source is still this reader's, while nothing comes


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as it came; `session` counts connections: an older one's cannot be acknowledged any more."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    session: int


class Reader:
    """Reads one source until it is told to stop or loses it."""

    def __init__(self, source: TelemetrySource, holder: str) -> None:
        self.source, self._held = source, HeldSource(source, holder)
        self._waiting: SimpleQueue[_Message] = SimpleQueue()
        self._session, self._is_connected, self._said = 0, False, ("", False)
        self._link = threading.Lock()
        self._values_at_s = float("inf")  # when values are asked for, after the metadata
        self._topics: list[str] = source.options["topics"]

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set.

        Raises
        ------
        SourceLost
            If the source is read by another process, or was switched off.
        CannotOpen
            If its password was sealed with a key that is not here.
        """
        self._held.stop = stop
        self._held.learn()
        client = self._client()
        client.loop_start()
        try:
            self._read(client)
        finally:
            with self._link:
                self._is_connected = False
            client.disconnect()
            client.loop_stop()

    def _client(self) -> Client:
        address = address_of(self.source.kind, self.source.address)
        client = Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"twin-{self.source.site.slug[:80]}-{self.source.pk}",
            clean_session=False,
            manual_ack=True,
        )
        client.tls = address.tls
        if self.source.username:
            client.username_pw_set(self.source.username, sources.password_of(self.source) or None)
        client.reconnect_delay_set(1, 15)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail, client.on_message = self._on_connect_fail, self._on_message
        client.connect_async(address.host, address.port, KEEPALIVE_S)
        return client

    def _on_connect(self, client: Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._said = (f"The broker refuses the connection: {reason}.", False)
            return
        with self._link:
            self._session += 1
            self._is_connected = True
        if first := [topic for topic in self._topics if f"/{dsx_bms.VALUE}/" not in topic]:
            client.subscribe([(topic, 1) for topic in first])
        # A session that the broker kept has its subscriptions; in a new one a value could come before its metadata.
        is_new = first and not flags.session_present and not self._held.metadata
        self._values_at_s = time.monotonic() + (METADATA_FIRST_S if is_new else 0.0)

    def _on_disconnect(self, client: Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._link:
            self._is_connected = False
        if not self._held.stop.is_set() and not (self._said[0] and not self._said[1]):
            self._said = (f"The broker ended the connection: {reason}. It is tried again.", False)

    def _on_connect_fail(self, client: Client, _: Any) -> None:
        self._said = (client.refusal or "The broker cannot be reached. It is tried again.", False)

    def _on_message(self, client: Client, _: Any, message: mqtt.MQTTMessage) -> None:
        while self._waiting.qsize() > MOST_WAITING and not self._held.stop.is_set():
            time.sleep(0.05)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "topic that is no UTF-8"
        self._waiting.put(_Message(topic, message.payload, message.mid, message.qos, self._session))

    def _read(self, client: Client) -> None:
        settle_s, checked_s, said = time.monotonic() + SETTLE_EVERY_S, time.monotonic(), ("", False)
        while not self._held.stop.is_set():
            taken = self._collect()
            self._take_all(taken)
            written = self._held.intake.is_empty or self._held.patiently(self._held.intake.write)
            if written:
                self._acknowledge(client, taken)
            if self._held.metadata_changed and not taken:
                self._held.patiently(self._held.keep_metadata)
            if self._said != said and (wanted := self._said):
                problem, is_connected = said = wanted
                self._held.patiently(lambda: self._held.tell(connected=is_connected, problem=problem))  # noqa: B023
            now_s = time.monotonic()
            self._ask_for_values(client, now_s, is_quiet=not taken)
            if now_s - checked_s > CHECK_EVERY_S:
                checked_s = now_s
                self._held.patiently(self._held.keep)
            if now_s > settle_s:
                self._held.patiently(self._held.settle)
                settle_s = time.monotonic() + max(SETTLE_EVERY_S, SETTLE_SHARE * (time.monotonic() - now_s))
        self._held.patiently(self._held.settle)

    def _ask_for_values(self, client: Client, now_s: float, *, is_quiet: bool) -> None:
        quiet_s = METADATA_FIRST_S - 1.0 if is_quiet else 0.0
        with self._link:
            if self._is_connected and now_s > self._values_at_s - quiet_s:
                self._values_at_s, self._said = float("inf"), ("", True)
                if rest := [topic for topic in self._topics if f"/{dsx_bms.VALUE}/" in topic]:
                    client.subscribe([(topic, 1) for topic in rest])

    def _collect(self) -> list[_Message]:
        """Return messages that came, at most for half a second, and until there is a pause."""
        found: list[_Message] = []
        until_s = time.monotonic() + WRITE_EVERY_S
        while len(found) < MOST_AT_ONCE and time.monotonic() < until_s:
            try:
                found.append(self._waiting.get(timeout=PAUSE_S if found else 0.2))
            except Empty:
                break
        return found

    def _take_all(self, messages: list[_Message]) -> None:
        """Take what came, metadata first: what a value means may have come beside it."""
        values = []
        for message in messages:
            topic = dsx_bms.topic_of(message.topic)
            if topic is not None and topic.what == dsx_bms.VALUE:
                values.append((topic.point, message))
                continue
            try:
                if topic is None:
                    raise ValueError("its topic is none of a building's: BMS/v1/PUB/Value/type/point/path")
                self._take_metadata(topic, message.payload)
            except ValueError as error:
                self._refuse(error, message)
        for point, message in values:
            try:
                time_ms, value, quality = dsx_bms.value_of(message.payload)
                meant = self._held.meaning(point)
                if isinstance(meant, str):
                    raise ValueError(meant)
                if reason := self._held.intake.take(*meant, time_ms, value, quality):
                    raise ValueError(reason)
            except ValueError as error:
                self._refuse(error, message)

    def _refuse(self, error: ValueError, message: _Message) -> None:
        self._held.intake.refuse(str(error), message.topic, message.payload[:2000].decode(errors="replace"))

    def _take_metadata(self, topic: dsx_bms.Topic, payload: bytes) -> None:
        if payload:  # published again every hundred seconds
            self._held.says(topic.point, dsx_bms.checked_metadata(topic, payload))
        else:  # how a retained message is taken back
            self._held.takes_back(topic.point)

    def _acknowledge(self, client: Client, taken: list[_Message]) -> None:
        with self._link:
            for message in taken:
                if self._is_connected and message.session == self._session:
                    client.ack(message.mid, message.qos)
