"""Settings of serving engines that are handed out, with their types, as each engine's own parser takes them.

Dated tables of facts in `options/`, written by `tests/engine_parsers.py` in a throw-away environment that has
the engine; CONTRIBUTING.md says how to renew them. An engine whose parser could not be run is marked so, and every page
says it. A test holds every setting that is handed out against these tables.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = Path(__file__).with_name("options")
WHOLE, NUMBER, TEXT, FLAG, JSON, BOOLEAN, MAPPING = "whole", "number", "text", "flag", "json", "boolean", "mapping"
KINDS: dict[str, Any] = {
    WHOLE: int,
    NUMBER: float | int,
    TEXT: str,
    FLAG: type(None),
    BOOLEAN: bool,
    MAPPING: dict,
}
NAMES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM", "dynamo": "Dynamo"}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of one version of one engine; a tuple of words lists what an option may be."""

    name: str
    version: str
    read_on: str
    how: str  # the options were come by
    checked: bool  # by executing the engine's own parser on every kind of setting
    samples: int  # settings that it parsed
    options: Mapping[str, str | tuple[str, ...]]

    @property
    def status(self) -> str:
        """How far the settings can be trusted, in words."""
        if self.checked:
            return f"{self.samples} settings, of every kind handed out, were parsed on {self.read_on} by {self.how}"
        return f"not checked: {self.how} ({self.read_on})"

    def complaint(self, option: str, value: object) -> str:
        """Return what is wrong with a setting, blank if nothing is."""
        wanted = self.options.get(option)
        if wanted is None:
            return f"{self.name} {self.version} has no option {option}"
        if isinstance(wanted, tuple):
            fits = value in wanted
        elif wanted == JSON:
            return self._json_complaint(option, value)
        else:
            fits = isinstance(value, KINDS[wanted]) and not (wanted in (WHOLE, NUMBER) and isinstance(value, bool))
        return "" if fits else f"{self.name} {self.version}: {option} is {value!r}; must be {wanted}"

    def _json_complaint(self, option: str, value: object) -> str:
        try:
            given = json.loads(str(value))
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return f"{self.name} {self.version}: {option} is {value!r}; must be {JSON}"
        return next(filter(None, (self.complaint(f"{option}.{name}", inner) for name, inner in given.items())), "")


def _table(file: str, how: str, checked: bool = True) -> EngineOptions:
    """Return one table; `how` may name the versions that it holds for, by engine."""
    found = json.loads((TABLES / f"{file}.json").read_text())
    engine = file.partition("-")[0]
    return EngineOptions(
        NAMES[engine],
        found["versions"][engine],
        found["read_on"],
        how.format(**found["versions"]),
        checked,
        found["samples"],
        {option: tuple(kind) if isinstance(kind, list) else kind for option, kind in found["options"].items()},
    )


ENGINES = {
    "vllm": _table(
        "vllm", "the parser of `vllm serve` of vLLM {vllm}, and its engine arguments made of them; no accelerator"
    ),
    "sglang": _table(
        "sglang",
        "the server arguments of SGLang {sglang}, and resolved for a model with experts as its server does; no "
        "accelerator",
    ),
    "trtllm": _table(
        "trtllm",
        "its package on the public index only fetches the real one from elsewhere, and could not be installed; keys as "
        "in the public templates of ai-dynamo/aiconfigurator @095f58a51c for {trtllm}",
        checked=False,
    ),
}
#: What Dynamo's workers take: their own options, and those of the release of the engine that its image holds.
DYNAMO = {
    "vllm": _table(
        "dynamo-vllm",
        "the worker dynamo.vllm of Dynamo {dynamo} with its vLLM {vllm}; graph by the package's own model of it",
    ),
    "sglang": _table(
        "dynamo-sglang",
        "the worker dynamo.sglang of Dynamo {dynamo} with its SGLang {sglang}; graph by the package's own model of it",
    ),
    "trtllm": _table(
        "dynamo-trtllm",
        "the worker dynamo.trtllm of Dynamo {dynamo}, graph by the package's own model of it; the engine's file was "
        "not checked, nor its TensorRT-LLM 1.3.0rc29 installed",
    ),
}
