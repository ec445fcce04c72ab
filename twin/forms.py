"""Forms of what if: a scenario and the use cases it serves."""

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.forms import BaseInlineFormSet, inlineformset_factory

from facility.models import Site, Weather
from twin.models import Scenario, ScenarioWorkload


class ScenarioForm(forms.ModelForm):
    """A scenario of one site; weather is shipped or the site's own."""

    class Meta:
        model = Scenario
        fields = [
            "name", "slug", "weather", "engine", "weight_precision", "accelerator_power_limit_w",
            "electricity_usd_per_kwh", "notes",
        ]  # fmt: skip
        labels = {
            "slug": "Short name", "accelerator_power_limit_w": "Power cap per accelerator [W]",
            "electricity_usd_per_kwh": "Electricity [$/kWh]",
        }  # fmt: skip
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


class WorkloadFormSet(BaseInlineFormSet):
    """The use cases of one scenario; together they take at most all accelerators."""

    def clean(self) -> None:
        super().clean()
        kept = [form.cleaned_data for form in self.forms if form.is_valid() and not form.cleaned_data.get("DELETE")]
        shares = [data["accelerator_share_frac"] for data in kept if data.get("workload")]
        if not shares:
            raise ValidationError("Name at least one use case; without demand there is nothing to solve.")
        if sum(shares) > 1 + 1e-9:
            raise ValidationError(f"The shares add up to {sum(shares):.3g}; all accelerators are 1.")


ScenarioWorkloads = inlineformset_factory(
    Scenario, ScenarioWorkload, formset=WorkloadFormSet, extra=2, can_delete=True,
    fields=["workload", "model", "accelerator_share_frac", "requests_per_s", "peak_load_frac"],
    labels={
        "workload": "Use case", "accelerator_share_frac": "Share of accelerators [0–1]",
        "requests_per_s": "Mean demand [1/s]", "peak_load_frac": "Busiest hour over capacity",
    },
)  # fmt: skip
