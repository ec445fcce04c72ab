"""Measured runs as people have them, beside what is predicted for them: InferenceX rows, vLLM and SGLang bench results.

`RESULT_COLUMNS` and `BENCH_COLUMNS` are the tables of what their fields are called. A bench result does not say what it
ran on; the columns that it lacks are asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from compute.accelerators import Accelerator
from compute.calibration.cases import case_table, parse_case
from compute.calibration.coefficients import CoefficientSet, split_values
from compute.calibration.fitting import solve_cases
from compute.model_shapes import ModelShape
from compute.prediction.rows import PREDICTED, predict_rows
from compute.steady.pins import pin_from_text
from compute.steps.roofline import StepCosts, step_costs, step_time_s

Row = Mapping[str, Any]

SOURCE = "InferenceX"  # whose lengths are drawn at 0.8 to 1 of the nominal ones
# Fields of an InferenceX or InferenceMAX row, newest name first (public results of SemiAnalysisAI/InferenceX, read
# 2026-11). Numbers of `metrics` stand in a mapping of that name or beside the others.
RESULT_COLUMNS: dict[str, tuple[str, ...]] = {
    "accelerator": ("hardware", "hw", "device"),
    "engine": ("framework",),
    "model": ("model", "infmax_model_prefix", "model_prefix"),
    "weight_precision": ("precision",),
    "speculative": ("spec_method", "spec_decoding", "mtp"),
    "tensor_parallel": ("tp",),
    "expert_parallel": ("ep",),
    "input_tokens": ("isl",),
    "output_tokens": ("osl",),
    "concurrency": ("conc",),
    "measured_on": ("date",),
    "prefill_accelerators": ("num_prefill_gpu",),
    "decode_accelerators": ("num_decode_gpu",),
    "prefill_tp": ("prefill_tp",),
    "prefill_pp": ("prefill_pp",),
    "prefill_ep": ("prefill_ep",),
    "prefill_attention_dp": ("prefill_dp_attention",),
    "prefill_workers": ("prefill_num_workers",),
    "decode_tp": ("decode_tp",),
    "decode_pp": ("decode_pp",),
    "decode_ep": ("decode_ep",),
    "decode_attention_dp": ("decode_dp_attention", "dp_attention"),
    "decode_workers": ("decode_num_workers",),
}
RESULT_MARKS = ("isl", "osl", "conc")  # that a result row cannot be without
ACCELERATORS = {
    "h100": "h100-sxm",
    "h200": "h200-sxm",
    "h20": "h20-sxm",
    "b200": "b200-sxm",
    "b300": "b300-sxm",
    "gb200": "gb200",
    "gb300": "gb300",
    "mi300x": "mi300x",
    "mi325x": "mi325x",
    "mi350x": "mi350x",
    "mi355x": "mi355x",
}
MODELS = {
    "dsr1": "deepseek-r1",
    "dsv4": "deepseek-v4-pro",
    "gptoss": "gpt-oss-120b",
    "gptoss120b": "gpt-oss-120b",
    "llama70b": "llama-3.1-70b",
    "glm5": "glm-5",
    "glm5.1": "glm-5.1",
    "glm5.2": "glm-5.2",
    "kimik2": "kimi-k2-instruct",
    "kimik2.5": "kimi-k2.5",
    "kimik2.6": "kimi-k2.5",
    "kimik3": "kimi-k3",
    "minimaxm2.5": "minimax-m2.5",
    "minimaxm2.7": "minimax-m2.5",
    "minimaxm3": "minimax-m3",
    "qwen3.5": "qwen3.5-397b-a17b",
}
# Measured quantities: fields, and what multiplies them into SI.
RESULT_METRICS = {
    "ttft_s": (("mean_ttft", "median_ttft"), 1.0),
    "itl_s": (("mean_itl", "mean_tpot", "median_itl", "median_tpot"), 1.0),
    "accelerator_power_w": (("avg_power_w",), 1.0),
    "joules_per_output_token": (("joules_per_output_token",), 1.0),
}
BENCH_COLUMNS = {
    "ttft_s": (("mean_ttft_ms",), 1e-3),
    "itl_s": (("mean_itl_ms", "mean_tpot_ms"), 1e-3),
    "output_tokens_per_s": (("output_throughput",), 1.0),
}
BENCH_ASKS = ("accelerator", "model", "weight_precision")  # that a bench result does not say
#: What a decode step's time goes to, by the coefficients of its formula.
TERMS = {
    "reading weights": ("dense_weight_s", "expert_weight_s"),
    "matrix products": ("token_gemm_s", "expert_pad_s", "token_spread_s", "head_gemm_s"),
    "reading the KV cache": ("kv_token_s", "window_kv_token_s"),
    "exchange between accelerators": ("exchange_token_s", "network_token_s"),
    "launches and scheduling": ("step_s", "sequence_s"),
}
LEAST_SHARE = 0.1  # of a step, below which a term cannot explain an error of note
WIDEST_FACTOR = 4.0  # by which a term may be off and still be named


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One measured run: its row in the columns of serving cases, what was measured, what was assumed in reading it."""

    row: dict[str, str]
    measured: dict[str, float]
    notes: tuple[str, ...]


def measured_runs(content: Any, deployment: Row) -> list[MeasuredRun]:
    """Return the runs of a JSON document: a row, a list of rows, or a bench result.

    Parameters
    ----------
    content : object
        As read from JSON.
    deployment : mapping
        Columns of serving cases that the document does not say; they count before those that it does. `configuration`
        holds a deployment as pins are written, in place of its columns.

    Raises
    ------
    ValueError
        If it is neither; says which fields it lacks, or what is to be asked beside it.
    """
    stated = {name: value for name, value in deployment.items() if name != "configuration"}
    if deployment.get("configuration"):
        deployment = pin_from_text(str(deployment["configuration"])).columns() | stated
    records = content if isinstance(content, list) else [content]
    if isinstance(content, dict):
        inner = [v for v in content.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        if inner and not _is_result(content) and not _is_bench(content):
            records = inner[0]
    if not records:
        raise ValueError("the document holds no rows")
    return [_run(record, deployment, place) for place, record in enumerate(records, 1)]


def _is_result(record: Row) -> bool:
    return all(name in record for name in RESULT_MARKS)


def _is_bench(record: Row) -> bool:
    return "mean_ttft_ms" in record or "output_throughput" in record


def _run(record: Any, deployment: Row, place: int) -> MeasuredRun:
    if not isinstance(record, dict):
        raise ValueError(f"entry {place} is no mapping of names to values")
    if _is_result(record):
        found = _result_run(record)
    elif _is_bench(record):
        found = _bench_run(record, deployment)
    else:
        missing = [name for name in RESULT_MARKS if name not in record]
        shown = ", ".join(list(map(str, record))[:8])
        raise ValueError(
            f"entry {place} is nearest to an InferenceX row, but lacks {' and '.join(missing)}; it has {shown}. A vLLM "
            "or SGLang bench result has mean_ttft_ms and output_throughput"
        )
    stated = {name: str(value) for name, value in deployment.items() if value not in (None, "")}
    return replace(found, row=found.row | stated)


def _first(record: Row, names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _result_run(record: Row) -> MeasuredRun:
    notes = []
    inner = record.get("metrics") or {}
    if not isinstance(inner, Mapping):
        raise ValueError(f"metrics is {str(inner)[:40]!r}; must be a mapping of names to values")
    metrics = {**record, **inner}
    row = {
        column: str(value) for column, names in RESULT_COLUMNS.items() if (value := _first(record, names)) is not None
    }
    hardware = row.get("accelerator", "").lower().replace("_sxm", "").split("-")[0]
    row["accelerator"] = ACCELERATORS.get(hardware, row.get("accelerator", ""))
    row["model"] = MODELS.get(row.get("model", "").lower(), row.get("model", ""))
    row["source"] = SOURCE
    row["weight_precision"] = {"fp16": "bf16", "mxfp4": "fp4", "nvfp4": "fp4"}.get(
        row.get("weight_precision", "").lower(), row.get("weight_precision", "").lower()
    )
    if row.get("speculative", "").lower() in ("false", "", "none", "off"):
        row["speculative"] = "none"
    framework = row.get("engine", "").lower()
    apart = _flag(record.get("disagg")) or framework in ("dynamo-trtllm", "sglang-disagg")
    row["mode"] = "disaggregated" if apart else "aggregated"
    for column in ("prefill_attention_dp", "decode_attention_dp"):
        if column in row:
            row[column] = str(int(_flag(row[column]))) if not row[column].isdigit() else row[column]
    if not apart:
        n = _number(_first(record, ("num_decode_gpu", "num_gpus", "tp", "decode_tp")))
        tensor = _number(_first(record, ("tp", "decode_tp"))) or n
        data = tensor if _flag(_first(record, ("dp_attention", "decode_dp_attention"))) else 1
        row |= {
            "n_accelerators": f"{max(n or 1, tensor or 1):.0f}",
            "tensor_parallel": f"{(tensor or 1) / (data or 1):.0f}",
            "data_parallel": f"{data or 1:.0f}",
            "expert_parallel": str(_first(record, ("ep", "decode_ep")) or 1),
        }
        row = {name: value for name, value in row.items() if not name.startswith(("prefill_", "decode_"))}
        accelerators = float(row["n_accelerators"])
    else:
        accelerators = (_number(record.get("num_prefill_gpu")) or 0) + (_number(record.get("num_decode_gpu")) or 0)
    measured = _measured(metrics, RESULT_METRICS)
    per_accelerator = _number(metrics.get("output_tput_per_gpu"))
    if per_accelerator and accelerators:
        measured["output_tokens_per_s"] = per_accelerator * accelerators
    statistic = "mean" if _number(metrics.get("mean_ttft")) is not None else "median"
    row["statistic"] = statistic
    notes.append("lengths are taken as drawn at 0.8 to 1 of the nominal ones, as InferenceX does")
    notes.append(f"latencies are {statistic}s")
    version = str(record.get("image") or "").rsplit(":", 1)[-1].lstrip("v")
    if version[:1].isdigit():
        row["engine_version"] = version
    return MeasuredRun(row, measured, tuple(notes))


def _bench_run(record: Row, deployment: Row) -> MeasuredRun:
    missing = [
        name for name in BENCH_ASKS if not deployment.get(name) and not (name == "model" and "model_id" in record)
    ]
    if missing:
        raise ValueError(
            f"a bench result does not say {' and '.join(missing)}; give it beside the file, with the parallelism"
        )
    notes = []
    completed = _number(record.get("completed")) or _number(record.get("num_prompts"))
    input_tokens, output_tokens = _number(record.get("total_input_tokens")), _number(record.get("total_output_tokens"))
    if not completed or not input_tokens or not output_tokens:
        raise ValueError("the bench result lacks completed, total_input_tokens or total_output_tokens")
    row = {
        "model": str(record.get("model_id") or ""),
        "engine": str(record.get("backend") or ""),
        "source": "bench serve",
        "input_tokens": f"{input_tokens / completed:.6g}",
        "output_tokens": f"{output_tokens / completed:.6g}",
        "measured_on": str(record.get("date") or ""),
    }
    if not any(name in row["engine"].lower() for name in ("vllm", "sglang", "trt", "tensorrt")):
        row["engine"] = ""
    limit, rate = _number(record.get("max_concurrency")), _number(record.get("request_rate"))
    if limit:
        row["concurrency"] = f"{limit:g}"
        notes.append(f"{limit:g} requests kept in flight (max_concurrency)")
    elif rate and math.isfinite(rate):
        row["request_rate_per_s"] = f"{rate:g}"
        notes.append(f"open arrivals at {rate:g} a second (request_rate), taken as Poisson")
    else:
        row["concurrency"] = "saturated"
        notes.append(f"all {completed:g} requests sent at once: no time to first token is predicted")
    row["statistic"] = "mean"
    return MeasuredRun(row, _measured(record, BENCH_COLUMNS), tuple(notes))


def _measured(record: Row, columns: Mapping[str, tuple[tuple[str, ...], float]]) -> dict[str, float]:
    found = {}
    for quantity, (names, unit) in columns.items():
        value = next((v for name in names if (v := _number(record.get(name))) is not None), None)
        if value is not None and value > 0:
            found[quantity] = value * unit
    return found


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _flag(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes", "on")


def beside_predictions(
    runs: Sequence[MeasuredRun],
    accelerators: Mapping[str, Accelerator],
    models: Mapping[str, ModelShape],
    coefficients: CoefficientSet,
) -> list[dict[str, Any]]:
    """Return each run beside its prediction: errors, whether the 80 % band holds, and which terms could be off.

    Parameters
    ----------
    runs : sequence of MeasuredRun
        As `measured_runs` reads them.
    accelerators, models : mapping
        What the catalogue has, by id.
    coefficients : CoefficientSet
        A fitted set.

    Returns
    -------
    list of dict
        `row`, `notes`, `feasible`, `reason`, `quantities` (measured, predicted, low, high, `error_frac` = predicted
        over measured less one, `in_band`), `terms` (of the gap between tokens: `share_frac` of the predicted step, and
        `factor` by which the term alone would have to be slower to explain the measured gap; None where it cannot) and
        `sentence`.
    """
    answers = predict_rows([run.row for run in runs], accelerators, models, coefficients)
    return [_beside(run, answer, accelerators, models, coefficients) for run, answer in zip(runs, answers, strict=True)]


def _beside(
    run: MeasuredRun,
    answer: Row,
    accelerators: Mapping[str, Accelerator],
    models: Mapping[str, ModelShape],
    coefficients: CoefficientSet,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "row": run.row,
        "notes": list(run.notes),
        "feasible": bool(answer["feasible"]),
        "reason": answer["reason"],
        "quantities": [],
        "terms": [],
        "sentence": str(answer["reason"]),
    }
    if not answer["feasible"]:
        return found
    for name in PREDICTED:
        measured, predicted = run.measured.get(name), answer[name]
        if measured is None or predicted == "":
            continue
        low, high = float(answer[f"{name}_low"]), float(answer[f"{name}_high"])
        quantity = {
            "quantity": name,
            "measured": measured,
            "predicted": float(predicted),
            "low": low,
            "high": high,
            "error_frac": float(predicted) / measured - 1.0,
            "in_band": low <= measured <= high,
        }
        found["quantities"].append(quantity)
    gap = next((q for q in found["quantities"] if q["quantity"] == "itl_s"), None)
    if gap:
        found["terms"] = step_terms(run.row, accelerators, models, coefficients, gap["measured"] / gap["predicted"])
    found["sentence"] = _sentence(found["quantities"], found["terms"])
    return found


def step_terms(
    row: Row,
    accelerators: Mapping[str, Accelerator],
    models: Mapping[str, ModelShape],
    coefficients: CoefficientSet,
    ratio: float,
) -> list[dict[str, Any]]:
    """Return what the predicted decode step of a case consists of, the longest term first.

    Parameters
    ----------
    row : mapping
        A serving case.
    accelerators, models : mapping
        What the catalogue has, by id.
    coefficients : CoefficientSet
        A fitted set.
    ratio : float
        The measured gap between tokens over the predicted one [-].

    Returns
    -------
    list of dict
        `term`, `share_frac` of the step, and `factor` by which the term alone would have to be slower for the ratio;
        None where no factor of this term explains it.
    """
    case = parse_case(row, accelerators, models)
    table = case_table([case])
    log_values = coefficients.log_values([case.attributes])
    efficiencies, _, _ = split_values(log_values, table.latent_layers)
    costs = step_costs(table.work, efficiencies)
    state = solve_cases(table, log_values).state
    batch = np.maximum(state.decoding, 1.0)
    context = table.input_tokens + 0.5 * table.output_tokens
    whole_s = _step_s(costs, batch, context)
    found = []
    for term, names in TERMS.items():
        without = replace(costs, **{f.name: 0.0 * getattr(costs, f.name) for f in fields(StepCosts) if f.name in names})
        share = 1.0 - _step_s(without, batch, context) / whole_s
        factor = 1.0 + (ratio - 1.0) / share if share >= LEAST_SHARE else math.nan
        possible = 1.0 / WIDEST_FACTOR <= factor <= WIDEST_FACTOR
        found.append({"term": term, "share_frac": share, "factor": factor if possible else None})
    return sorted(found, key=lambda term: -term["share_frac"])


def _step_s(costs: StepCosts, batch: Any, context: Any) -> float:
    return float(step_time_s(costs, decode_sequences=batch, context_tokens=context)[0])


WORDS = {
    "ttft_s": "time to first token",
    "itl_s": "gap between tokens",
    "output_tokens_per_s": "output",
    "accelerator_power_w": "power",
    "joules_per_output_token": "energy per token",
}


def _sentence(quantities: Sequence[Row], terms: Sequence[Row]) -> str:
    if not quantities:
        return "The run states no quantity that is predicted."
    outside = [q for q in quantities if not q["in_band"]]
    if not outside:
        return "Every measured quantity lies within its 80 % band."
    worst = max(outside, key=lambda q: abs(math.log(q["predicted"] / q["measured"])))
    side = "above" if worst["measured"] > worst["predicted"] else "below"
    text = (
        f"Measured {WORDS[worst['quantity']]} is {abs(worst['measured'] / worst['predicted'] - 1.0):.0%} {side} the "
        "prediction, outside its band."
    )
    suspects = [t for t in terms if t["factor"] is not None]
    if any(q["quantity"] == "itl_s" and not q["in_band"] for q in quantities) and suspects:
        likeliest = min(suspects, key=lambda t: abs(math.log(t["factor"])))
        text += (
            f" The gap between tokens would fit if {likeliest['term']} ({likeliest['share_frac']:.0%} of the step)"
            f" took {likeliest['factor']:.2g} times as long."
        )
    elif any(q["quantity"] == "ttft_s" and not q["in_band"] for q in quantities):
        text += " The gap between tokens fits: what differs is queueing, batching of prompts or the prompts' own time."
    return text
