"""One table of the kinds of parts, and one place that says which products a part may name."""

import pytest
from django.urls import reverse

from facility import kinds
from facility.api import serializers, urls
from facility.editing.drawing import PRODUCT_KINDS
from facility.entry.forms import RackRowForm
from facility.models import CoolingPlant, PowerFeed, Rack
from facility.views.parts import PARTS
from twin.core.inputs.layout import TABLES

SERIALIZERS = {
    serializer.Meta.model: serializer for serializer in serializers.PartSerializer.__subclasses__()[::-1]
}  # the first of a model


def test_every_kind_has_a_list_a_form_a_section_and_a_resource():
    assert {part.model for part in PARTS.values()} == set(kinds.BY_MODEL)
    assert set(PARTS) == {kind.slug for kind in kinds.KINDS}
    assert {prefix for prefix, *_ in urls.router.registry} >= set(PARTS)
    assert set(TABLES) - {"calibrated"} <= set(kinds.BY_TABLE)
    assert reverse("part-list", args=["s", "l", kinds.BY_NAME["power_feed"].slug]).endswith("/parts/power-feeds/")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (kind.model, field.name)
        for kind in kinds.KINDS
        for field in kind.model._meta.concrete_fields
        if field.is_relation and field.related_model.__name__ == "Product"
    ],
)
@pytest.mark.django_db
def test_the_api_takes_the_products_that_the_model_allows(model, name):
    field = SERIALIZERS[model]().fields[name]
    assert isinstance(field, serializers.ProductField)
    assert field.kinds == " or ".join(kinds.product_kinds(model, name))
    assert field.allow_null == model._meta.get_field(name).null
    assert field.required == (not model._meta.get_field(name).null)


def test_drawing_board_and_rows_of_racks_offer_the_same_products():
    assert kinds.product_kinds(Rack, "product") == PRODUCT_KINDS["rack"] == ("systems", "network_switches")
    assert PRODUCT_KINDS["air_unit"] == ("air_units",)
    where = str(RackRowForm.base_fields["product"].queryset.query)
    assert all(kind in where for kind in PRODUCT_KINDS["rack"])
    assert kinds.product_kinds(CoolingPlant, "heat_rejection") == ("dry_coolers", "cooling_towers")


def test_a_feed_may_name_what_any_of_its_kinds_may():
    any_kind = {name for names in PowerFeed.PRODUCT_KINDS.values() for name in names}
    assert set(kinds.product_kinds(PowerFeed, "product")) == any_kind
    assert set(PowerFeed.PRODUCT_KINDS) == set(PowerFeed.Kind)
