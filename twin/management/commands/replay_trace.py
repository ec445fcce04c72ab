"""Replay a trace of requests through serving replicas and write when each request was answered."""

import csv
import gzip
import signal
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TextIO

import numpy as np
import yaml
from django.core.management.base import BaseCommand, CommandError

import compute
from compute.model_configs import entry_from_config
from compute.replay.formats import Reading, trace_source
from compute.replay.requests import AnsweredRows, RequestBatch
from compute.replay.routing import ROUTERS
from compute.replay.run import PREFIX_BLOCK_TOKENS, PoolSeries, Progress, ReplayResult, replay
from compute.replay.sessions import SESSION_BLOCK_TOKENS, has_sessions, read_closed_sessions, read_open_sessions
from compute.replay.traces import (
    ArrivalProcess,
    LengthDistribution,
    read_trace,
    synthetic_requests,
    trace_runs,
)
from compute.steps.rules import SPECULATIVE
from facility.catalogue import entries, entry_named
from facility.catalogue.names import entry_among
from power_cooling.first_use import COMPILING, is_cached
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for, replica_warnings
from twin.interchange.own_products import config_read, known_entries, name_in

COLUMNS = (
    "request_id",
    "queued_s",
    "first_token_s",
    "last_token_s",
    "scheduled_s",
    "replica",
    "cached_tokens",
    "preemptions",
    "reason",
)
PROGRESS_EVERY_REQUESTS = 1_000_000
REPLAY = Path(str(compute.__file__)).parent / "replay"


class KeepWritten(CommandError):
    """An end before the end that the user asked for: what was answered until then is kept."""


class Command(BaseCommand):
    help = (
        "Replay requests through replicas of a model, request by request. TRACE is a CSV file (.gz or not) with"
        " input_tokens and output_tokens, and as far as there are arrival_s, request_id, priority, hash_ranges_512,"
        " cached_tokens; or a trace of agentic sessions (session, sub, turn, think_s); or a file of Mooncake, Azure"
        " (2023, 2024), BurstGPT or ShareGPT, or a detailed bench serve result of vLLM or SGLang. Writes for each"
        " request when it entered the queue, when its first and last token came (seconds on the trace's clock), and"
        " prints percentiles. An interrupt (Ctrl-C) ends it with what was answered until then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("trace", nargs="?", type=Path, metavar="TRACE.csv[.gz]")
        parser.add_argument("--accelerator", help="catalogue id or name")
        parser.add_argument(
            "--data-sheet",
            type=Path,
            metavar="FILE.yaml",
            help="an accelerator that is not in the catalogue, as an entry of it",
        )
        parser.add_argument(
            "--model", required=True, help="catalogue id, name or repository; or a config.json (FILE.json)"
        )
        parser.add_argument("--precision", required=True, help="of the weights: bf16, fp8, fp4 or int4 (AWQ, GPTQ)")
        parser.add_argument("--engine", default="vllm", help="whose calibration is used: vllm, sglang or trtllm")
        parser.add_argument("--engine-version", default="", help="release of the engine; default: any")
        parser.add_argument("--kv-precision", default="bf16", help="of the KV cache: bf16 or fp8")
        parser.add_argument("--tensor-parallel", type=int, default=1, metavar="N")
        parser.add_argument("--pipeline-parallel", type=int, default=1, metavar="N")
        parser.add_argument("--data-parallel", type=int, default=1, metavar="N", help="attention ranks in one replica")
        parser.add_argument("--expert-parallel", type=int, default=1, metavar="N")
        parser.add_argument("--replicas", type=int, default=1, metavar="R")
        parser.add_argument("--seats", "--max-num-seqs", type=int, default=128, help="sequences in a batch at most")
        parser.add_argument(
            "--token-budget", "--max-num-batched-tokens", type=int, default=2048, help="tokens in a step at most"
        )
        parser.add_argument("--kv-tokens", type=float, help="KV cache of a replica; default: from memory")
        parser.add_argument("--memory-frac", type=float, default=0.9, help="share of memory that the engine claims")
        parser.add_argument("--max-waiting", type=float, default=float("inf"), help="requests queued at a replica")
        parser.add_argument("--speculative", default="", help=f"what drafts: {', '.join(SPECULATIVE)}")
        parser.add_argument("--draft-tokens", type=int, default=0, help="speculative decoding: tokens per draft")
        parser.add_argument(
            "--draft-acceptance", type=float, help="chance that a draft token is accepted; default: predicted"
        )
        parser.add_argument("--router", default="round-robin", help=", ".join(ROUTERS))
        parser.add_argument("--quantum-s", type=float, default=0.1, help="step of the routers' clock")
        parser.add_argument("--decode-replicas", type=int, metavar="R", help="disaggregate: replicas only prefill")
        for name in ("tensor", "pipeline", "data", "expert"):
            parser.add_argument(
                f"--decode-{name}-parallel",
                type=int,
                metavar="N",
                help=f"of decode replicas; default: --{name}-parallel",
            )
        parser.add_argument("--link-bytes-per-s", type=float, default=50e9, help="prefill to decode, per replica")
        parser.add_argument("--link-latency-s", type=float, default=0.005)
        parser.add_argument(
            "--checkpoint", default="", help="published weights that differ from their precision's usual"
        )
        parser.add_argument("--delimiter", default=",", help="between columns of TRACE: , ; | or tab")
        parser.add_argument("--decimal", default=".", help="decimal mark in TRACE: . or ,")
        parser.add_argument(
            "--characters-per-token", type=float, default=4.0, help="of texts whose tokens nobody counted (ShareGPT)"
        )
        parser.add_argument("--block-tokens", type=int, default=PREFIX_BLOCK_TOKENS, help="that a hash id stands for")
        parser.add_argument("--run", help="only this value of the column run")
        parser.add_argument("--limit", type=int, help="read only so many requests (or sessions)")
        parser.add_argument("--rate", type=float, help="requests (or sessions) per second, instead of arrival_s")
        parser.add_argument("--burstiness", type=float, default=1.0, help="coefficient of variation of the gaps")
        parser.add_argument("--rate-factor", type=float, default=1.0, help="bring the trace's arrivals closer together")
        parser.add_argument("--sessions", type=int, help="sessions at a time (a closed network)")
        parser.add_argument("--workload", help="instead of TRACE: draw the requests of this use case")
        parser.add_argument("--requests", type=int, default=100_000, help="how many to draw for --workload")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", type=Path, required=True, metavar="REQUESTS.csv[.gz]")
        parser.add_argument("--series", type=Path, metavar="FILE.csv", help="batch, memory and power over time")

    def handle(self, **options: Any) -> None:
        try:
            self._replay(options)
        except (ValueError, OSError, yaml.YAMLError) as error:
            raise CommandError(" ".join(str(error).split())) from error

    def _replay(self, options: dict[str, Any]) -> None:
        pool_options = ReplicaOptions(
            precision=options["precision"].lower(),
            engine=options["engine"],
            checkpoint=options["checkpoint"],
            kv_precision=options["kv_precision"].lower(),
            tensor_parallel=options["tensor_parallel"],
            pipeline_parallel=options["pipeline_parallel"],
            attention_data_parallel=options["data_parallel"],
            expert_parallel=options["expert_parallel"],
            replicas=options["replicas"],
            seats=options["seats"],
            token_budget=options["token_budget"],
            kv_tokens=options["kv_tokens"],
            memory_frac=options["memory_frac"],
            engine_version=options["engine_version"].strip(),
            speculative=options["speculative"].strip().lower(),
            draft_tokens=options["draft_tokens"],
            draft_acceptance_frac=options["draft_acceptance"],
            max_waiting=options["max_waiting"],
            mode="aggregated" if options["decode_replicas"] is None else "disaggregated",
        )
        accelerator, model = _accelerator(options), _model(options["model"])
        pool = replica_pool_for(accelerator, model, pool_options)
        set_up: dict[str, Any] = {"router": options["router"], "quantum_s": options["quantum_s"]}
        if options["decode_replicas"] is not None:
            if not options["link_bytes_per_s"] > 0:
                raise ValueError(f"--link-bytes-per-s is {options['link_bytes_per_s']}; must be greater than 0")
            decode_options = replace(pool_options, replicas=options["decode_replicas"], **_decode_ranks(options))
            set_up["decode_pool"] = replica_pool_for(accelerator, model, decode_options)
            set_up["transfer_s_per_token"] = _kv_bytes_per_token(model, options) / options["link_bytes_per_s"]
            set_up["transfer_latency_s"] = options["link_latency_s"]
        if options["workload"] is None:
            if options["trace"] is None:
                raise ValueError("give a trace, or --workload to draw requests")
            if not 1 <= options["block_tokens"] <= 1 << 20:
                raise ValueError(f"--block-tokens is {options['block_tokens']}; must be 1 to {1 << 20}")
            options["source"] = trace_source(options["trace"], _reading(options))
            for note in options["source"].notes:
                self.stdout.write(note)
        for warning in replica_warnings(accelerator, model, pool_options):
            self.stdout.write(self.style.WARNING(warning))
        self.stdout.write(
            f"{pool.n_replicas} replicas of {pool.accelerators_per_replica} accelerators, {pool.kv_tokens:,.0f} tokens"
            f" of KV cache each, at most {pool.seats} sequences and {pool.token_budget} tokens a step"
        )
        if pool.draft_tokens:
            kept = "stated" if pool_options.draft_acceptance_frac is not None else "predicted"
            self.stdout.write(
                f"{pool.draft_tokens} tokens drafted per step, each accepted with {pool.draft_acceptance_frac:.0%}"
                f" ({kept})"
            )
        if not is_cached(REPLAY, "routing._run_until_of.locals.run_until", REPLAY.glob("*.py")):
            self.stderr.write(f"{COMPILING.capitalize()}: half a minute to a minute more ...")
        with _interrupted() as interrupted, _written(options["out"]) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            for run, batches, block_tokens in _streams(options):
                reasons: list[str] = []

                def write(answered: AnsweredRows, reasons: list[str] = reasons) -> None:
                    rows.writerows(_cells(answered))
                    reasons += [f"{answered.request_id[i]}: {text}" for i, text in answered.reasons.items()][:3]
                    del reasons[3:]

                result = replay(
                    batches,
                    pool,
                    prefix_block_tokens=block_tokens,
                    on_rows=write,
                    on_progress=self._progress(),
                    should_stop=interrupted.is_set,
                    **set_up,
                )
                self._print(run, result, reasons)
                if options["series"] is not None:
                    _write_series(options["series"], result.series)
                if result.cancelled:
                    left = f"what was answered until then is in {options['out']}"
                    raise KeepWritten(f"{result.message}; {left}", returncode=128 + signal.SIGINT)

    def _progress(self) -> Any:
        n_printed = 0

        def say(progress: Progress) -> None:
            nonlocal n_printed
            if progress.n_returned - n_printed >= PROGRESS_EVERY_REQUESTS:
                n_printed = progress.n_returned
                self.stdout.write(f"  {progress.n_returned:,} requests, clock at {progress.clock_s:,.0f} s")

        return say

    def _print(self, run: str | None, result: ReplayResult, reasons: list[str]) -> None:
        if run is not None:
            self.stdout.write(f"run {run}")
        self.stdout.write(
            f"{result.n_answered:,} of {result.n_requests:,} requests answered, {result.input_tokens:,} input"
            f" ({result.cached_tokens:,} cached) and {result.output_tokens:,} output tokens,"
            f" {result.n_preemptions:,} preemptions, last answer at {result.end_s:,.3f} s"
        )
        if result.n_answered:
            header = "".join(f"{name:>10}" for name in ("mean", "p50", "p90", "p95", "p99"))
            self.stdout.write(f"{'[s]':<14}{header}")
            for name, sketch in (
                ("queueing", result.queueing),
                ("ttft", result.ttft),
                ("itl", result.itl),
                ("end to end", result.end_to_end),
            ):
                if sketch.n:
                    values = [sketch.mean_s, *(sketch.percentile_s(p) for p in (50, 90, 95, 99))]
                    self.stdout.write(f"{name:<14}" + "".join(f"{value:>10.4f}" for value in values))
        pools = ("",) if len(result.series) == 1 else ("prefill ", "decode ")
        for pool, series in zip(pools, result.series, strict=True):
            if series.accelerator_power_w is not None and series.start_s.size:
                self.stdout.write(
                    f"{pool}accelerator power {series.accelerator_power_w.mean():.0f} W mean, "
                    f"{series.accelerator_power_w.max():.0f} W peak of {series.bin_width_s:g} s; batch"
                    f" {series.batch.mean():.1f} mean, waiting {series.waiting.mean():.1f} mean,"
                    f" KV cache {series.kv_used_frac.max():.0%} used at most"
                )
        if result.message and not result.cancelled:
            self.stdout.write(self.style.WARNING(result.message + "".join(f"; {reason}" for reason in reasons)))


@contextmanager
def _interrupted() -> Iterator[Event]:
    """Yield what a first interrupt (Ctrl-C) sets, so that the replay ends between two stretches; a second one kills.

    Where interrupts are ignored, as by a job in the background, they stay so.
    """
    asked = Event()

    def ask(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        asked.set()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _reading(options: dict[str, Any]) -> Reading:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(options["delimiter"], options["delimiter"])
    return Reading(delimiter, options["decimal"], options["characters_per_token"])


def _decode_ranks(options: dict[str, Any]) -> dict[str, int]:
    """Return the parallelism of decode replicas as far as it is their own."""
    names = {"tensor": "tensor", "pipeline": "pipeline", "data": "attention_data", "expert": "expert"}
    stated = {field: options.get(f"decode_{name}_parallel") for name, field in names.items()}
    return {f"{field}_parallel": value for field, value in stated.items() if value is not None}


def _accelerator(options: dict[str, Any]) -> Mapping[str, Any]:
    if (options["accelerator"] is None) == (options["data_sheet"] is None):
        raise ValueError("give either --accelerator or --data-sheet")
    if options["accelerator"] is not None:
        name = options["accelerator"]
        return entry_among(known_entries("accelerators", [name]), "accelerators", name)
    with options["data_sheet"].open(encoding="utf-8") as file:
        entry = yaml.safe_load(file)
    if not isinstance(entry, dict):
        raise ValueError(f"{options['data_sheet'].name} is not one catalogue entry (a mapping of fields to values)")
    return entry


def _model(name: str) -> Mapping[str, Any]:
    """Return the entry of a model by its name, or read from a config.json."""
    if name.endswith(".json"):
        path = Path(name)
        fallback = path.resolve().parent.name if path.stem == "config" else path.stem
        config = config_read(path.read_bytes())
        return entry_from_config(config, name_in(config, fallback))
    return entry_among(known_entries("models", [name]), "models", name)


def _kv_bytes_per_token(model: Mapping[str, Any], options: dict[str, Any]) -> float:
    width = 0.5 if options["kv_precision"].lower() == "fp8" else 1.0
    return float(model["kv_bytes_per_token_bf16_all_layers"]) * width


def _streams(options: dict[str, Any]) -> Iterator[tuple[str | None, Iterator[RequestBatch], int]]:
    """Yield a name, the requests and their prefix block size for each independent part of the input."""
    arrivals = None
    if options["rate"] is not None:
        arrivals = ArrivalProcess.steady(options["rate"], options["burstiness"])
    if options["workload"] is not None:
        if options["trace"] is not None:
            raise ValueError("give either a trace or --workload")
        yield None, _drawn(options), PREFIX_BLOCK_TOKENS
        return
    trace, block_tokens = options["source"], options["block_tokens"]
    if arrivals is None and trace.rate_per_s is not None:
        arrivals = ArrivalProcess.steady(trace.rate_per_s, trace.gap_cv)
    if has_sessions(trace.columns):
        if arrivals is not None:
            sessions = read_open_sessions(trace, arrivals, seed=options["seed"], limit=options["limit"])
        else:
            stated = options["sessions"] if options["sessions"] is not None else trace.sessions
            concurrency = stated if stated is not None else options["replicas"]
            sessions = read_closed_sessions(trace, concurrency, limit=options["limit"])
        yield None, sessions, SESSION_BLOCK_TOKENS
        return
    runs = trace_runs(trace)
    if options["run"] is not None and options["run"] not in runs:
        raise ValueError(
            f"{trace.path.name} has no run {options['run']!r}; it has {', '.join(runs) or 'no column run'}"
        )
    chosen: list[str | None] = [options["run"]] if options["run"] is not None else [*runs]
    for run in chosen or [None]:
        yield (
            run,
            read_trace(
                trace,
                run=run,
                arrivals=arrivals,
                seed=options["seed"],
                rate_factor=options["rate_factor"],
                limit=options["limit"],
            ),
            block_tokens,
        )


def _drawn(options: dict[str, Any]) -> Iterator[RequestBatch]:
    """Draw the requests of a use case: its lengths, day and burstiness, at `--rate` requests per second on average."""
    if options["rate"] is None:
        raise ValueError("--workload needs --rate, requests per second on average over the day")
    workload = entry_named("workloads", options["workload"])
    shape = entries("diurnal_shapes")[workload["diurnal_shape"]]
    hourly = np.array(shape["hourly"], dtype=np.float64)
    prompt, answer = workload["input_tokens"], workload["output_tokens"]
    return synthetic_requests(
        options["requests"],
        ArrivalProcess(options["rate"] * hourly / hourly.mean(), float(workload["arrival_cv"])),
        LengthDistribution(float(prompt["mean"]), float(prompt["p95"]), float(prompt["max"])),
        LengthDistribution(float(answer["mean"]), float(answer["p95"]), float(answer.get("max") or 8 * answer["p95"])),
        seed=options["seed"],
        cached_frac=float(workload["prefix_cache_hit"]),
    )


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """Yield a file that takes the place of `path` once all is written; a failure leaves what was there before."""
    if path.exists() and not path.is_file():  # a pipe or a terminal cannot be taken back
        with _open_for_writing(path, path) as file:
            yield file
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _open_for_writing(partial, path) as file:
            yield file
    except KeepWritten:
        partial.replace(path)
        raise
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _open_for_writing(path: Path, named: Path) -> TextIO:
    if named.suffix == ".gz":
        return gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1)
    return path.open("w", encoding="utf-8", newline="")


def _cells(rows: AnsweredRows) -> Iterator[tuple[Any, ...]]:
    def seconds(values: np.ndarray) -> list[str]:
        return ["" if value != value else f"{value:.6f}" for value in values.tolist()]

    reasons = [rows.reasons.get(i, "") for i in range(len(rows.request_id))] if rows.reasons else None
    return zip(
        rows.request_id,
        seconds(rows.queued_s),
        seconds(rows.first_token_s),
        seconds(rows.last_token_s),
        seconds(rows.scheduled_s),
        rows.replica.tolist(),
        rows.cached_tokens.tolist(),
        rows.n_preemptions.tolist(),
        reasons or [""] * len(rows.request_id),
        strict=True,
    )


def _write_series(path: Path, pools: tuple[PoolSeries, ...]) -> None:
    names = (
        "busy_frac",
        "batch",
        "waiting",
        "kv_used_frac",
        "compute_activity_frac",
        "memory_activity_frac",
        "output_tokens_per_s",
        "prompt_tokens_per_s",
        "accelerator_power_w",
    )
    with _written(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("pool", "start_s", *names))
        for number, pool in enumerate(pools):
            columns = [getattr(pool, name) for name in names]
            for i, start_s in enumerate(pool.start_s):
                rows.writerow((number, f"{start_s:g}", *(f"{c[i]:.6g}" if c is not None else "" for c in columns)))
