"""Parse launch settings with an engine's own parser, and write down the options that it took.

Run as a file by the Python of a throw-away environment that has the engine (CONTRIBUTING.md says how); it imports
nothing of this project. A setting that the parser refuses is printed, and nothing is written.
"""

import asyncio
import json
import sys
import tempfile
from argparse import Action, ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

Words = list[str]
Parse = Callable[[Words], object]
# Of a model with all that settings can ask for: experts, latent attention and a prediction module of its own.
MODEL_CONFIG = "DeepseekV3Config"
# In the operator's API types (v1beta1), and not in the model that the package has.
KNOWN_BESIDE = (".spec.backendFramework",)


def vllm_on_cuda() -> None:
    """Let vLLM take its platform for CUDA, without an accelerator and without its compiled kernels."""
    for name in ("_C", "_C_stable_libtorch", "_moe_C", "_moe_C_stable_libtorch"):
        sys.modules[f"vllm.{name}"] = ModuleType(f"vllm.{name}")
    platforms: Any = import_module("vllm.platforms")
    platforms.resolve_current_platform_cls_qualname = lambda: "vllm.platforms.cuda.NonNvmlCudaPlatform"
    platforms._current_platform = None


def vllm_parser() -> ArgumentParser:
    """Return a parser of vLLM's engine arguments; those that only can be words carry them as choices."""
    parser: ArgumentParser = import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
    import_module("vllm.engine.arg_utils").AsyncEngineArgs.add_cli_args(parser)
    methods = import_module("vllm.model_executor.layers.quantization").QUANTIZATION_METHODS
    words = {"--kv-cache-dtype": get_args(import_module("vllm.config.cache").CacheDType), "--quantization": methods}
    for option, choices in words.items():
        parser._option_string_actions[option].choices = list(choices)
    return parser


def vllm() -> tuple[ArgumentParser, Parse]:
    """Return vLLM's parser, and what reads settings with it and with the parser of `vllm serve`."""
    vllm_on_cuda()
    parser, arguments = vllm_parser(), import_module("vllm.engine.arg_utils").AsyncEngineArgs
    blank = import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
    serve = import_module("vllm.entrypoints.common.cli_args").make_arg_parser(blank)

    def parse(words: Words) -> object:
        parser.parse_args(words[1:])  # without the model, which only `vllm serve` takes so
        found = arguments.from_cli_args(serve.parse_args(words))
        check_vllm_json(found.kv_transfer_config, found.speculative_config)
        return found

    return parser, parse


def check_vllm_json(transfer: Any, drafts: Mapping[str, Any] | None) -> None:
    """Read the settings that are JSON as vLLM's own classes do; raises where they would."""
    config = import_module("vllm.config")
    if isinstance(transfer, dict):
        config.KVTransferConfig(**transfer)
    if drafts:
        known = config.SpeculativeConfig.__dataclass_fields__
        if unknown := set(drafts) - set(known):
            raise ValueError(f"speculative_config has no {', '.join(sorted(unknown))}")
        if f"'{drafts['method']}'" not in str(known["method"].type):
            raise ValueError(f"speculative_config has no method {drafts['method']}")


def sglang() -> tuple[ArgumentParser, Parse]:
    """Return SGLang's parser, and what reads settings with it and resolves them for a model as its server does."""
    server: Any = import_module("sglang.srt.server_args")
    parser = ArgumentParser(allow_abbrev=False)
    server.ServerArgs.add_cli_args(parser)
    folder = model_folder()

    def parse(words: Words) -> object:
        parser.parse_args(words)
        resolved = server.prepare_server_args([*words, "--model-path", folder, "--device", "cuda"])
        resolved.resolve_once()
        return resolved

    return parser, parse


def model_folder() -> str:
    """Return a folder with a model's config.json and nothing else."""
    config = getattr(import_module("transformers"), MODEL_CONFIG)().to_dict()
    config |= {"architectures": ["DeepseekV3ForCausalLM"], "dtype": "bfloat16", "max_position_embeddings": 163840}
    folder = tempfile.mkdtemp()
    (Path(folder) / "config.json").write_text(json.dumps(config))
    return folder


def dynamo(engine: str) -> tuple[ArgumentParser, Parse]:
    """Return the parser of a Dynamo worker, and what reads its arguments as the worker does."""
    folder = ""
    if engine == "vllm":
        vllm_on_cuda()
    elif engine == "trtllm":
        stand_in_for_tensorrt_llm()
    else:
        folder = model_folder()
    worker: Any = import_module(f"dynamo.{engine}.args")
    group = import_module(f"dynamo.{engine}.backend_args")
    parser = ArgumentParser(allow_abbrev=False)
    runtime = import_module("dynamo.common.configuration.groups.runtime_args").DynamoRuntimeArgGroup
    names = {"vllm": "DynamoVllmArgGroup", "sglang": "DynamoSGLangArgGroup", "trtllm": "DynamoTrtllmArgGroup"}
    for part in (runtime, getattr(group, names[engine])):
        part().add_arguments(parser)
    engines_own = {"vllm": vllm_parser, "sglang": sglang_parser}.get(engine)
    if engines_own is not None:
        for action in engines_own()._actions:
            if action.option_strings and not set(action.option_strings) & set(parser._option_string_actions):
                parser._add_action(action)

    def parse(words: Words) -> object:
        found = worker.parse_args([*words, "--model-path", folder] if folder else words)
        return asyncio.run(found) if asyncio.iscoroutine(found) else found

    return parser, parse


def sglang_parser() -> ArgumentParser:
    """Return the parser of SGLang's server arguments."""
    parser = ArgumentParser(allow_abbrev=False)
    import_module("sglang.srt.server_args").ServerArgs.add_cli_args(parser)
    return parser


def stand_in_for_tensorrt_llm() -> None:
    """Let Dynamo's worker read defaults of TensorRT-LLM, which no public package index holds."""
    outer, inner = ModuleType("tensorrt_llm"), ModuleType("tensorrt_llm.llmapi")
    default = type("Default", (), {"default": None})
    fields = dict.fromkeys(("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width"), default)
    vars(inner)["BuildConfig"] = type("BuildConfig", (), {"model_fields": fields})
    sys.modules |= {"tensorrt_llm": outer, "tensorrt_llm.llmapi": inner}


def kind_of(action: Action, value: str | None) -> str | list[str]:
    """Return what an option takes: words of a choice, or the name of a type."""
    if action.nargs == 0 or value is None:
        return "flag"
    if action.choices:
        return [str(choice) for choice in action.choices]
    if value.startswith("{"):
        return "json"
    return kind_of_value(action.type(value) if callable(action.type) else value)


def kind_of_value(value: object) -> str:
    """Return the name of a value's type."""
    return "whole" if isinstance(value, int) else "number" if isinstance(value, float) else "text"


def options_of(parser: ArgumentParser, samples: Iterable[Words]) -> dict[str, str | list[str]]:
    """Return the options that samples use, as the parser declares them."""
    actions = {name: action for action in parser._actions for name in action.option_strings}
    found: dict[str, str | list[str]] = {}
    for words in samples:
        for word, following in zip(words, [*words[1:], None], strict=True):
            if word.startswith("--") and word in actions and word not in found:
                found[word] = kind_of(actions[word], following)
            if following and found.get(word) == "json":
                found |= {f"{word}.{name}": kind_of_value(value) for name, value in json.loads(following).items()}
    return dict(sorted(found.items()))


def refusals(parse: Parse, samples: Iterable[Words]) -> list[str]:
    """Return what the parser says of those samples that it does not take."""
    said = []
    for words in samples:
        try:
            parse(list(words))
        except (Exception, SystemExit) as refused:  # noqa: BLE001  (parsers raise anything, and leave)
            said.append(f"{' '.join(words)}\n    {type(refused).__name__}: {refused}")
    return said


def graph_model() -> Any:
    """Return Dynamo's own model of a graph, without the planner around it, whose packages settings do not need."""
    location = Path(str(import_module("dynamo.common").__file__)).parent.parent
    for name in ("planner", "profiler"):
        package = ModuleType(f"dynamo.{name}")
        package.__path__ = [str(location / name)]
        sys.modules[package.__name__] = package
    return import_module("dynamo.profiler.utils.config").Config


def unknown_names(value: Any, place: str = "") -> Iterator[str]:
    """Yield the names in a graph that its model does not know."""
    if isinstance(value, list):
        for item in value:
            yield from unknown_names(item, place)
    fields = getattr(type(value), "model_fields", {})
    yield from (f"{place}.{name}" for name in getattr(value, "model_extra", None) or {})
    for name in fields:
        yield from unknown_names(getattr(value, name), f"{place}.{name}")


def graph_refusals(graphs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what Dynamo's own model of a graph says of graphs that it does not take, and names it does not know."""
    model = graph_model()
    said = []
    for graph in graphs:
        try:
            found = model.model_validate(graph)
        except ValueError as refused:
            said.append(f"{graph['metadata']['name']}: {refused}")
        else:
            said += [f"the graph has no {name}" for name in unknown_names(found) if name not in KNOWN_BESIDE]
    return sorted(set(said))


def read(target: str, samples: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return the table of what an engine took, and what it refused."""
    wrapper, _, engine = target.rpartition("-")
    mine = [sample for sample in samples if sample["engine"] == engine]
    field = "worker_words" if wrapper else "words"
    words = [list(text) for text in sorted({tuple(sample[field]) for sample in mine})]
    parser, parse = dynamo(engine) if wrapper else {"vllm": vllm, "sglang": sglang}[engine]()
    said = refusals(parse, words)
    versions = {wrapper or engine: metadata.version("ai-dynamo" if wrapper else engine)}
    if wrapper:
        said += graph_refusals(sample["graph"] for sample in mine)
        if engine != "trtllm":
            versions[engine] = metadata.version(engine)
    table = {
        "versions": versions,
        "read_on": datetime.now(UTC).date().isoformat(),
        "samples": len(words),
        "options": {} if said else options_of(parser, words),
    }
    return table, said


def main() -> int:
    """Check `samples` with the engine named, and write its table."""
    target, samples, out = sys.argv[1:]
    table, said = read(target, json.loads(Path(samples).read_text()))
    if said:
        sys.stderr.write("\n".join(["refused:", *said, ""]))
        return 1
    Path(out).write_text(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
