"""Fields of a serving case as text: names, numbers and choices, each refused with its column and what is allowed."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Columns of a serving case that are read, with what they mean; of all others a case knows nothing.
INPUT_COLUMNS = {
    "case_id": "comes back with the answer",
    "source": "who measured it; InferenceX draws lengths at 0.8 to 1 of the nominal ones",
    "measured_on": "date; stands for the release where none is said",
    "accelerator": "catalogue id or name",
    "model": "catalogue id, name or repository",
    "weight_precision": "bf16, fp8, fp4 or int4 (awq, gptq)",
    "checkpoint": "published weights that differ from their precision's usual",
    "kv_precision": "of the cache, bf16 or fp8; blank: what engines pair with the weights",
    "engine": "vllm, sglang, trtllm, atom; blank: the average of those calibrated",
    "engine_version": "release, such as 0.5.9; blank: any",
    "statistic": "which one the latencies are: mean or median; blank: mean",
    "mode": "aggregated, or disaggregated: prefill apart from decode",
    "n_accelerators": "of the whole deployment; blank: those of one instance",
    "tensor_parallel": "blank: the smallest that fits",
    "pipeline_parallel": "blank: 1",
    "data_parallel": "attention ranks of an instance; blank: 1",
    "expert_parallel": "blank: 1",
    **{
        f"{pool}_{name}": f"of the {pool} pool: {meaning}"
        for pool in ("prefill", "decode")
        for name, meaning in (
            ("accelerators", "accelerators of all its workers"),
            ("workers", "instances"),
            ("tp", "tensor parallelism of a worker"),
            ("pp", "pipeline stages"),
            ("ep", "expert parallelism"),
            ("attention_dp", "attention data parallelism: ranks, or 1 for all of a worker"),
        )
    },
    "speculative": "what drafts tokens: none, mtp, nextn, eagle, eagle3, medusa, ngram or draft; blank: none",
    "draft_tokens": "drafted per step, at most 16; blank: 3 where something drafts",
    "draft_acceptance": "chance that a drafted token is kept, 0 to 1; blank: predicted",
    "input_tokens": "of a prompt, mean",
    "output_tokens": "of an answer, mean",
    "concurrency": "requests in flight, or `saturated`",
    "request_rate_per_s": "open arrivals at the whole deployment, in place of concurrency",
}
DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?![-\d])|(\d{4})(\d\d)(\d\d)-\d{6}", re.ASCII)
MOST_RELEASE_CHARACTERS = 128  # as many as a container image's tag has, which is how benchmarks name releases


def missing(name: str) -> str:
    """Raise the ValueError for a blank field that has no default; it names the field."""
    raise ValueError(f"{name} is blank; give a value")


def known_name(text: Mapping[str, str], column: str, known: Mapping[str, Any]) -> Any:
    """Return the catalogue's entry that a column names.

    Raises
    ------
    ValueError
        If the column is blank, or its name is not in `known`; lists what is.
    """
    name = text.get(column, "")
    if not name:
        raise ValueError(f"{column} is blank; give one of the catalogue's")
    if name not in known:
        raise ValueError(f"{column} {name!r} is not in the catalogue; it has {', '.join(sorted(known))}")
    return known[name]


def number(
    text: Mapping[str, str], column: str, *, least: float = -math.inf, above: float = -math.inf, whole: bool = False
) -> float:
    """Return the number in a column.

    Parameters
    ----------
    text : mapping
        A row's cells by column.
    column : str
        Which of them.
    least, above : float
        The number must be at least `least` and greater than `above`; never more than 1e12.
    whole : bool
        Whether it must be a whole number.

    Raises
    ------
    ValueError
        If the cell is blank, no number, or outside the bounds; names the column and what is allowed.
    """
    written = text.get(column, "")
    if not written:
        raise ValueError(f"{column} is blank; give a number")
    try:
        value = float(written)
    except ValueError:
        raise ValueError(f"{column} is {written!r}; must be a number") from None
    if not math.isfinite(value) or value < least or value <= above or value > 1e12:
        bound = f"{least:g} or more" if least > -math.inf else f"greater than {above:g}"
        raise ValueError(f"{column} is {written}; must be {bound} and finite")
    if whole and value != int(value):
        raise ValueError(f"{column} is {written}; must be a whole number")
    return value


def day_text(written: str) -> str:
    """Return a date as ISO writes it, as far as it is known (year, month, day): dates are compared as texts.

    Raises
    ------
    ValueError
        If it is written otherwise than `2026-01-21`, or as `vllm bench serve` does, `20260121-093000`.
    """
    found = DAY.match(written)
    parts = [part for part in found.groups() if part] if found else []
    _, month, day = (*map(int, parts), 1, 1, 1)[:3]
    if written and not (parts and 1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(f"measured_on is {written[:40]!r}; write it as 2026-01-21")
    return "-".join(parts)


def release_text(written: str) -> str:
    """Return an engine's release as it was written.

    Raises
    ------
    ValueError
        If it is longer than `MOST_RELEASE_CHARACTERS`.
    """
    if len(written) > MOST_RELEASE_CHARACTERS:
        raise ValueError(
            f"engine_version has {len(written):,} characters ({written[:20]!r} …); must be at most "
            f"{MOST_RELEASE_CHARACTERS}, as in 0.5.9"
        )
    return written


def count(text: Mapping[str, str], column: str) -> int | None:
    """Return a whole number of parallel ranks, None where blank; 0 means 1."""
    if not text.get(column):
        return None
    return max(1, int(number(text, column, least=0.0, whole=True)))


def choice(text: Mapping[str, str], column: str, allowed: Sequence[str], default: str) -> str:
    """Return the word in a column in lower case, `default` where it is blank.

    Raises
    ------
    ValueError
        If the word is not one of `allowed`; lists them.
    """
    word = text.get(column, "").lower() or default
    if word not in allowed:
        raise ValueError(f"{column} is {word!r}; must be one of {', '.join(allowed)}")
    return word
