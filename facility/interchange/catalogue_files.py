"""From the catalogue's files into the database: everything or nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction

from facility.catalogue import FOLDER, schema
from facility.models import Product

MAX_FILE_BYTES = 5 * 2**20


class CatalogueError(ValueError):
    """A catalogue that cannot be loaded; names file, entry and field of each bad value."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a load did with the entries of one kind."""

    created: int
    updated: int
    unchanged: int


@transaction.atomic
def catalogue_load(*, folder: Path = FOLDER) -> dict[str, Counts]:
    """Load or update every entry of the catalogue files in `folder` and return the counts by kind.

    Entries that are in the database but in no file stay: layouts may use them, and people add their own.

    Raises
    ------
    CatalogueError
        If a file cannot be read or any value is bad. Nothing has been changed then.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise CatalogueError(f"{folder} holds no .yaml files; name a folder of catalogue files")
    problems: list[str] = []
    read = {path.stem: _read(path, problems) for path in paths}
    if problems:
        raise CatalogueError("\n".join(problems))
    return {kind: _store(kind, entries) for kind, entries in read.items()}


def _read(path: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Return the entries of a file by id; add what is wrong to `problems`."""
    if path.stem not in schema.KINDS:
        problems.append(f"{path.name}: there is no kind {path.stem!r}; there are {', '.join(schema.KINDS)}")
        return {}
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"is {path.stat().st_size} bytes; at most {MAX_FILE_BYTES} are read")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:
        problems.append(f"{path.name}: cannot be read: {error}")
        return {}
    if (
        not isinstance(content, dict)
        or content.get("kind") != path.stem
        or not isinstance(content.get("entries"), list)
    ):
        problems.append(f"{path.name}: must hold `kind: {path.stem}` and a list of `entries`")
        return {}
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(content["entries"], 1):
        slug = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(slug, str) or not schema.SLUG.match(slug):
            problems.append(
                f"{path.name}: entry {number}: id is {slug!r}; must be a name of letters, digits and . _ + -"
            )
            continue
        if slug in found:
            problems.append(f"{path.name}: {slug}: id appears twice; each must be unique")
        fields = _fields(slug, entry)
        wrong = schema.complaints(
            path.stem,
            fields["facts"],
            source=fields["source"],
            confidence=fields["confidence"],
            field_confidence=fields["field_confidence"],
        )
        wrong += [
            (name, f"is {fields[name]!r}; must be a text of at most {longest} characters")
            for name, longest in (("name", 160), ("vendor", 80), ("notes", 10_000))
            if not isinstance(fields[name], str) or len(fields[name]) > longest
        ]
        problems += [f"{path.name}: {slug}: {name} {problem}" for name, problem in wrong]
        found[slug] = fields
    return found


def _fields(slug: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": entry.get("name", slug),
        "vendor": entry.get("vendor", ""),
        "facts": {name: value for name, value in entry.items() if name not in schema.META},
        "source": entry.get("source"),
        "confidence": entry.get("confidence"),
        "field_confidence": entry.get("field_confidence", {}),
        "notes": entry.get("notes", ""),
    }


def _store(kind: str, entries: dict[str, dict[str, Any]]) -> Counts:
    present = {product.slug: product for product in Product.objects.filter(kind=kind)}
    new = [Product(kind=kind, slug=slug, **fields) for slug, fields in entries.items() if slug not in present]
    changed = []
    for slug, fields in entries.items():
        product = present.get(slug)
        if product and any(getattr(product, name) != value for name, value in fields.items()):
            for name, value in fields.items():
                setattr(product, name, value)
            changed.append(product)
    Product.objects.bulk_create(new)
    for product in changed:  # few at a time; save() also moves updated_at
        product.save()
    return Counts(len(new), len(changed), len(entries) - len(new) - len(changed))
