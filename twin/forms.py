"""Forms of what if: a scenario and the use cases it serves; a layout wished for."""

from django import forms
from django.db.models import Q, QuerySet
from django.forms import inlineformset_factory

from facility.entry import number_entry
from facility.entry.field_help import Described, describe
from facility.models import Layout, Site, Weather
from twin.models import Scenario, ScenarioWorkload


class DesignField(forms.ModelChoiceField):
    """A layout as its site and name."""

    def label_from_instance(self, layout: Layout) -> str:
        return f"{layout.site.name}: {layout.name}"


class ReferenceForm(Described, forms.Form):
    """A wish: which design, and how much of it."""

    help_subjects = ("reference",)
    design = DesignField(queryset=Layout.objects.none(), help_text="Its racks, products and redundancies are taken.")
    it_power_mw = number_entry.NumberField(
        label="IT power",
        min_value=0.001,
        max_value=10_000,
        help_text="Of all racks at their nameplates, with their share of network and storage racks.",
    )
    name = forms.CharField(max_length=120, required=False, help_text="What the layout is called.")

    def __init__(self, *args, designs: QuerySet[Layout], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["design"].queryset = designs


class ScenarioForm(Described, forms.ModelForm):
    """A scenario of one site; weather is shipped or the site's own."""

    class Meta:
        model = Scenario
        formfield_callback = number_entry.formfield
        fields = [
            "name",
            "slug",
            "is_default",
            "weather",
            "engine",
            "engine_version",
            "weight_precision",
            "kv_precision",
            "allow_drafts",
            "draft_tokens",
            "draft_acceptance_frac",
            "serving_mode",
            "max_ranks",
            "allow_pipelines",
            "accelerator_power_limit_w",
            "cache_tier_bytes",
            "admission",
            "electricity_usd_per_kwh",
            "fuel_usd_per_kwh",
            "notes",
        ]
        labels = {
            "serving_mode": "Prefill and decode",
            "engine_version": "Engine's release",
            "kv_precision": "KV cache precision",
            "allow_drafts": "Draft tokens (MTP)",
            "draft_tokens": "Drafted tokens per step",
            "draft_acceptance_frac": "Acceptance of drafts [0–1]",
            "max_ranks": "Accelerators of one instance, at most",
            "allow_pipelines": "Pipeline stages inside a scale-up domain",
            "slug": "Short name",
            "is_default": "Default of the site",
            "accelerator_power_limit_w": "Power cap per accelerator",
            "cache_tier_bytes": "Cache tier per accelerator",
            "admission": "Requests above capacity",
            "electricity_usd_per_kwh": "Electricity",
            "fuel_usd_per_kwh": "Fuel of on-site generation",
        }
        help_texts = {
            "slug": "Name in addresses, files and commands.",
            "weight_precision": "Lower precision serves more tokens per watt where the accelerator has it.",
            "notes": "What question this scenario puts.",
        }

    def __init__(self, *args, site: Site, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.instance.site = site
        self.fields["weather"].queryset = Weather.objects.filter(Q(site=None) | Q(site=site)).defer("rows")
        self.fields["weather"].empty_label = "the site's own year"

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"site"}  # a site has each short name once


class ScenarioWorkloadForm(Described, forms.ModelForm):
    """One use case of a scenario."""


class WorkloadSet(forms.BaseInlineFormSet):
    """The use cases of a scenario."""

    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        """Say what the box does that takes one out."""
        super().add_fields(form, index)
        describe(form, {"DELETE"} & set(form.fields))


WORKLOAD_FIELDS = (
    "workload",
    "model",
    "checkpoint",
    "configuration",
    "accelerator_share_frac",
    "requests_per_s",
    "peak_load_frac",
    "tool_core_s",
)
ScenarioWorkloads = inlineformset_factory(
    Scenario,
    ScenarioWorkload,
    form=ScenarioWorkloadForm,
    formset=WorkloadSet,
    extra=2,
    can_delete=True,
    fields=WORKLOAD_FIELDS,
    formfield_callback=number_entry.formfield,
    labels={
        "workload": "Use case",
        "configuration": "Pinned configuration",
        "accelerator_share_frac": "Share of accelerators, relative [0–1]",
        "requests_per_s": "Mean demand",
        "peak_load_frac": "Busiest hour over capacity",
        "tool_core_s": "CPU time of a tool call",
    },
)
