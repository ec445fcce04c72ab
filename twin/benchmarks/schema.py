"""What the API answers, held to its own OpenAPI document; `twin.benchmarks.generated_requests` says how."""

from collections.abc import Iterator
from importlib.util import find_spec

from twin.benchmarks.measure import Benchmark, in_own_process

N_CASES = 5000
PROGRAM = (
    "import json, sys; from twin.benchmarks import generated_requests; "
    "print(json.dumps(generated_requests.measure({n_cases}, sys.stderr.write)))"
)


def benchmarks() -> Iterator[Benchmark]:
    """Yield how many of the generated requests were answered as the document does not say."""
    if find_spec("schemathesis") is None:
        raise RuntimeError("it needs schemathesis, which `make test` installs")
    measured = in_own_process(PROGRAM.format(n_cases=N_CASES))
    yield Benchmark(
        "API answers off the document",
        f"{measured['cases']:,} requests, {measured['in_sequences']:,} in sequences",
        len(measured["misses"]),
        "kinds",
        0.0,
        higher_is_better=False,
        cpu_s=measured["cpu_s"],
        peak_bytes=measured["peak_bytes"],
        note="; ".join(measured["misses"]),
    )
