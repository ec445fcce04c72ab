"""The shipped catalogue: one YAML file per kind of product, each entry with its source and confidence."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

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
    """Return the entry that a name means: its id, its name or its repository, without regard to case and dashes.

    A name that goes on after an entry's (Qwen3-30B-A3B-Instruct-2507) means that entry; the longest such counts.

    Raises
    ------
    ValueError
        If there is none; lists those there are.
    """
    catalogue = entries(kind)
    if name in catalogue:
        return catalogue[name]
    wanted = _plain(name)
    begins: list[tuple[int, Mapping[str, Any]]] = []
    for entry in catalogue.values():
        for known in map(_plain, (entry["id"], entry.get("name", ""), entry.get("hf_repo") or "")):
            if known and known == wanted:
                return entry
            if known and wanted.startswith(known):
                begins.append((len(known), entry))
    if begins:
        return max(begins, key=lambda found: found[0])[1]
    raise ValueError(f"no entry {name!r} under {kind}; there are {', '.join(sorted(catalogue))}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().rsplit("/", 1)[-1])
