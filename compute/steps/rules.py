"""What no engine runs, in one place: every way to ask for a deployment refuses by these rules and warns by these.

A refusal says which value is impossible and what is allowed; a warning goes with an answer.
"""

from dataclasses import dataclass

from compute.model_shapes import ModelShape
from compute.steps.roofline import Parallelism

FP8_BLOCK = 128  # weights of a block share one scale; a rank's slice must be whole blocks
# Families whose FP8 checkpoints are stored in such blocks (their config.json: weight_block_size 128 x 128).
BLOCK_FP8_FAMILIES = ("deepseek", "qwen3", "qwen3.5", "kimi", "minimax")

SPECULATIVE = ("none", "mtp", "nextn", "eagle", "eagle3", "medusa", "ngram", "draft")
BUILT_IN = ("mtp", "nextn")  # drafted by the model's own prediction module
MOST_DRAFT_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Drafting:
    """How tokens are drafted where they are.

    Attributes
    ----------
    kind : str
        One of `SPECULATIVE` but "none".
    tokens : int or None
        Drafted per step and sequence; None: as many as serve best.
    acceptance : float or None
        Chance that a drafted token is kept given that those before it were [-]; None: as measured runs of that kind
        let predict.
    """

    kind: str = "mtp"
    tokens: int | None = None
    acceptance: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in SPECULATIVE[1:]:
            raise ValueError(f"speculative is {self.kind!r}; must be one of {', '.join(SPECULATIVE)}")
        if self.tokens is not None and not 1 <= self.tokens <= MOST_DRAFT_TOKENS:
            raise ValueError(f"draft_tokens is {self.tokens}; must be 1 to {MOST_DRAFT_TOKENS}")
        if self.acceptance is not None and not 0.0 <= self.acceptance <= 1.0:
            raise ValueError(f"draft_acceptance is {self.acceptance:g}; must be in [0, 1]")

    def refusals(self, model: ModelShape) -> tuple[str, ...]:
        """Return why a model cannot draft so, empty where it can."""
        if self.kind in BUILT_IN and not model.mtp_layers:
            return (f"speculative is {self.kind!r}; {model.name} has no prediction module, use eagle or draft",)
        return ()

    def text(self) -> str:
        """Return the drafts as a configuration names them, such as “MTP 2, acceptance 0.7”."""
        kept = "" if self.acceptance is None else f", acceptance {self.acceptance:g}"
        return f"{self.kind.upper() if self.kind != 'draft' else 'drafts'} {self.tokens}{kept}"


USUAL_DRAFTING = Drafting()  # by the model's own module, as many tokens as serve best


def deployment_refusals(
    model: ModelShape,
    parallelism: Parallelism,
    *,
    n_accelerators: float | None = None,
    input_tokens: float = 0.0,
    output_tokens: float = 0.0,
    prefix: str = "",
) -> tuple[str, ...]:
    """Return why an engine cannot run a model so, empty where it can.

    Parameters
    ----------
    model, parallelism : ModelShape, Parallelism
        Of one instance.
    n_accelerators : float, optional
        That the instance may take; not checked where omitted.
    input_tokens, output_tokens : float
        Of one request; together they must keep the model's context.
    prefix : str
        Before the names of parallelism in the text: "prefill_" or "decode_" where pools are apart.
    """
    p = parallelism
    reasons = []
    if input_tokens + output_tokens > model.max_context_tokens:
        reasons.append(
            f"input_tokens + output_tokens is {input_tokens + output_tokens:.0f}; {model.name} takes at most "
            f"{model.max_context_tokens} tokens of context"
        )
    if model.attention_heads % p.tensor_parallel:
        reasons.append(
            f"{prefix}tensor_parallel is {p.tensor_parallel}; must divide the {model.attention_heads} attention heads "
            f"of {model.name}"
        )
    if p.pipeline_parallel > model.layers:
        reasons.append(
            f"{prefix}pipeline_parallel is {p.pipeline_parallel}; {model.name} has {model.layers} layers, and each "
            "stage needs one"
        )
    if p.expert_parallel > max(model.experts, 1):
        experts = f"{model.experts} experts" if model.experts else "no experts"
        reasons.append(f"{prefix}expert_parallel is {p.expert_parallel}; {model.name} has {experts}")
    if p.expert_parallel > p.stage_accelerators:
        reasons.append(
            f"{prefix}expert_parallel is {p.expert_parallel}; must be at most the {p.stage_accelerators} accelerators "
            "that tensor and attention data parallelism give a stage"
        )
    if n_accelerators is not None and n_accelerators < p.accelerators:
        reasons.append(
            f"n_accelerators is {n_accelerators:g}; parallelism of {p.accelerators} needs at least that many"
        )
    return tuple(reasons)


def deployment_warnings(model: ModelShape, parallelism: Parallelism, weight_precision: str) -> tuple[str, ...]:
    """Return what to check before deploying: slices of FP8 block checkpoints that are no whole blocks.

    Engines refuse such a split or pad it at a cost, by version.

    Parameters
    ----------
    model, parallelism : ModelShape, Parallelism
        Of one instance.
    weight_precision : str
        Stored precision of the weights.

    References
    ----------
    .. [1] vLLM issues 17569 and 12256, SGLang issue 3345, QwenLM/Qwen3 issue 1485.
    """
    if weight_precision != "fp8" or model.family not in BLOCK_FP8_FAMILIES or model.has_native_fp4_experts:
        return ()
    p = parallelism
    slices = [("MLP", model.dense_intermediate_size, p.tensor_parallel, "lower tensor_parallel")]
    if model.experts:
        per_expert = max(1, p.stage_accelerators // p.expert_parallel) if p.attention_data_parallel == 1 else 1
        hint = "use expert_parallel, which keeps experts whole"
        slices.append(("expert", model.expert_intermediate_size, per_expert, hint))
    return tuple(
        f"{model.name} in block FP8 does not split {ranks} ways: an {name} slice of {width}/{ranks} = "
        f"{width / ranks:g} is no multiple of {FP8_BLOCK}; engines refuse or pad it: {hint}"
        for name, width, ranks, hint in slices
        if width and ranks > 1 and width % (ranks * FP8_BLOCK)
    )
