"""Forms: they offer only what stands in the layout, state units, and refuse with the sentence beside the field."""

import pytest
from django import forms as django_forms
from django.core.files.uploadedfile import SimpleUploadedFile

from facility import services
from facility.entry import forms
from facility.models import Layout, PowerFeed, Rack, Weather
from tests.small_site import new_rack, product, small_layout
from tests.unit.facility.test_weather import altered, epw, rows

pytestmark = pytest.mark.django_db
PART_FORMS = [forms.HallForm, forms.RackForm, forms.CduForm, forms.PowerFeedForm, forms.CoolingPlantForm]


@pytest.fixture
def layout():
    return small_layout()


def posted(form) -> dict:
    """Return what a form would send unchanged."""
    return {name: "" if (value := form[name].value()) is None else value for name in form.fields}


def rack_form(layout, **changes):
    rack = services.part_save(part=new_rack(layout))
    form = forms.RackForm(instance=rack, layout=layout)
    return forms.RackForm(posted(form) | changes, instance=rack, layout=layout)


@pytest.mark.parametrize("form_class", PART_FORMS, ids=lambda form: form.__name__)
def test_numbers_name_their_unit_and_every_field_says_what_it_means(layout, form_class):
    form = form_class(layout=layout)
    for name, field in form.fields.items():
        if name in ("version", "name"):
            continue
        if isinstance(field, django_forms.FloatField) and name not in (
            "load_share",
            "leakage_frac",
            "recirculation_frac",
        ):
            assert "[" in f"{field.label} {field.help_text}", name
        assert field.label


def test_references_stay_inside_the_layout(layout):
    other = services.layout_clone(layout=layout, name="Second")
    form = forms.RackForm(layout=layout)
    for name in ("hall", "cdu", "feed_a", "feed_b"):
        offered = form.fields[name].queryset
        assert offered.exists()
        assert {thing.layout_id for thing in offered} == {layout.pk}
    assert not form.fields["feed_a"].queryset.filter(kind="utility").exists()
    theirs = other.power_feeds.get(name="Busway-A").pk
    bad = rack_form(layout, feed_a=theirs)
    assert not bad.is_valid()
    assert "Select a valid choice" in str(bad.errors["feed_a"])


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"product": 999_999}, "product", "Select a valid choice"),
        ({"width_m": -0.6}, "width_m", "greater than or equal to 0.1"),
        ({"x_m": 19.9}, "x_m", "reaches x = 20.5 m, but hall Hall is 20 m wide"),
        ({"x_m": "nan"}, "x_m", "Enter a number"),
        ({"name": ""}, "name", "required"),
        ({"n_systems": 2}, "n_systems", "is a whole rack"),
    ],
)
def test_a_bad_rack_is_refused_beside_its_field(layout, changes, field, message):
    form = rack_form(layout, **changes)
    assert not form.is_valid()
    assert message in str(form.errors[field])
    assert Rack.objects.get().x_m == 2.0


def test_overlapping_racks_and_equal_names_are_refused(layout):
    services.part_save(part=new_rack(layout))
    values = posted(forms.RackForm(instance=Rack.objects.get(), layout=layout))
    form = forms.RackForm(values | {"name": "A-02", "x_m": 2.3}, layout=layout)
    assert "Rack A-02 overlaps rack A-01" in str(form.errors["x_m"])
    form = forms.RackForm(values | {"x_m": 5}, layout=layout)
    assert "already exists" in str(form.errors)


def test_a_circle_of_feeds_is_refused(layout):
    top = layout.power_feeds.get(name="T-A")
    values = posted(forms.PowerFeedForm(instance=top, layout=layout))
    leaf = layout.power_feeds.get(name="Busway-A")
    form = forms.PowerFeedForm(values | {"parent": leaf.pk}, instance=top, layout=layout)
    assert "would form a circle: T-A ← Busway-A ← UPS-A ← T-A" in str(form.errors["parent"])
    assert PowerFeed.objects.get(name="T-A").parent.name == "Utility"


def test_a_form_carries_the_version_it_was_shown_at(layout):
    form = rack_form(layout, x_m=4)
    Layout.objects.update(version=9)
    assert form.is_valid()
    assert form.cleaned_data["version"] == 2
    with pytest.raises(services.StaleLayout):
        services.part_save(part=form.save(commit=False), version=form.cleaned_data["version"])


def row_values(layout, **changes):
    values = posted(forms.RackRowForm(layout=layout)) | {
        "hall": layout.halls.get().pk,
        "row": "A",
        "n_racks": 12,
        "x_m": 2,
        "y_m": 4,
        "pitch_m": 0.6,
        "product": product("systems", "dgx-gb300-nvl72").pk,
        "cdu": layout.cdus.first().pk,
        "feed_a": layout.power_feeds.get(name="Busway-A").pk,
    }
    return values | changes


def test_a_row_is_placed_by_form(layout):
    form = forms.RackRowForm(row_values(layout), layout=layout)
    assert form.is_valid(), form.errors
    assert len(form.save()) == 12
    assert Rack.objects.filter(row="A", product__slug="dgx-gb300-nvl72").count() == 12


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"pitch_m": 0.5}, "pitch_m", "less than the racks&#x27; width"),
        ({"n_racks": 40, "y_m": 0}, "x_m", "reaches x = 20"),
        ({"n_racks": 0}, "n_racks", "greater than or equal to 1"),
        ({"hall": ""}, "hall", "required"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_whole(layout, changes, field, message):
    form = forms.RackRowForm(row_values(layout, **changes), layout=layout)
    if form.is_valid():
        assert form.save() is None
    assert message in str(form.errors[field])
    assert not Rack.objects.exists()


def test_a_site_is_offered_shipped_weather_and_its_own(layout):
    hidden = small_layout("hidden")
    Weather.objects.create(
        slug="theirs",
        name="Theirs",
        site=hidden.site,
        source="x",
        latitude_deg=0,
        longitude_deg=0,
        elevation_m=0,
        n_hours=8760,
        rows=b"",
    )
    offered = forms.SiteForm(instance=layout.site).fields["weather"].queryset
    assert {weather.slug for weather in offered} == {"sterling-va"}


def test_an_epw_file_is_read_by_its_form():
    good = forms.WeatherUploadForm({"name": ""}, {"file": SimpleUploadedFile("a.epw", epw(rows()))})
    assert good.is_valid(), good.errors
    assert good.cleaned_data["year"].dry_bulb_degc.shape == (8760,)
    holes = forms.WeatherUploadForm({}, {"file": SimpleUploadedFile("a.epw", altered(100, 6, "99.9"))})
    assert "Row 100 (line 108), month 1 day 5 hour 4: dry bulb is missing" in str(holes.errors["file"])
    large = forms.WeatherUploadForm({}, {"file": SimpleUploadedFile("a.epw", b"x" * (9 * 2**20))})
    assert "The file has 9.0 MiB" in str(large.errors["file"])
