"""Every field of every form says what it means, typical value and source."""

import inspect

import pytest
from django import forms as django_forms
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility.entry import forms
from facility.entry.field_help import HELP, help_of
from facility.entry.number_entry import NumberField, WholeNumberField
from facility.models import Organisation
from facility.views.parts import PARTS
from tests.small_run import small_scenario
from twin import forms as twin_forms

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    return small_scenario()[0]


def made(layout) -> list[django_forms.BaseForm]:
    """Return one of every form that the two modules define, and one of each set of forms."""
    site = layout.site
    Organisation.objects.get_or_create(slug="north", name="North")
    user = get_user_model()(is_superuser=True)
    needs = {"layout": layout, "site": site, "designs": site.layouts.all(), "user": user}
    found = []
    for module in (forms, twin_forms):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, django_forms.BaseForm) and kind.__module__ == module.__name__:
                if issubclass(kind, django_forms.BaseModelForm) and kind._meta.model is None:
                    continue  # the base of others, or made whole by a set below
                wanted = inspect.signature(kind.__init__).parameters
                found.append(kind(**{name: value for name, value in needs.items() if name in wanted}))
    scenario = site.scenarios.get()
    return found + list(twin_forms.ScenarioWorkloads(instance=scenario).forms)


def test_every_field_has_meaning_usual_value_and_source(layout):
    shown = [(form, name) for form in made(layout) for name, f in form.fields.items() if not f.widget.is_hidden]
    assert len(shown) > 100
    without = [f"{type(form).__name__}.{name}" for form, name in shown if help_of(form, name) is None]
    assert not without, f"write these in facility/entry/field_help.py: {without}"
    for form, name in shown:
        text = form.fields[name].help_text
        meaning = text.partition(' <span class="usual">')[0]
        assert len(meaning) > 5, f"{type(form).__name__}.{name} does not say what it means"
        assert "Usual: " in text
        assert "From: " in text


def test_no_fact_is_left_over(layout):
    used = {(s, name) for form in made(layout) for name in form.fields for s in _subjects(form)}
    left = [key for key in HELP if tuple(key.split(".")) not in used]
    assert not left


def _subjects(form) -> tuple[str, ...]:
    from facility.entry.field_help import subjects

    return subjects(form)


def test_every_number_is_read_in_either_spelling(layout):
    plain = [
        f"{type(form).__name__}.{name}"
        for form in made(layout)
        for name, field in form.fields.items()
        if isinstance(field, django_forms.IntegerField)
        and not field.widget.is_hidden
        and not isinstance(field, NumberField | WholeNumberField)
    ]
    assert not plain, f"give them formfield_callback = number_entry.formfield: {plain}"


@pytest.fixture
def pages(layout, client):
    client.force_login(get_user_model().objects.create_superuser("planner"))
    here = [layout.site.slug, layout.slug]
    addresses = [
        reverse("site-new"),
        reverse("rack-row", args=here),
        reverse("weather-upload", args=here[:1]),
        reverse("scenario-new", args=here[:1]),
    ]
    addresses += [reverse("part-new", args=[*here, kind]) for kind in PARTS]
    return [client.get(address).content.decode() for address in addresses]


def test_the_help_is_linked_to_its_input(pages):
    for page in pages:
        inputs = page.count('class="help"')
        assert inputs
        assert page.count("_helptext") == 2 * inputs  # the text's id and the input's aria-describedby


def test_a_form_takes_a_german_number_and_refuses_one_with_two_readings(layout, client):
    client.force_login(get_user_model().objects.create_superuser("planner"))
    hall = layout.halls.get()
    address = reverse("part-edit", args=[layout.site.slug, layout.slug, "halls", hall.pk])
    form = forms.HallForm(instance=hall, layout=layout)
    posted = {name: "" if (value := form[name].value()) is None else value for name in form.fields}
    page = client.post(address, posted | {"lighting_w": "7,500"}).content.decode()
    assert "“7,500” could be 7.5 or 7500. Write 7.5 or 7500." in page
    assert 'value="7,500"' in page
    assert client.post(address, posted | {"lighting_w": "7.500,5 W", "leakage_frac": "7 %"}).status_code == 302
    hall.refresh_from_db()
    assert (hall.lighting_w, hall.leakage_frac) == (7500.5, 0.07)


def test_a_form_prints_its_units_and_leaves_what_nobody_touched_to_the_last_digit(layout, client):
    client.force_login(get_user_model().objects.create_superuser("planner"))
    hall = layout.halls.get()
    odd = {"lighting_w": 1234.5678901234567, "supply_air_degc": 23.456789012345678}
    type(hall).objects.filter(pk=hall.pk).update(**odd)
    hall.refresh_from_db()
    address = reverse("part-edit", args=[layout.site.slug, layout.slug, "halls", hall.pk])
    page = client.get(address).content.decode()
    for label in ("Lighting [kW]", "Supply air [°C]", "Width [m]", "Leakage [0–1]"):
        assert label in page
    assert "[W]" not in page
    form = forms.HallForm(instance=hall, layout=layout)
    posted = {name: "" if (value := form[name].value()) is None else value for name in form.fields}
    assert not forms.HallForm(posted, instance=hall, layout=layout).changed_data
    assert client.post(address, posted | {"supply_air_degc": "75 °F"}).status_code == 302
    hall.refresh_from_db()
    assert (hall.lighting_w, round(hall.supply_air_degc, 3)) == (odd["lighting_w"], 23.889)
    refused = client.post(address, posted | {"version": "2", "lighting_w": "20 MW"}).content.decode()
    assert "less than or equal to 10000 kW" in refused
    refused = client.post(address, posted | {"version": "2", "lighting_w": "7 lumen"}).content.decode()
    assert "“lumen” is not a unit of this field. Write kW, W, MW" in refused


def test_no_label_is_the_name_of_a_column(layout):
    suffixes = {"degc", "w", "k", "m", "m2", "m3", "frac", "pa", "usd", "s", "j", "bytes", "kg", "deg"}
    labels = [(type(form).__name__, str(form[name].label)) for form in made(layout) for name in form.fields]
    assert [said for said in labels if suffixes & set(said[1].partition("[")[0].lower().split())] == []
