"""The page that lays a measured run beside its prediction."""

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from compute.model_shapes import KV_BYTES
from facility.catalogue.names import with_ids
from facility.models import Product
from twin.core.serving.measured import laid_beside, read_result
from twin.core.text.engine_names import ENGINE_NAMES
from twin.floor.products import entries_by_column

UNITS = {
    "ttft_s": ("Time to first token", "s"),
    "itl_s": ("Gap between tokens", "s"),
    "output_tokens_per_s": ("Output", "tok/s"),
    "accelerator_power_w": ("Power per accelerator", "W"),
    "joules_per_output_token": ("Energy per token", "J/tok"),
}
FROM_FILE = ("", "as the file says")
COUNTS = {
    "n_accelerators": ("Accelerators", "Of the whole deployment. Empty: those of one instance."),
    "tensor_parallel": ("Tensor parallelism", "Empty: as the file says, else the smallest that fits."),
    "pipeline_parallel": ("Pipeline stages", "Empty: 1."),
    "data_parallel": ("Attention data parallelism", "Empty: 1."),
    "expert_parallel": ("Expert parallelism", "Empty: 1."),
}


class MeasuredRunForm(forms.Form):
    """A result file, and what it does not say."""

    file = forms.FileField(
        label="Result file",
        help_text="A row or a list of rows of InferenceX, or a bench serve result of vLLM or SGLang, as JSON.",
    )
    accelerator = forms.ChoiceField(required=False, help_text="A bench result does not say it.")
    model = forms.ChoiceField(required=False, help_text="What was served.")
    weight_precision = forms.ChoiceField(
        required=False,
        choices=[FROM_FILE, *((p, p.upper()) for p in ("bf16", "fp8", "fp4", "int4"))],
        help_text="Of the checkpoint. A bench result does not say it.",
    )
    kv_precision = forms.ChoiceField(
        label="KV cache precision",
        required=False,
        choices=[("", "as engines pair it with the weights"), *((p, p.upper()) for p in KV_BYTES)],
        help_text="A result file does not say it.",
    )
    checkpoint = forms.CharField(
        required=False, max_length=80, help_text="Published weights that are stored otherwise. Empty: the usual ones."
    )
    engine = forms.ChoiceField(
        required=False,
        choices=[FROM_FILE, *ENGINE_NAMES.items()],
        help_text="Serving software.",
    )
    engine_version = forms.CharField(
        label="Engine's release", required=False, max_length=40, help_text="Empty: as the file says."
    )
    configuration = forms.CharField(
        label="Configuration",
        required=False,
        max_length=160,
        help_text="How it was served, in place of the numbers below: fp8, TP 8, or fp4, prefill 2 x TP 4 : decode 1 x "
        "DP 32 EP 32, MTP 2, KV fp8.",
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        for name in ("accelerator", "model"):
            rows = Product.objects.filter(kind=f"{name}s").values_list("slug", "name")
            self.fields[name].choices = [FROM_FILE, *rows]
        for name, (label, text) in COUNTS.items():
            self.fields[name] = forms.IntegerField(
                label=label, help_text=text, min_value=1, max_value=100_000, required=False
            )


@login_required
def measured(request: HttpRequest) -> HttpResponse:
    """Take a result file and show each of its runs beside the prediction."""
    form = MeasuredRunForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    context: dict = {"form": form, "units": UNITS}
    if request.method == "POST" and form.is_valid():
        deployment = {name: value for name, value in form.cleaned_data.items() if name != "file" and value}
        known = entries_by_column()
        try:
            content = read_result(form.cleaned_data["file"].read())
            found = laid_beside(
                content, deployment, known["accelerator"], known["model"], lambda rows: with_ids(rows, known)
            )
        except ValueError as refusal:
            form.add_error("file", str(refusal))
        else:
            for run in found:
                for quantity in run["quantities"]:
                    quantity["label"], quantity["unit"] = UNITS[quantity["quantity"]]
            context["runs"] = found
    return render(request, "twin/measured.html", context)
