"""Models and accelerators of one's own, into the catalogue beside those that are shipped."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from compute.accelerators import accelerator_from_entry
from compute.model_configs import entry_from_config
from facility.catalogue import entries, schema
from facility.catalogue.names import entry_among
from facility.interchange.documents import read_json
from facility.models import Product

MAX_CONFIG_BYTES = 5 * 2**20  # a config.json lists every layer that is not quantised; the longest known has 3 MB
ACCELERATOR_NEEDS = (
    "launch_year",
    "memory_type",
    "hbm_bytes",
    "hbm_bandwidth_bytes_per_s",
    "scaleup_domain_size",
    "tdp_w",
    "cooling",
)


class OwnProductError(ValueError):
    """An entry that cannot be taken; names the field, its value and what is allowed."""


def config_read(content: bytes) -> Mapping[str, Any]:
    """Return a `config.json` as a mapping.

    Raises
    ------
    OwnProductError
        If it is too large or no JSON object.
    """
    try:
        config = read_json(content, MAX_CONFIG_BYTES)
    except ValueError as error:
        raise OwnProductError(f"the file is no JSON: {str(error)[:120]}") from error
    if not isinstance(config, dict):
        raise OwnProductError("the file is not a config.json (a mapping of names to values)")
    return config


def name_in(config: Mapping[str, Any], fallback: str) -> str:
    """Return what a model calls itself: its repository where the file names one."""
    return str(config.get("_name_or_path") or "").strip("/").rsplit("/", 1)[-1] or fallback


def model_add(*, config: Mapping[str, Any], name: str, source: str) -> Product:
    """Store a model from its `config.json`, or bring its own entry of that name up to date.

    Raises
    ------
    OwnProductError
        If the shape cannot be read, or the name is that of a shipped entry.
    """
    try:
        entry = entry_from_config(config, name)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError) as refusal:
        raise OwnProductError(f"{name}: {refusal}") from refusal
    return _stored("models", entry, source)


def accelerator_add(*, name: str, facts: Mapping[str, Any], source: str, vendor: str = "") -> Product:
    """Store an accelerator of one's own, or bring its own entry of that name up to date.

    Raises
    ------
    OwnProductError
        If a figure is missing or impossible, or the name is that of a shipped entry.
    """
    slug = re.sub(r"[^a-z0-9.+-]+", "-", name.lower()).strip("-.")
    entry = {"id": slug, "name": name, **{key: value for key, value in facts.items() if value is not None}}
    missing = [key for key in ACCELERATOR_NEEDS if entry.get(key) is None]
    if missing:
        raise OwnProductError(f"{name}: {missing[0]} is missing; an accelerator needs {', '.join(ACCELERATOR_NEEDS)}")
    try:
        accelerator_from_entry(entry)
    except (ValueError, TypeError) as refusal:
        raise OwnProductError(str(refusal)) from refusal
    return _stored("accelerators", entry | {"vendor": vendor}, source)


@transaction.atomic
def _stored(kind: str, entry: Mapping[str, Any], source: str) -> Product:
    slug = entry["id"]
    if not schema.SLUG.match(slug):
        raise OwnProductError(f"the name is {entry['name']!r}; must begin with a letter or digit, at most 80 of them")
    if slug in entries(kind):
        raise OwnProductError(f"{slug} is a shipped entry of the catalogue; give your own another name")
    product = Product.objects.filter(kind=kind, slug=slug).first() or Product(kind=kind, slug=slug)
    if product.pk and product.confidence != "entered":
        raise OwnProductError(f"{slug} is in the catalogue already; give your own another name")
    product.name, product.vendor = str(entry["name"])[:160], str(entry.get("vendor") or "")[:80]
    product.facts = {name: value for name, value in entry.items() if name not in schema.META}
    product.source, product.confidence, product.field_confidence = source, "entered", {}
    try:
        product.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as wrong:
        raise OwnProductError(f"{slug}: {' '.join(wrong.messages)}") from wrong
    product.save()
    return product


def known_entries(kind: str, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return shipped entries by id, and where one of the names is not among them those that users added.

    Commands that read and write files work before a database exists: then there are the shipped ones alone.
    """
    found: dict[str, Mapping[str, Any]] = dict(entries(kind))
    try:
        for name in names:
            if name:
                entry_among(found, kind, name)
    except ValueError:
        try:
            own = list(Product.objects.filter(kind=kind, confidence="entered"))
        except DatabaseError:
            return found
        found |= {product.slug: {"id": product.slug, "name": product.name, **product.facts} for product in own}
    return found
