"""The page on which a planner adds a model or an accelerator of their own."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from facility.entry import number_entry
from facility.permissions import check_buy
from twin.interchange.own_products import (
    OwnProductError,
    accelerator_add,
    config_read,
    model_add,
    name_in,
)

FIGURES = {  # field: label, help, lowest value
    "hbm_bytes": ("Memory", "Of one accelerator. Usual: 80 to 300 GB.", 1e9),
    "hbm_bandwidth_bytes_per_s": ("Memory bandwidth", "Usual: 1 to 10 TB/s.", 1e11),
    "peak_bf16_dense_flops_per_s": ("Peak BF16, dense", "Without sparsity. Usual: 100 to 3,000 TFLOP/s.", 1e12),
    "peak_fp8_dense_flops_per_s": ("Peak FP8, dense", "Empty: it has no FP8 units.", 1e12),
    "peak_fp4_dense_flops_per_s": ("Peak FP4, dense", "Empty: it has no FP4 units.", 1e12),
    "scaleup_bandwidth_bidir_bytes_per_s": ("Fast link, both directions", "Empty: a PCIe Gen5 slot.", 1e9),
    "scaleup_domain_size": ("Accelerators on the fast link", "Usual: 1, 8 or 72.", 1),
    "tdp_w": ("Thermal design power", "Of one accelerator. Usual: 300 to 1,400 W.", 10),
    "idle_w": ("Idle power", "Empty: 12 % of the thermal design power.", 1),
}
NEEDED = ("hbm_bytes", "hbm_bandwidth_bytes_per_s", "peak_bf16_dense_flops_per_s", "scaleup_domain_size", "tdp_w")


class ModelUploadForm(forms.Form):
    """A model by the config.json beside its weights."""

    name = forms.CharField(
        max_length=80, required=False, help_text="Becomes its id in lower case. Empty: the name in the file."
    )
    file = forms.FileField(label="config.json", help_text="As published with the weights; at most 5 MB.")


class AcceleratorForm(forms.Form):
    """An accelerator by its data sheet."""

    name = forms.CharField(max_length=80, help_text="Becomes its id in lower case.")
    vendor = forms.CharField(max_length=80, required=False, help_text="Who makes it.")
    source = forms.CharField(max_length=300, help_text="Data sheet or measurement that the figures are from.")
    launch_year = forms.IntegerField(min_value=2015, max_value=2035, help_text="Year of first delivery.")
    memory_type = forms.CharField(max_length=20, help_text="For example HBM3e or GDDR7.")
    cooling = forms.ChoiceField(
        choices=[("air", "air"), ("liquid", "liquid"), ("air_or_liquid", "air or liquid")],
        help_text="How it can be cooled.",
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        for name, (label, help_text, least) in FIGURES.items():
            self.fields[name] = number_entry.NumberField(
                label=label, help_text=help_text, min_value=least, required=name in NEEDED
            )

    def facts(self) -> dict:
        """Return the figures as the catalogue names them."""
        facts = {name: value for name, value in self.cleaned_data.items() if name not in ("name", "vendor", "source")}
        return facts | {"scaleup_domain_size": int(facts["scaleup_domain_size"])}


@login_required
def own_products(request: HttpRequest) -> HttpResponse:
    """Take a model's config.json or an accelerator's data sheet into the catalogue."""
    kind = request.POST.get("kind")
    model_form = ModelUploadForm(*((request.POST, request.FILES) if kind == "model" else ()), prefix="model")
    accelerator_form = AcceleratorForm(request.POST if kind == "accelerator" else None, prefix="accelerator")
    if request.method == "POST":
        check_buy(request.user)
        form = model_form if kind == "model" else accelerator_form
        if form.is_valid():
            try:
                product = _model(form) if kind == "model" else _accelerator(form)
            except OwnProductError as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, f"{product.name} is in the catalogue; nobody measured it, so bands are wide.")
                return redirect("product", product.kind, product.slug)
    context = {"model_form": model_form, "accelerator_form": accelerator_form}
    return render(request, "twin/own_products.html", context)


def _model(form: ModelUploadForm):
    upload = form.cleaned_data["file"]
    config = config_read(upload.read())
    name = form.cleaned_data["name"] or name_in(config, upload.name.rsplit(".", 1)[0].removesuffix("_config"))
    return model_add(config=config, name=name, source=f"config.json uploaded as {upload.name[:80]}")


def _accelerator(form: AcceleratorForm):
    given = form.cleaned_data
    return accelerator_add(name=given["name"], vendor=given["vendor"], source=given["source"], facts=form.facts())
