"""Processes killed at random while people work: nothing acknowledged is lost, and nothing is done twice.

`manage.py serve` runs on an installation of its own. Editors change racks, programs ask for runs and send readings, all
the while; whoever gets no answer asks again, as a browser or a program does. Meanwhile one process after the other is
ended by SIGKILL at a random moment: `serve` itself, the web server, one of its processes, the worker, one of its
processes, and where PostgreSQL and Redis are installed, on an installation with both, those as well. At the end counts
must be equal: edits acknowledged and edits there (by the audit log, which has each in the order that it came), runs
asked and runs that ended once, all with the same result, readings sent and readings stored or refused.

200 kills, half of them on each installation; `--quick`: four, on the embedded one. `--seed` chooses who is killed when.
Each kill is a line of standard error.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin.benchmarks.answers import under
from twin.benchmarks.measure import REPOSITORY, Benchmark, in_own_process, own_environment
from twin.benchmarks.services import POSTGRES, REDIS, Database, RedisServer, free_port

SEED = 16
N_EDITORS, N_ASKERS, N_SENDERS = 2, 2, 1
THINK_S = (0.05, 0.4)  # between two edits or batches of one person
WRITES = {"racks", "telemetry"}  # each is acknowledged at least once between two kills: nobody is killed while starting
MOMENT_S = (0.0, 2.5)  # from then to the next kill
DOWN_S = 0.5  # of a service
PATIENCE_S = 300.0  # with whatever must happen
COMPILING_S = 900.0  # with a first run, which may compile the solvers
ASK_AGAIN_S = 0.2
FIRST_READING_S, READINGS, POINTS = 1_796_050_800, 20, 3
AGAIN = {409, 429, 500, 502, 503, 504}  # answers on which a request is sent again
GIVEN_UP = "Its worker ended"  # what a run says that lost its worker as often as a run may
PREPARE = """
import io, json, sys
from django.core.management import call_command
for command in ("migrate", "load_catalogue"):
    call_command(command, verbosity=0, stdout=io.StringIO())
from django.contrib.auth import get_user_model
from facility.models import ApiToken, Rack
from twin.benchmarks.big_layout import big_layout
big_layout(100, n_classes=2, slug="solved")
edited, _ = big_layout(100, n_classes=2, slug="edited")
user = get_user_model().objects.create_superuser("killer", password=None)
_, secret = ApiToken.issue(user=user, name="kills", read_only=False)
racks = list(Rack.objects.filter(hall__layout=edited).order_by("id").values_list("id", flat=True)[:{n}])
sys.stdout.write(json.dumps({{"secret": secret, "racks": racks, "scenario": edited.site.scenarios.get().slug}}))
"""
COUNT = """
import hashlib, io, json, sys
from django.core.management import call_command
from facility.models import AuditEvent, Rack, Site
from twin.models import IdempotencyKey, Run
from twin.runs import services
from twin.telemetry import store
def digest(run):
    arrays = services.run_series(run) | services.run_racks(run)
    digest = hashlib.sha256(json.dumps(run.figures, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()
edits = {rack: [] for rack in RACKS}
changed = AuditEvent.objects.filter(kind="rack", action="changed").order_by("id")
for number, after in changed.values_list("number", "after"):
    edits[int(number)].append(after["coolant_flow_m3_per_s"])
flows = dict(Rack.objects.filter(id__in=RACKS).values_list("id", "coolant_flow_m3_per_s"))
keys = dict(IdempotencyKey.objects.values_list("run", "key"))
runs = [[keys.get(run.id, ""), run.status, run.message, digest(run) if run.status == "done" else "", str(run.id)]
        for run in Run.objects.all()]
call_command("compact_telemetry", stdout=io.StringIO())
found = store.read(Site.objects.get(slug="edited"), START_MS, START_MS + 30 * 86_400_000)
points = {"|".join(name): [times.tolist(), values.tolist()] for name, (times, values, _) in found.items()}
sys.stdout.write(json.dumps({"edits": edits, "flows": flows, "runs": runs, "points": points}))
"""


@dataclass(slots=True)
class Log:
    """The answers that every client got, and what came instead of an answer."""

    edits: dict[int, list[float]]  # acknowledged, by rack
    keys: list[str] = field(default_factory=list)  # of runs acknowledged
    points: dict[str, dict[int, float]] = field(default_factory=dict)  # time in ms and value of each good reading sent
    n_sent: int = 0  # readings acknowledged, good or not
    n_stored: int = 0
    n_refused: int = 0
    n_duplicate: int = 0
    acknowledged_since: set[str] = field(default_factory=set)  # first words of addresses, since the last kill
    odd: Counter = field(default_factory=Counter)  # what came instead of one
    errors: list[str] = field(default_factory=list)  # what nobody may see
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Records:
    """What came of one installation."""

    where: str
    kills: Counter
    log: Log
    found: dict[str, Any]
    n_done_lines: Counter  # of the log of the program, by run


def benchmarks(seed: int = SEED) -> Iterator[Benchmark]:
    """Yield the rows of 200 kills."""
    served = POSTGRES is not None and REDIS is not None
    yield from rows(measure(seed, 100 if served else 200, services=False))
    if served:
        yield from rows(measure(seed + 1, 100, services=True))


def quick_benchmarks(seed: int = SEED) -> Iterator[Benchmark]:
    """Yield the rows of four kills."""
    yield from rows(measure(seed, 4, services=False))


def rows(records: Records) -> Iterator[Benchmark]:
    """Yield what was lost or doubled as rows, each held to none."""
    log, found = records.log, records.found
    there = {int(rack): values for rack, values in found["edits"].items()}
    n_acked = sum(map(len, log.edits.values()))
    lost = sum(value not in there[rack] for rack, values in log.edits.items() for value in values)
    lost += sum(found["flows"][str(rack)] != values[-1] for rack, values in log.edits.items() if values)
    twice = sum(len(values) - len(set(values)) for values in there.values())
    by_key = Counter(key for key, *_ in found["runs"])
    ended = Counter("given up" if message.startswith(GIVEN_UP) else status for _, status, message, *_ in found["runs"])
    not_once = sum(by_key[key] != 1 for key in log.keys) + sum(key not in log.keys for key in by_key)
    not_ended = len(found["runs"]) - ended["done"] - ended["given up"]
    results = {digest for *_, digest, _ in found["runs"] if digest}
    stored = {point: dict(zip(*columns, strict=True)) for point, columns in found["points"].items()}
    off = sum(
        abs(stored.get(point, {}).get(at, float("inf")) - value) > 1e-6 * abs(value)
        for point, sent in log.points.items()
        for at, value in sent.items()
    )
    n_there = sum(map(len, stored.values()))
    off += abs(log.n_sent - log.n_stored - log.n_refused - log.n_duplicate) + abs(n_there - log.n_stored)
    killed = ", ".join(f"{name} {n}" for name, n in sorted(records.kills.items()))
    odd = ", ".join(f"{what} {n}" for what, n in sorted(log.odd.items()))
    for name, value, note in (
        ("edits lost", lost, f"{n_acked} acknowledged, {sum(map(len, there.values()))} there"),
        ("edits done twice", twice, ""),
        ("runs not made once", not_once, f"{len(log.keys)} asked, {len(found['runs'])} there"),
        ("runs not ended", not_ended, ", ".join(f"{n} {end}" for end, n in sorted(ended.items()))),
        ("runs ended twice", sum(n > 1 for n in records.n_done_lines.values()), "by the log of the workers"),
        ("results that differ", max(0, len(results) - 1), f"of {ended['done']} runs of one layout"),
        ("readings lost or changed", off, f"{log.n_sent} sent, {n_there} stored, {log.n_refused} refused"),
        ("errors", len(log.errors), "; ".join(log.errors[:3]) or f"asked again: {odd or 'never'}"),
    ):
        yield _row(records, name, float(value), 0.0, note)
    yield _row(records, "processes killed", float(sum(records.kills.values())), None, killed)


def _row(records: Records, name: str, value: float, reach: float | None, note: str) -> Benchmark:
    return Benchmark(f"kills: {name}", records.where, value, "", reach, False, 0.0, 0, note)


def measure(seed: int, n_kills: int, *, services: bool) -> Records:
    """Return what came of an installation whose processes were killed.

    Parameters
    ----------
    seed : int
        Of who is killed when, and of what people do.
    n_kills : int
    services : bool
        On PostgreSQL and Redis of its own, which are killed too; else on the embedded database and broker.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # the database's user passes through
        home, own = Path(folder) / "home", {}
        victims: dict[str, Database | RedisServer] = {}
        if services:
            database = Database(Path(folder) / "database", free_port()).make().start()
            broker = RedisServer(Path(folder)).start()
            victims = {"PostgreSQL": database, "Redis": broker}
            own = {"DATABASE_URL": database.url, "CELERY_BROKER_URL": broker.address}
        where = f"{'PostgreSQL and Redis' if services else 'embedded database and broker'}, seed {seed}"
        try:
            prepared = in_own_process(PREPARE.format(n=N_EDITORS), str(home), own.get("DATABASE_URL"))
            environment = own_environment(str(home)) | own | {"TWIN_LOG": "json", "OMP_NUM_THREADS": "1"}
            serve = Serve(environment, Path(folder) / "log")
            people = People(seed, serve.port, prepared)
            try:
                kills = _worked(seed, n_kills, where, serve, people, victims)
            finally:
                serve.stop()
            start_ms = 1000 * FIRST_READING_S
            count = f"RACKS, START_MS = {prepared['racks']!r}, {start_ms}\n{COUNT}"
            found = in_own_process(count, str(home), own.get("DATABASE_URL"))
            return Records(where, kills, people.log, found, serve.done_lines())
        finally:
            for victim in victims.values():
                victim.kill()


def _worked(seed: int, n_kills: int, where: str, serve: "Serve", people: "People", victims: dict) -> Counter:
    """Let people work, kill meanwhile, and wait until all that was asked is done; return who was killed how often."""
    chance, kills = random.Random(f"{seed}-kills"), Counter[str]()
    serve.start()
    people.begin()
    people.wait_for_run(serve)  # a first start compiles; from here on every kill meets work under way
    while sum(kills.values()) < n_kills:
        people.log.acknowledged_since.clear()
        serve.wait_until(
            lambda: people.log.acknowledged_since >= WRITES, "nothing is acknowledged any more", people.log
        )
        time.sleep(chance.uniform(*MOMENT_S))
        living = serve.processes()
        name = chance.choice(sorted({*living, *victims}))
        if name in victims:
            victims[name].kill()
        else:
            os.kill(chance.choice(sorted(living[name])), signal.SIGKILL)
        kills[name] += 1
        asked, edited = len(people.log.keys), sum(map(len, people.log.edits.values()))
        line = f"kill {sum(kills.values())} of {n_kills}: {name}; so far {edited} edits, {asked} runs, "
        sys.stderr.write(f"{where}: {line}{people.log.n_sent} readings acknowledged\n")
        if name in victims:
            time.sleep(DOWN_S)
            victims[name].start()
    people.end(serve)
    return kills


class Serve:
    """`manage.py serve`, begun again whenever it has ended.

    Parameters
    ----------
    environment : dict
    log : Path
        Where it writes.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port, self._environment, self._log = free_port(), environment, log
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it."""
        options = ("--solvers", "0", "--processes", "2", "--concurrency", "2", "--no-sources")
        with self._log.open("a") as out:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", f"127.0.0.1:{self.port}", *options],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def processes(self) -> dict[str, list[int]]:
        """Return the processes that may be killed, by what they are."""
        serve = self._process.pid
        found: dict[str, list[int]] = {"serve": [serve]}
        for pid, (parent, command) in under(serve).items():
            for word, of_serve, of_child in (
                ("twin.wsgi", "web server", "web process"),
                ("celery", "worker", "worker's process"),
            ):
                if word in command:
                    found.setdefault(of_serve if parent == serve else of_child, []).append(pid)
        return found

    def wait_until(self, is_so: Callable[[], object], otherwise: str, log: Log, patience_s: float = PATIENCE_S) -> None:
        """Wait until a condition holds, and start `serve` again where it has ended.

        Parameters
        ----------
        is_so : callable
            The condition.
        otherwise : str
            What the error says if it does not come to hold.
        log : Log
            Errors of clients, any of which ends the wait.
        patience_s : float
            How long to wait [s].

        Raises
        ------
        RuntimeError
            If it does not come to hold, or a client met an error; with the last lines of the program's log.
        """
        until_s = time.monotonic() + patience_s
        while not is_so():
            if time.monotonic() > until_s or log.errors:
                last_lines = " | ".join(self._log.read_text(errors="replace").splitlines()[-5:])
                raise RuntimeError(f"{'; '.join(log.errors) or otherwise}; {dict(log.odd)}; {last_lines[-2000:]}")
            if self._process.poll() is not None:
                self.start()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it with all its processes."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def done_lines(self) -> Counter:
        """Return how often the workers wrote that a run is done, by run."""
        counts = Counter[str]()
        for line in self._log.read_text(errors="replace").splitlines():
            if '"twin.runs.jobs"' in line and line.rstrip().startswith("{"):
                words = str(json.loads(line).get("message", "")).split()
                if len(words) == 3 and (words[0], words[2]) == ("run", "done"):
                    counts[words[1]] += 1
        return counts


class People:
    """Editors, askers and senders, each a thread that repeats what got no answer.

    Parameters
    ----------
    seed : int
    port : int
        Of the web server.
    prepared : dict
        Token, racks and scenario of the installation.
    """

    def __init__(self, seed: int, port: int, prepared: dict[str, Any]) -> None:
        self.log = Log(edits={rack: [] for rack in prepared["racks"]})
        self._seed, self._port, self._prepared, self._over = seed, port, prepared, threading.Event()
        acts = [(self._edit, rack) for rack in prepared["racks"]]
        acts += [(self._ask, i) for i in range(N_ASKERS)] + [(self._send, i) for i in range(N_SENDERS)]
        self._threads = [threading.Thread(target=self._live, args=act, daemon=True) for act in acts]
        self._ended: set[str] = set()

    def begin(self) -> None:
        """Let everybody work."""
        for thread in self._threads:
            thread.start()

    def wait_for_run(self, serve: Serve) -> None:
        """Wait until a first run has ended."""
        serve.wait_until(lambda: self._ended, "the first run does not end", self.log, COMPILING_S)

    def end(self, serve: Serve) -> None:
        """Let everybody finish what they have begun."""
        self._over.set()
        serve.wait_until(lambda: not any(t.is_alive() for t in self._threads), "what was begun does not end", self.log)

    def _live(self, act, number: int) -> None:
        try:
            act(number, random.Random(f"{self._seed}-{act.__name__}-{number}"))
        except Exception as error:  # noqa: BLE001  (whoever waits for this thread raises it)
            self.log.errors.append(f"{act.__name__.lstrip('_')}: {error}")

    def _edit(self, rack: int, chance: random.Random) -> None:
        k = 0
        while not self._over.is_set():
            k += 1
            flow = round(0.0015 + 1e-7 * k, 7)  # rising, each another one
            self._acknowledged("PATCH", f"/api/racks/{rack}/", {"coolant_flow_m3_per_s": flow})
            with self.log.lock:
                self.log.edits[rack].append(flow)
            self._over.wait(chance.uniform(*THINK_S))

    def _ask(self, number: int, chance: random.Random) -> None:
        k = 0
        asked = {"layout": "solved/main", "scenario": self._prepared["scenario"]}
        while not self._over.is_set():
            k += 1
            key = f"{number}-{k}"
            run = self._acknowledged("POST", "/api/runs/", asked, key)["id"]
            with self.log.lock:
                self.log.keys.append(key)
            while self._acknowledged("GET", f"/api/runs/{run}/")["status"] in ("queued", "running"):
                time.sleep(0.5)  # whoever waits for this thread has an end to their patience
            self._ended.add(run)

    def _send(self, number: int, chance: random.Random) -> None:
        k = 0
        while not self._over.is_set():
            k += 1
            batch, good = [], []
            for i in range(READINGS):
                at_s, point = FIRST_READING_S + 60 * (k * READINGS + i), f"workload/w{i % POINTS}|output_tokens_per_s"
                value = round(chance.uniform(1.0, 1e4), 1)
                row = {"time": at_s, "point": point, "value": value, "unit": "1/s"}
                if i == READINGS - 1:
                    row["point"] = "nowhere|power_w"  # refused, and counted as such
                else:
                    good.append((point, 1000 * at_s, value))
                batch.append(row)
            answer = self._acknowledged("POST", "/api/telemetry/batches/?site=edited", batch, f"{number}-{k}")
            with self.log.lock:
                self.log.n_sent += len(batch)
                self.log.n_stored += answer["accepted"]
                self.log.n_duplicate += answer["duplicate"]
                self.log.n_refused += sum(answer["refused"].values())
                for point, at_ms, value in good:
                    self.log.points.setdefault(point, {})[at_ms] = value
            self._over.wait(chance.uniform(*THINK_S))

    def _acknowledged(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """Return the answer to a request that is sent until it is acknowledged."""
        headers = {"Authorization": f"Token {self._prepared['secret']}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        until_s = time.monotonic() + PATIENCE_S
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                odd, text = type(error).__name__, b""
            else:
                if 200 <= status < 300:
                    self.log.acknowledged_since.add(path.split("/")[2])
                    return json.loads(text)
                if status not in AGAIN:
                    raise RuntimeError(f"{method} {path} is answered {status} {text[:200]!r}")
                odd = str(status)
            finally:
                connection.close()
            with self.log.lock:
                self.log.odd[odd] += 1
            if time.monotonic() > until_s:
                raise TimeoutError(f"{method} {path} is not acknowledged; last {odd} {text[:200]!r}")
            time.sleep(ASK_AGAIN_S)
