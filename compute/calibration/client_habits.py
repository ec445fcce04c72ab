"""How a benchmark's client, and the settings of its scripts, bear on measured times to the first token.

No column of a case states how many requests a client sends in all (those in flight are sent at once at its start and
wait for each other), whether it warms the engine up, and how often the engine looks for new requests. InferenceX
publishes all three with its scripts (github.com/SemiAnalysisAI/InferenceX, history read on 2026-12-01).
"""

from collections.abc import Mapping
from dataclasses import dataclass

START_FRAC = 0.1  # ten requests for each in flight
# The client sends two requests for each in flight before it measures since its pull request 480. Pools apart are
# measured by a client that always did so, one load after another on one engine (sa-bench, github.com/NVIDIA/srt-slurm).
WARMS_UP_FROM = "2026-01-21"
# Until that day these were sent 50 requests of DeepSeek-R1 for each in flight, 20 where answers are long: accelerator,
# engine, weight precision.
MORE_REQUESTS_OF = "deepseek-r1"
MORE_REQUESTS = (
    ("b200-sxm", "sglang", "fp8"),
    ("mi355x", "sglang", "fp8"),
    ("mi355x", "sglang", "fp4"),
    ("mi355x", "atom", "fp8"),
    ("mi355x", "atom", "fp4"),
)
MORE_START_FRAC, MORE_LONG_START_FRAC = 1.0 / 50.0, 1.0 / 20.0
# SGLang looks for new requests after as many steps of generation: scheduler-recv-interval on Blackwell, for few and
# for many in flight, and num-continuous-decode-steps on AMD. Its default, 1, stands elsewhere.
LOOKING_MODELS = ("deepseek-r1", "qwen3.5")
MANY_IN_FLIGHT = 16.0
LOOK_STEPS, FEW_LOOK_STEPS, AMD_LOOK_STEPS = 30.0, 10.0, 4.0
FEW_LOOK_RANKS = ("fp8", "4.")  # weight precision and tensor parallelism that keep the interval of few requests


@dataclass(frozen=True, slots=True)
class ClientHabits:
    """What a client and its engine's settings make of times to the first token.

    Attributes
    ----------
    start_frac : float
        Share of its requests that a client sends at once at its start.
    warms_up : bool
        Whether the engine has served such requests before, so that its kernels are compiled.
    look_steps : float
        Steps of generation from one look for new requests to the next.
    """

    start_frac: float = START_FRAC
    warms_up: bool = True
    look_steps: float = 1.0

    def described(self) -> str:
        """Return the habits in words."""
        start = "warmed up" if self.warms_up else "not warmed up"
        looks = f"a look for new requests every {self.look_steps:.0f} steps" if self.look_steps > 1 else ""
        return ", ".join(filter(None, (f"{1.0 / self.start_frac:.0f} requests for each in flight", start, looks)))


def client_habits(protocol: str, measured_on: str, attributes: Mapping[str, str], concurrency: float) -> ClientHabits:
    """Return the habits of the client that measured a case: today's InferenceX's where nothing names another.

    Parameters
    ----------
    protocol : str
        As `case_protocol` returns it. What other benchmarks' starts do is in the coefficients fitted to their runs.
    measured_on : str
        ISO date, blank where unknown.
    attributes : mapping
        Accelerator, generation, engine, model, precision, layout, ranks, mode and answers of the case.
    concurrency : float
        Requests in flight over the deployment.
    """
    if protocol not in ("", "inferencex"):
        return ClientHabits(warms_up=False)
    if not protocol or attributes["mode"] != "aggregated":
        return ClientHabits()
    a = attributes
    warms_up = not measured_on or measured_on >= WARMS_UP_FROM
    start_frac = START_FRAC
    sends_more = a["model"] == MORE_REQUESTS_OF and (a["accelerator"], a["engine"], a["precision"]) in MORE_REQUESTS
    if sends_more and not warms_up:
        start_frac = MORE_START_FRAC if a["answers"] == "short" else MORE_LONG_START_FRAC
    return ClientHabits(start_frac, warms_up, _look_steps(a, concurrency))


def _look_steps(a: Mapping[str, str], concurrency: float) -> float:
    """Return the steps of generation between two looks for new requests that the scripts set."""
    if a["engine"] != "sglang" or not a["model"].startswith(LOOKING_MODELS):
        return 1.0
    if a["generation"].startswith("cdna"):
        return AMD_LOOK_STEPS
    if a["generation"] != "blackwell" or a["layout"] == "dp":
        return 1.0
    precision, ranks = FEW_LOOK_RANKS
    looks_often = a["precision"] == precision and a["ranks"].startswith(ranks)
    return FEW_LOOK_STEPS if concurrency < MANY_IN_FLIGHT or looks_often else LOOK_STEPS
