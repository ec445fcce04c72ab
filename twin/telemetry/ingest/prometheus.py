"""Asks a Prometheus server, or one that answers like it: range queries from the last step that was stored on.

The step before is asked for again, so that counters and histograms have what they grew from; its readings are not
taken twice. An answer that is longer than is read is asked for in shorter spans.
"""

import base64
import datetime as dt
import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from twin import outgoing
from twin.core.telemetry import prometheus
from twin.models import TelemetrySource
from twin.telemetry import sources
from twin.telemetry.ingest.asked import Asked, of_points

MOST_STEPS = 240  # of a question: four hours by the minute
MOST_BYTES = 16 * 2**20  # of an answer
TIMEOUT_S = 12.0  # of a call; a reader keeps its source for longer without a sign
SETTLED_S = 15.0  # after which a scrape that was under way is in the server


class Server:
    """One Prometheus server, asked for a site's readings."""

    def close(self) -> None:
        """Leave it: there is nothing to give back."""

    def __init__(self, source: TelemetrySource) -> None:
        options = source.options
        self._address = f"{source.address.rstrip('/')}/api/v1/query_range"
        self._queries: list[str] = options["queries"] or [prometheus.SELECTOR]
        self._by_name = bool(options["queries"])
        self._step_s, self._back_s = options["step_s"], options["back_s"]
        self._headers = {"Accept": "application/json", **_credential(source)}
        self._most_series: list[dict[tuple[str, str, str], int]] = [{} for _ in self._queries]
        self._n_steps = MOST_STEPS

    def parts(self, read_to: dt.datetime | None) -> Iterator[Asked]:
        """Ask from `read_to` on, or as far back as the source says, until now.

        Raises
        ------
        CallRefused, ValueError
            If the server cannot be called, or answers with what cannot be read.
        """
        end_s = self._step(time.time() - SETTLED_S)
        at_s = self._step(read_to.timestamp()) if read_to else end_s - self._step(self._back_s) - self._step_s
        while at_s < end_s:
            upto_s = min(at_s + self._n_steps * self._step_s, end_s)
            try:
                found = self._span(at_s, upto_s)
            except outgoing.CutShort as error:
                if self._n_steps == 1:
                    raise outgoing.CallRefused(
                        f"{error} One step is too long; ask for less by narrower queries."
                    ) from error
                self._n_steps = max(self._n_steps // 4, 1)
                yield Asked()
                continue
            self._n_steps = min(2 * self._n_steps, MOST_STEPS)
            at_s = upto_s
            yield found

    def _step(self, time_s: float) -> int:
        return int(time_s // self._step_s) * self._step_s

    def _span(self, at_s: int, upto_s: int) -> Asked:
        """Return what came after `at_s` up to `upto_s`."""
        found = Asked(read_to=dt.datetime.fromtimestamp(upto_s, dt.UTC))
        for query, most_series in zip(self._queries, self._most_series, strict=True):
            series = prometheus.answer_series("Prometheus", self._answer(query, at_s, upto_s))
            points = prometheus.points_of(
                series, "Prometheus", by_name=self._by_name, most_series=most_series, after_ms=1000 * at_s
            )
            of_points(found, points)
        return found

    def _answer(self, query: str, at_s: int, upto_s: int) -> object:
        question = urlencode({"query": query, "start": at_s, "end": upto_s, "step": self._step_s})
        answer = outgoing.call(
            "GET", f"{self._address}?{question}", headers=self._headers, timeout_s=TIMEOUT_S, max_bytes=MOST_BYTES
        )
        if answer.status in (401, 403):
            raise ValueError(f"Prometheus refuses the credential (status {answer.status}).")
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"Prometheus answers {answer.status} with no JSON of /api/v1/query_range.") from error
        if answer.status != 200 and not (isinstance(found, dict) and found.get("status") == "error"):
            raise ValueError(f"Prometheus answers {answer.status}.")
        if answer.status != 200 and (
            found.get("errorType") == "timeout" or "too many samples" in str(found.get("error"))
        ):
            raise outgoing.CutShort(f"Prometheus: {str(found.get('error'))[:200]}.")
        return found


def _credential(source: TelemetrySource) -> dict[str, str]:
    """Return the header that says who asks: with a name its password, else the token."""
    password = sources.password_of(source)
    if source.username:
        pair = base64.b64encode(f"{source.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {"Authorization": f"Bearer {password}"} if password else {}
