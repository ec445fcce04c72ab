"""The page on which a trace of one's own requests is read, and answered for one system and model."""

import tempfile
from pathlib import Path

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from compute.model_shapes import KV_BYTES
from compute.replay.formats import Reading, trace_source
from compute.replay.summary import trace_summary
from compute.steps.rules import MOST_DRAFT_TOKENS, Drafting
from compute.workload import LatencyTargets
from facility.entry import number_entry
from facility.models import Product
from twin.core.serving.explore import MOST_ACCELERATORS, Question, chosen_configuration, launch_settings
from twin.floor.products import accelerator_of, accelerators_per_node, domain_size, entry_of, served_by
from twin.models import Scenario

MOST_BYTES = 50 * 2**20
MOST_REQUESTS = 500_000  # that are read; longer traces are for `replay_trace`


class TraceForm(forms.Form):
    """A trace, how it is to be read, and what is to serve it."""

    file = forms.FileField(
        label="Trace",
        help_text="CSV, JSON or JSON lines, compressed or not: Mooncake, Azure 2023 and 2024, BurstGPT, ShareGPT, a "
        "detailed bench serve result of vLLM or SGLang, or our own columns. At most 50 MB.",
    )
    delimiter = forms.ChoiceField(
        choices=[(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")], help_text="Between columns of a CSV."
    )
    decimal = forms.ChoiceField(choices=[(".", "point"), (",", "comma")], help_text="Decimal mark in a CSV.")
    characters_per_token = number_entry.NumberField(
        initial=4, min_value=0.5, max_value=20, help_text="Of texts whose tokens nobody counted (ShareGPT)."
    )
    system = forms.ChoiceField(help_text="What serves it.")
    model = forms.ChoiceField(help_text="What is served.")
    engine = forms.ChoiceField(
        choices=Scenario._meta.get_field("engine").choices, help_text="Serving software whose efficiency is used."
    )
    engine_version = forms.CharField(label="Engine's release", required=False, max_length=40, help_text="Empty: any.")
    drafts = forms.BooleanField(
        label="Draft tokens (MTP)", required=False, help_text="Whether the model's own prediction module may draft."
    )
    kv_precision = forms.ChoiceField(
        label="KV cache precision",
        required=False,
        choices=[("", "as engines pair it"), *((name, name.upper()) for name in KV_BYTES)],
        help_text="FP8 holds twice as many tokens as BF16.",
    )
    checkpoint = forms.CharField(
        required=False, max_length=80, help_text="Published weights that are stored otherwise. Empty: the usual ones."
    )
    draft_tokens = number_entry.NumberField(
        label="Drafted tokens per step",
        required=False,
        min_value=1,
        max_value=MOST_DRAFT_TOKENS,
        help_text="Empty: as many as serve best.",
    )
    draft_acceptance = number_entry.NumberField(
        label="Acceptance of drafts [0–1]", required=False, min_value=0, max_value=1, help_text="Empty: predicted."
    )
    configuration = forms.CharField(
        label="Pinned configuration",
        required=False,
        max_length=160,
        help_text="Fixes parallelism, pools, batch, drafts, cache and checkpoint, as in the explorer. Empty: searched.",
    )
    target_ttft_s = number_entry.NumberField(
        label="TTFT target", initial=2, min_value=0.001, help_text="That 95 % of requests keep. Usual: 0.5 to 10 s."
    )
    target_itl_s = number_entry.NumberField(
        label="ITL target",
        initial=0.05,
        min_value=0.0001,
        help_text="That 95 % of requests keep. Usual: 20 to 100 ms.",
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.fields["system"].choices = [(product.slug, product.name) for product in served_by()]
        self.fields["model"].choices = list(Product.objects.filter(kind="models").values_list("slug", "name"))
        self.fields["system"].initial, self.fields["model"].initial = "dgx-h200", "llama-3.1-70b"

    def clean_file(self):
        """Refuse a file that is larger than is read."""
        upload = self.cleaned_data["file"]
        if upload.size > MOST_BYTES:
            raise forms.ValidationError(f"The file has {upload.size:,} bytes; at most {MOST_BYTES:,} are read here.")
        return upload


@login_required
def traces(request: HttpRequest) -> HttpResponse:
    """Take a trace, show what it asks for, and the best configuration for it."""
    form = TraceForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    context: dict = {"form": form}
    if request.method == "POST" and form.is_valid():
        try:
            context |= _answer(form.cleaned_data)
        except ValueError as refusal:
            form.add_error("file", str(refusal))
    return render(request, "twin/traces.html", context)


def _drafting(asked: dict) -> Drafting:
    """Return how tokens are drafted; what is said of drafts where none may be is refused."""
    tokens, kept = asked["draft_tokens"], asked["draft_acceptance"]
    if (tokens is not None or kept is not None) and not asked["drafts"]:
        raise ValueError("Nothing may be drafted here: tick “Draft tokens”, or leave number and acceptance empty.")
    if tokens is not None and tokens != int(tokens):
        raise ValueError(f"The number of drafted tokens is {tokens:g}; must be a whole number.")
    return Drafting(tokens=None if tokens is None else int(tokens), acceptance=kept)


def _answer(asked: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(asked["file"].name).name
        with path.open("wb") as kept:
            for chunk in asked["file"].chunks():
                kept.write(chunk)
        reading = Reading(asked["delimiter"], asked["decimal"], asked["characters_per_token"])
        source = trace_source(path, reading)
        summary = trace_summary(source, most_requests=MOST_REQUESTS)
    found = {"summary": summary, "source": source}
    system = next(product for product in served_by() if product.slug == asked["system"])
    model = Product.objects.get(kind="models", slug=asked["model"])
    accelerator = accelerator_of(system)
    if accelerator is None:
        return found | {"reason": f"{system.name} names no accelerator of the catalogue."}
    targets = LatencyTargets(asked["target_ttft_s"], asked["target_itl_s"])
    try:
        question = Question(
            entry_of(accelerator),
            entry_of(model),
            summary.workload(),
            min(domain_size(system), MOST_ACCELERATORS),
            asked["engine"],
            allow_drafts=asked["drafts"],
            configuration=asked["configuration"].strip(),
            engine_version=asked["engine_version"].strip(),
            drafting=_drafting(asked),
            kv_precision=asked["kv_precision"],
            checkpoint=asked["checkpoint"].strip(),
        )
        best = chosen_configuration(question, targets)
    except ValueError as refusal:
        return found | {"reason": str(refusal)}
    requests = best["output_tokens_per_s"] / summary.output_tokens
    needed = summary.requests_per_s / requests if summary.requests_per_s and requests > 0 else None
    settings = launch_settings(question, targets, accelerators_per_node(system))
    return found | {"best": best, "targets": targets, "launches": settings, "needed": needed}
