"""Launch settings of a configuration: commands and files for vLLM, SGLang and TensorRT-LLM, and a graph for Dynamo.

What an engine leaves to its default is left out. Settings come from `engine_options`, which says what was checked.
"""

import json
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
import yaml

from compute.calibration.cases import usual_kv_precision
from compute.steady.pins import Pin, Software, pin_from_text
from compute.steady.serving import Configuration
from compute.steps.roofline import Parallelism
from compute.steps.rules import BUILT_IN
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import WorkloadRow
from twin.core.serving.engine_options import DYNAMO, ENGINES

MEMORY_FRAC = 0.9
CONTEXT_STEP = 1024
MODULES = {"vllm": "dynamo.vllm", "sglang": "dynamo.sglang", "trtllm": "dynamo.trtllm"}
IMAGES = {"vllm": "vllm-runtime", "sglang": "sglang-runtime", "trtllm": "tensorrtllm-runtime"}


@dataclass(frozen=True, slots=True)
class LaunchQuestion:
    """What is launched: a configuration, its model and what it must hold."""

    pin: Pin
    model: Mapping[str, Any]  # catalogue entry
    precision: str
    kv_precision: str
    context_tokens: int  # longest request
    accelerators_per_node: int
    software: Software = Software()  # that the configuration was computed for

    @property
    def repository(self) -> str:
        """What the engine loads; the model's own repository, whatever its precision."""
        return str(self.model.get("hf_repo") or self.model.get("name") or self.model["id"])

    @property
    def drafts_itself(self) -> bool:
        """Whether the model's own prediction module drafts tokens."""
        return bool(self.pin.draft_tokens) and self.pin.drafting.kind in BUILT_IN


@dataclass(frozen=True, slots=True)
class Launch:
    """Settings of one engine for all parts of a unit."""

    engine: str  # id
    name: str
    version: str
    status: str
    checked: bool
    parts: tuple[dict[str, Any], ...]  # role, instances, accelerators, command, file name and text where there is one
    graph: str  # of Dynamo, with this engine's workers
    graph_status: str
    notes: tuple[str, ...]


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a file inside a file can be read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def pin_of(configuration: Configuration) -> Pin:
    """Return a configuration that was found as one that is decided."""
    c = configuration
    return Pin(
        c.parallelism,
        c.prefill_parallelism,
        c.prefill_instances,
        c.decode_instances,
        c.weight_precision,
        c.draft_tokens,
        c.batch,
        c.kv_precision,
        c.checkpoint,
        c.drafting,
    )


def launches_of_run(per_workload: Sequence[WorkloadRow], inputs: LayoutInputs) -> list[dict[str, Any]]:
    """Return the settings for what a finished run serves each use case with.

    Returns
    -------
    list of dict
        `workload`, `name`, `model_name`, `configuration`, `launches`, and `reason` where there are none.
    """
    return [
        {name: getattr(row, name) for name in ("workload", "name", "model_name", "configuration")}
        | dict(zip(("launches", "reason"), _row_launches(row, inputs), strict=True))
        for row in per_workload
    ]


def _row_launches(row: WorkloadRow, inputs: LayoutInputs) -> tuple[list[dict[str, Any]], str]:
    sheet = inputs.products.models.get(row.model)
    if not row.feasible or not row.configuration or sheet is None:
        return [], row.reason or "nothing serves it"
    try:
        pin = pin_from_text(row.configuration)
    except ValueError:  # runs of other versions may write it otherwise
        return [], "this run wrote its configuration as this version does not read it; run it again"
    model = {"id": sheet.slug, "name": sheet.name, **sheet.facts}
    limit = float(model.get("max_context_tokens") or 131072)
    context = context_limit(float(row.longest_tokens or np.inf), float(row.mean_tokens or limit), limit)
    precision = row.weight_precision
    question = LaunchQuestion(
        pin,
        model,
        precision,
        pin.kv_precision or usual_kv_precision(precision),
        context,
        _node_size(row.accelerator, inputs),
        Software(inputs.scenario.engine, inputs.scenario.engine_version),
    )
    return [asdict(launch) for launch in launches(question)], ""


def _node_size(accelerator: str, inputs: LayoutInputs) -> int:
    """Return how many of an accelerator one server or compute tray of the layout has."""
    systems = (sheet.facts for sheet in inputs.products.by_id.values() if sheet.facts.get("accelerator") == accelerator)
    facts = next(systems, {})
    return max(1, int(facts.get("accelerators_per_system") or 8) // int(facts.get("compute_trays") or 1))


def launches(question: LaunchQuestion) -> list[Launch]:
    """Return the settings for every engine, in the order of `engine_options.ENGINES`."""
    return [_launch(engine, question) for engine in ENGINES]


def roles(pin: Pin) -> list[tuple[str, Parallelism, int]]:
    """Return role, parallelism and number of the instances of a unit."""
    if pin.prefill is None:
        return [("aggregated", pin.parallelism, pin.decode_instances)]
    return [("prefill", pin.prefill, pin.prefill_instances), ("decode", pin.parallelism, pin.decode_instances)]


def engine_settings(engine: str, question: LaunchQuestion, role: str, parallelism: Parallelism) -> dict[str, Any]:
    """Return options of one instance as the engine's parser takes them; None stands for a flag without a value."""
    return {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}[engine](question, role, parallelism)


def _seats(question: LaunchQuestion, role: str, ranks: int) -> int | None:
    """Return the most requests that one scheduler takes in, None where it is the engine's own limit."""
    batch = question.pin.batch
    return None if batch is None or role == "prefill" else max(1, ceil(batch / ranks))


def _vllm(question: LaunchQuestion, role: str, p: Parallelism) -> dict[str, Any]:
    found: dict[str, Any] = {"--tensor-parallel-size": p.tensor_parallel}
    if p.pipeline_parallel > 1:
        found["--pipeline-parallel-size"] = p.pipeline_parallel
    if p.attention_data_parallel > 1:
        found["--data-parallel-size"] = p.attention_data_parallel
    if p.expert_parallel > 1:
        found["--enable-expert-parallel"] = None
    found["--max-model-len"] = question.context_tokens
    found["--gpu-memory-utilization"] = MEMORY_FRAC
    found["--kv-cache-dtype"] = "fp8" if question.kv_precision == "fp8" else "bfloat16"
    if (seats := _seats(question, role, p.attention_data_parallel)) is not None:
        found["--max-num-seqs"] = seats
    if _quantises_on_load(question):
        found["--quantization"] = "fp8"
    if question.drafts_itself and role != "prefill":
        found["--speculative-config"] = json.dumps(
            {"method": "mtp", "num_speculative_tokens": question.pin.draft_tokens}
        )
    if role != "aggregated":
        found["--kv-transfer-config"] = json.dumps({"kv_connector": "NixlConnector", "kv_role": "kv_both"})
    return found


def _sglang(question: LaunchQuestion, role: str, p: Parallelism) -> dict[str, Any]:
    found: dict[str, Any] = {"--tp-size": p.stage_accelerators}
    if p.pipeline_parallel > 1:
        found["--pp-size"] = p.pipeline_parallel
    if p.attention_data_parallel > 1:
        found["--attn-dp-size"] = p.attention_data_parallel
    if p.expert_parallel > 1:
        found["--ep-size"] = p.expert_parallel
    found["--context-length"] = question.context_tokens
    found["--mem-fraction-static"] = MEMORY_FRAC
    found["--kv-cache-dtype"] = "fp8_e4m3" if question.kv_precision == "fp8" else "bf16"
    if (seats := _seats(question, role, 1)) is not None:
        found["--max-running-requests"] = seats
    if _quantises_on_load(question):
        found["--quantization"] = "fp8"
    if question.drafts_itself and role != "prefill":
        found |= {
            "--speculative-algorithm": "NEXTN",
            "--speculative-num-steps": question.pin.draft_tokens,
            "--speculative-eagle-topk": 1,
            "--speculative-num-draft-tokens": question.pin.draft_tokens + 1,
        }
    if role != "aggregated":
        found |= {"--disaggregation-mode": role, "--disaggregation-transfer-backend": "nixl"}
    return found


def _trtllm(question: LaunchQuestion, role: str, p: Parallelism) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tensor_parallel_size": p.stage_accelerators,
        "pipeline_parallel_size": p.pipeline_parallel,
        "enable_attention_dp": p.attention_data_parallel > 1,
        "max_seq_len": question.context_tokens,
        "kv_cache_config": {
            "free_gpu_memory_fraction": MEMORY_FRAC,
            "dtype": "fp8" if question.kv_precision == "fp8" else "auto",
        },
    }
    if p.expert_parallel > 1:
        found["moe_expert_parallel_size"] = p.expert_parallel
    if (seats := _seats(question, role, p.attention_data_parallel)) is not None:
        found["max_batch_size"] = seats
    if question.drafts_itself and role != "prefill":
        found["speculative_config"] = {
            "decoding_type": "MTP",
            "num_nextn_predict_layers": question.pin.draft_tokens,
        }
    if role != "aggregated":
        found["cache_transceiver_config"] = {
            "backend": "DEFAULT",
            "max_tokens_in_buffer": question.context_tokens,
        }
    return found


def _stored(question: LaunchQuestion) -> str:
    native = str(question.model.get("native_precision") or "bf16")
    return next((p for p in ("fp4", "int4", "fp8") if p in native), "bf16")


def _quantises_on_load(question: LaunchQuestion) -> bool:
    """Whether the engine itself makes FP8 of BF16 weights; a checkpoint that is named is stored as it runs."""
    return question.precision == "fp8" and _stored(question) == "bf16" and not question.pin.checkpoint


def words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as the words of a command line."""
    return [word for name, value in settings.items() for word in ((name,) if value is None else (name, str(value)))]


def _launch(engine: str, question: LaunchQuestion) -> Launch:
    known = ENGINES[engine]
    parts = []
    for role, parallelism, instances in roles(question.pin):
        settings = engine_settings(engine, question, role, parallelism)
        part: dict[str, Any] = {
            "role": role,
            "instances": instances,
            "accelerators": parallelism.accelerators,
            "settings": settings,
        }
        if engine == "vllm":
            command = ["vllm", "serve", question.repository, *words(settings)]
        elif engine == "sglang":
            command = ["python3", "-m", "sglang.launch_server", "--model-path", question.repository, *words(settings)]
        else:
            name = f"{role}.yaml"
            command = ["trtllm-serve", question.repository, "--extra_llm_api_options", name]
            text = _header(f"{known.name} {known.version}", known.status) + yaml.safe_dump(settings, sort_keys=False)
            part |= {"file": name, "text": text}
        parts.append(part | {"command": shlex.join(command)})
    return Launch(
        engine=engine,
        name=known.name,
        version=known.version,
        status=known.status,
        checked=known.checked,
        parts=tuple(parts),
        graph=_header(f"Dynamo {DYNAMO[engine].version}", DYNAMO[engine].status)
        + yaml.dump_all(dynamo_documents(engine, question), Dumper=_Dumper, sort_keys=False),
        graph_status=DYNAMO[engine].status,
        notes=_notes(engine, question),
    )


def _header(name: str, status: str) -> str:
    """Return what a file begins with: whose settings it holds, and how far they were checked."""
    return textwrap.fill(f"{name}; {status}", 100, initial_indent="# ", subsequent_indent="# ") + "\n"


def _notes(engine: str, question: LaunchQuestion) -> tuple[str, ...]:
    stored, notes = _stored(question), []
    known, version = ENGINES[engine], question.software.engine_version
    if version and question.software.engine == engine and version != known.version:
        notes.append(f"these are settings of {known.name} {known.version}, not checked for {version}, which was stated")
    if question.pin.checkpoint:
        notes.append(f"load the checkpoint {question.pin.checkpoint} in place of {question.repository}")
    if question.precision != stored and not (_quantises_on_load(question) and engine != "trtllm"):
        notes.append(
            f"{question.repository} holds {stored.upper()} weights; name a checkpoint in {question.precision.upper()}"
        )
    widest = max(parallelism.accelerators for _, parallelism, _ in roles(question.pin))
    if widest > question.accelerators_per_node:
        notes.append(
            f"an instance of {widest} accelerators spans nodes of {question.accelerators_per_node}: start it on each, "
            "or by Dynamo's graph"
        )
    notes += _differences(engine, question)
    if question.pin.prefill is not None and engine in ("vllm", "trtllm"):
        notes.append("a router must join prefill and decode instances; Dynamo's graph brings one")
    if question.pin.draft_tokens and not question.drafts_itself:
        notes.append(
            f"{question.pin.draft_tokens} tokens per step are drafted by {question.pin.drafting.kind}: add the options "
            "of the engine that name what drafts"
        )
    elif question.pin.draft_tokens and engine == "trtllm":
        notes.append("drafts by the model's own prediction module")
    return tuple(notes)


def _differences(engine: str, question: LaunchQuestion) -> list[str]:
    """Return where an engine cannot run a configuration as it is written, or runs it otherwise by its own defaults."""
    found = []
    for role, p, _ in roles(question.pin):
        prefix = "" if role == "aggregated" else f"{role}: "
        if engine == "vllm" and 1 < p.expert_parallel < p.stage_accelerators:
            found.append(
                f"{prefix}vLLM lays experts over all {p.stage_accelerators} ranks of a stage, not over "
                f"{p.expert_parallel}"
            )
        if engine == "trtllm" and p.attention_data_parallel > 1 and p.tensor_parallel > 1:
            found.append(
                f"{prefix}TensorRT-LLM repeats attention on each of the {p.stage_accelerators} ranks; TP "
                f"{p.tensor_parallel} inside of them cannot be set"
            )
    if engine == "sglang" and question.drafts_itself and question.pin.batch is None:
        found.append(
            "SGLang takes 48 requests at once where it drafts, unless --max-running-requests is set: pin a batch for it"
        )
    return found


def dynamo_documents(engine: str, question: LaunchQuestion) -> list[dict[str, Any]]:
    """Return Dynamo's graph for workers of one engine, before it the files that they read."""
    image = f"nvcr.io/nvidia/ai-dynamo/{IMAGES[engine]}:{DYNAMO[engine].version}"
    name = "".join(c if c.isalnum() else "-" for c in f"{question.model['id']}-{engine}".lower()).strip("-")
    components: list[dict[str, Any]] = [
        {
            "name": "Frontend",
            "type": "frontend",
            "replicas": 1,
            "podTemplate": {"spec": {"containers": [_container(image, "dynamo.frontend", [])]}},
        }
    ]
    files: dict[str, str] = {}
    for role, parallelism, instances in roles(question.pin):
        settings = engine_settings(engine, question, role, parallelism)
        container = _container(image, MODULES[engine], words(dynamo_settings(engine, question, role, settings)))
        nodes = ceil(parallelism.accelerators / question.accelerators_per_node)
        limit = ceil(parallelism.accelerators / nodes)
        container["resources"] = {"limits": {"nvidia.com/gpu": str(limit)}}
        spec: dict[str, Any] = {"containers": [container]}
        if engine == "trtllm":
            files[f"{role}.yaml"] = yaml.safe_dump(settings, sort_keys=False)
            container["volumeMounts"] = [{"name": "engine", "mountPath": "/engine"}]
            spec["volumes"] = [{"name": "engine", "configMap": {"name": f"{name}-engine"}}]
        component: dict[str, Any] = {
            "name": role if role != "aggregated" else "worker",
            "type": role if role != "aggregated" else "worker",
            "replicas": instances,
        }
        if nodes > 1:
            component["multinode"] = {"nodeCount": nodes}
        components.append(component | {"podTemplate": {"spec": spec}})
    graph = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name},
        "spec": {"backendFramework": engine, "components": components},
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-engine"},
        "data": files,
    }
    return [config, graph] if files else [graph]


def _container(image: str, module: str, arguments: list[str]) -> dict[str, Any]:
    return {"name": "main", "image": image, "command": ["python3", "-m", module]} | (
        {"args": arguments} if arguments else {}
    )


def dynamo_settings(engine: str, question: LaunchQuestion, role: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of one Dynamo worker: its own, and those of the release of the engine that it holds."""
    found: dict[str, Any] = {
        "--model-path" if engine == "sglang" else "--model": question.repository,
        "--served-model-name": question.repository,
    }
    if engine == "trtllm":
        found["--extra-engine-args"] = f"/engine/{role}.yaml"
    for option, value in settings.items() if engine != "trtllm" else ():
        # SGLang 0.5.21, which Dynamo 1.6.1 holds, does not know the option that 0.5.23 has in place of these two
        found |= {"--dp-size": value, "--enable-dp-attention": None} if option == "--attn-dp-size" else {option: value}
    if role != "aggregated" and engine != "sglang":  # SGLang's own option of that name says it
        found["--disaggregation-mode"] = role
    return found


def context_limit(longest: float, mean: float, model_limit: float) -> int:
    """Return the context to launch with: the longest request, rounded up; where none is known, four times the mean."""
    wanted = longest if longest < 1e8 else 4.0 * mean
    return int(min(model_limit, CONTEXT_STEP * ceil(wanted / CONTEXT_STEP)))
