"""What sessions keep in the prefix cache: by hand, against a simulated cache, and in what instances then serve."""

import re
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.steady.frontier import serving_frontier
from compute.steady.serving import Configuration, serving_curve
from compute.steady.session_cache import cached_frac, kept_frac, settled_kept_frac
from compute.steps.roofline import Parallelism
from compute.workload import LatencyTargets, Sessions, Workload, workload_from_entry
from facility.catalogue import entries

FITTED = coefficient_set()
H200 = accelerator_from_entry(entries("accelerators")["h200-sxm"])
LLAMA = model_shape_from_entry(entries("models")["llama-3.1-70b"])
TARGETS = LatencyTargets(30.0, 0.1)


def kept(room, rate, *pause_s):
    return float(kept_frac(Sessions(10.0, pause_s), np.array([room]), np.array([rate]))[0])


def test_contexts_stay_while_memory_lasts():
    assert kept(60.0, 1.0, 60.0) == 1.0  # one comes each second and stays a minute: 60 at a time
    assert kept(30.0, 1.0, 60.0) == pytest.approx(0.5)
    assert kept(0.0, 1.0, 60.0) == 0.0
    assert kept(-5.0, 1.0, 60.0) == 0.0


def test_short_pauses_survive_long_ones():
    # room for 10 s each: those who come back after 10 s do, those who stay away for 1,000 s do not
    assert kept(10.0, 1.0, 10.0, 1000.0) == pytest.approx(0.5)
    assert kept(505.0, 1.0, 10.0, 1000.0) == 1.0  # the mean pause


def test_it_agrees_with_a_simulated_least_recently_used_cache():
    random = np.random.default_rng(3)
    mean_s, sessions, room = 40.0, 400, 250
    back_s = random.exponential(mean_s, sessions)
    cache: OrderedDict[int, None] = OrderedDict()
    found = []
    for _ in range(60_000):
        i = int(np.argmin(back_s))
        found.append(i in cache)
        cache.pop(i, None)
        cache[i] = None
        if len(cache) > room:
            cache.popitem(last=False)
        back_s[i] += random.exponential(mean_s)
    pauses = tuple(-mean_s * np.log1p(-(np.arange(64) + 0.5) / 64))
    expected = kept(room, sessions / mean_s, *pauses)
    assert np.mean(found[10_000:]) == pytest.approx(expected, abs=0.02)
    assert 0.5 < expected < 0.75


def test_what_is_kept_and_the_rate_that_follows_agree():
    sessions = Sessions(10.0, tuple(np.linspace(1.0, 300.0, 64)))
    room = np.array([[5.0, 50.0, 500.0, 5000.0]])

    def rate(kept):
        return 8.0 / (1.0 + 6.0 * (1.0 - kept))

    found = settled_kept_frac(sessions, room, rate)
    assert found == pytest.approx(kept_frac(sessions, room, rate(found)), abs=1e-6)
    assert np.all(np.diff(found) > 0)
    assert found[0, -1] == 1.0


def curve(workload, ranks=4, loads=(0.1, 0.5, 1.0)):
    chosen = Configuration(H200, LLAMA, "vllm", "fp8", Parallelism(ranks))
    return serving_curve(FITTED, chosen, workload, TARGETS, np.ones(1), np.array(loads))


def with_pauses(*pause_s, shared_frac=0.0):
    return Workload(24_000, 400, cached_frac=0.9, sessions=Sessions(20.0, pause_s, shared_frac=shared_frac))


def test_longer_pauses_cost_cache_hits_and_capacity():
    free = curve(replace(with_pauses(0.0), sessions=None))
    curves = [curve(with_pauses(pause_s)) for pause_s in (0.0, 60.0, 600.0, 6000.0)]
    found = [c.cached_frac[0, -1] for c in curves]
    rates = [c.sustainable_requests_per_s for c in curves]
    assert free.cached_frac[0, -1] == 0.9
    assert np.all(np.diff(found) < 0)
    assert np.all(np.diff(rates) < 0)
    # who asks rarely finds the cache: the first requests of a day keep all, the busiest hour does not
    assert curves[2].cached_frac[0, 0] > curves[2].cached_frac[0, -1]
    shared = curve(with_pauses(6000.0, shared_frac=0.4))
    assert shared.cached_frac[0, -1] > 0.4
    assert shared.sustainable_requests_per_s > rates[-1]


def test_memory_for_more_contexts_keeps_more_of_them():
    small, large = (curve(with_pauses(120.0), ranks) for ranks in (2, 8))
    at = small.sustainable_requests_per_s / large.sustainable_requests_per_s
    large = curve(with_pauses(120.0), 8, loads=(at,))
    assert large.cached_frac[0, 0] > small.cached_frac[0, -1]


def test_a_slower_tier_keeps_sessions_and_costs_time_to_fetch():
    workload = with_pauses(600.0)
    chosen = Configuration(H200, LLAMA, "vllm", "fp8", Parallelism(4))
    bare, tiered, vast = (
        serving_curve(
            FITTED,
            replace(chosen, accelerator=replace(H200, cache_tier_bytes=size)),
            workload,
            TARGETS,
            np.ones(1),
            np.array([0.1, 1.0]),
        )
        for size in (0.0, 200e9, 1e15)
    )
    assert bare.cached_frac[0, -1] < tiered.cached_frac[0, -1] < vast.cached_frac[0, -1]
    assert vast.cached_frac[0, -1] == pytest.approx(workload.cached_frac)
    assert bare.sustainable_requests_per_s < tiered.sustainable_requests_per_s < vast.sustainable_requests_per_s
    # what no pause takes away needs no fetching: the tier costs nothing there, and a fetch where it does
    free = curve(replace(workload, sessions=None), loads=(0.1,))
    rate = 0.1 * free.sustainable_requests_per_s / vast.sustainable_requests_per_s
    fetched = serving_curve(
        FITTED,
        replace(chosen, accelerator=replace(H200, cache_tier_bytes=1e15)),
        with_pauses(60_000.0),
        TARGETS,
        np.ones(1),
        np.array([rate]),
    )
    cache_bytes = 0.9 * 24_000 * 160 * 1024  # 80 layers, 8 heads of 128, keys and values, one byte
    assert fetched.ttft_p50_s[0, 0] - free.ttft_p50_s[0, 0] == pytest.approx(cache_bytes / 4 / 50e9, rel=0.2)


def test_sessions_under_way_obey_littles_law():
    workload = with_pauses(60.0)
    found = curve(workload, loads=(0.4,))
    rate = 0.4 * found.sustainable_requests_per_s
    assert found.sessions[0, 0] == pytest.approx(rate * 60.0 + found.batch[0, 0] / 4.0)
    beside = replace(workload, sessions=replace(workload.sessions, streams=2.0))
    assert curve(beside, loads=(0.4,)).sessions[0, 0] == pytest.approx(found.sessions[0, 0] / 2.0)
    assert np.all(curve(replace(workload, sessions=None)).sessions == 0.0)


def test_prompts_that_lost_their_context_make_the_slowest_first_tokens():
    workload = with_pauses(600.0)
    rare = curve(replace(workload, sessions=None), loads=(0.3,))
    found = curve(workload, loads=(0.3,))
    assert found.cached_frac[0, 0] < 0.85  # more than one in twenty came back too late
    assert found.ttft_p95_s[0, 0] > 3.0 * rare.ttft_p95_s[0, 0]


def test_paused_sessions_shift_the_frontier_down():
    free, paused = (
        serving_frontier(FITTED, H200, LLAMA, w, max_accelerators=8, allow_disaggregated=True)
        for w in (replace(with_pauses(600.0), sessions=None), with_pauses(600.0))
    )
    for speed in (20.0, 40.0):
        at_free, at_paused = (f.accelerator_tokens_per_s[f.at_interactivity(speed)] for f in (free, paused))
        assert at_paused < at_free


def test_catalogue_sessions_pause_for_tools_and_people():
    workload, _ = workload_from_entry(entries("workloads")["agentic_workflows"])
    sessions = workload.sessions
    assert sessions.requests == pytest.approx(9.2 * 8.8)
    assert sessions.streams == 1.5
    # one pause in ten is a person's, a minute or more; tools mostly answer within the second
    assert np.mean(np.array(sessions.pause_s) > 30.0) == pytest.approx(0.1, abs=0.06)
    assert np.median(sessions.pause_s) < 1.0
    assert cached_frac(workload, 1.0) == workload.cached_frac
    alone, _ = workload_from_entry(
        entries("workloads")["enterprise_assistants"] | {"user_turns_per_task": 1.0, "llm_calls_per_turn": 1.0}
    )
    assert alone.sessions is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"requests": 0.5}, "Sessions.requests is 0.5; must be 1 or more"),
        ({"pause_s": ()}, "Sessions.pause_s is ()"),
        ({"pause_s": (2.0, 1.0)}, "must be times of 0 s or more, ascending"),
        ({"pause_s": (float("nan"),)}, "must be times of 0 s or more, ascending"),
        ({"streams": 0.0}, "Sessions.streams is 0.0; must be 1 or more"),
        ({"shared_frac": 1.0}, "Sessions.shared_frac is 1.0; must be in [0, 1)"),
    ],
)
def test_impossible_sessions_are_refused_by_name(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sessions(**{"requests": 5.0, "pause_s": (1.0,)} | values)


def test_more_shared_than_cached_is_refused():
    with pytest.raises(ValueError, match="must be at most cached_frac, 0.2"):
        Workload(100, 10, cached_frac=0.2, sessions=Sessions(2.0, (1.0,), shared_frac=0.5))
