"""The shipped catalogue: one YAML file per kind of product, each entry with its source and confidence."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facility.catalogue.names import entry_among

FOLDER = Path(__file__).parent


def kinds(folder: Path = FOLDER) -> list[str]:
    """Return the names of the kinds that have a file in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


@cache
def entries(kind: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Return the entries of one kind by id, as read from the file. Do not change them: they are shared.

    Raises
    ------
    KeyError
        If there is no such kind; names those there are.
    """
    path = folder / f"{kind}.yaml"
    if not path.exists():
        raise KeyError(f"no catalogue of kind {kind!r}; there are {', '.join(kinds(folder))}")
    with path.open(encoding="utf-8") as file:
        content = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {entry["id"]: entry for entry in content["entries"]}


def entry_named(kind: str, name: str) -> Mapping[str, Any]:
    """Return the shipped entry that a name means, as `facility.catalogue.names.entry_among` reads it."""
    return entry_among(entries(kind), kind, name)
