"""Which catalogue entry a name means, and which names only look like one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

# Words after a model's name that leave the network as it is: training stages, dates and releases of its weights.
STAGE = r"instruct|thinking|think|chat|base|hf|it|preview|exp|original|terminus|speciale|reasoning"
SAME_NETWORK = re.compile(rf"({STAGE}|\d{{4,8}}|v\d+(\.\d+)?)\Z")
# Words that mean other weights of the same network: their width is asked for by itself.
QUANTISED = re.compile(
    r"(awq|gptq|gguf|exl2|marlin|bnb|nvfp4|mxfp\d|fp\d+|bf16|[wi]\d+a?\d*|int\d|\dbit|quantized|quark|autoround)\Z"
)
VENDORS = {"meta", "nvidia", "openai", "google", "amd"}  # that stand before some names of the same weights


class NoSuchEntry(ValueError):
    """A name that resembles no entry's."""


def entry_among(catalogue: Mapping[str, Entry], kind: str, name: str) -> Entry:
    """Return the entry that a name means: its id, its name or its repository, without regard to case and dashes.

    A model's name that goes on after an entry's means that entry only where the network is the same
    (Qwen3-30B-A3B-Instruct-2507). Distilled, quantised and vision variants are other models. Other kinds take a name
    that goes on after a whole word (an L40 is no L4); the longest entry's counts. An accelerator's name may say less
    than the entry's (H200, or as its driver has it, NVIDIA H100 80GB HBM3) where no other entry is called so.

    Raises
    ------
    ValueError
        If there is none; says which variant it looks like, or lists those there are.
    """
    if name in catalogue:
        return catalogue[name]
    wanted = _words(name)
    begins: list[tuple[int, Entry, list[str]]] = []
    for entry in catalogue.values():
        own = (
            entry.get("id", ""),
            entry.get("name", ""),
            entry.get("hf_repo") or "",
            *(entry.get("same_network") or ()),
        )
        for known in map(_words, map(str, own)):
            if not known:
                continue
            if "".join(known) == "".join(wanted):
                return entry
            if kind != "models":
                if _begins(known, wanted):
                    begins.append((len("".join(known)), entry, []))
                continue
            while len(known) > 1 and re.fullmatch(STAGE, known[-1]):
                known = known[:-1]
            if wanted[: len(known)] == known:
                begins.append((len(known), entry, wanted[len(known) :]))
    if not begins and kind == "accelerators" and wanted:
        called = [entry for entry in catalogue.values() if _says_less(wanted, entry)]
        if len(called) == 1:
            return called[0]
        if called:
            forms = " or ".join(sorted(str(entry["id"]) for entry in called))
            raise ValueError(f"{name!r} is more than one accelerator; name {forms}")
    if not begins:
        raise NoSuchEntry(f"no entry {name!r} under {kind}; there are {', '.join(sorted(catalogue))}")
    _, entry, rest = max(begins, key=lambda found: found[0])
    for word in rest:
        if SAME_NETWORK.match(word):
            continue
        if QUANTISED.match(word):
            asked = f"name {entry['id']} and give the weight precision"
            raise ValueError(f"{name!r} is {entry['id']} with quantised weights ({word}); {asked}")
        raise ValueError(
            f"{name!r} is not {entry['id']}: {word!r} names another network; load its own config.json to serve it"
        )
    return entry


def _begins(known: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a name goes on after an entry's, whatever its dashes: after a word, or a word's letters."""
    rest, own = "".join(wanted), "".join(known)
    if not rest.startswith(own):
        return False
    ends = {sum(map(len, wanted[: i + 1])) for i in range(len(wanted))}
    return len(own) in ends or (own[-1].isalpha() and rest[len(own)].isdigit())


def _says_less(wanted: Sequence[str], entry: Entry) -> bool:
    """Return whether a name gives an accelerator's first word and nothing but words of it, memory included."""
    own = _words(str(entry.get("id", "")))
    memory = f"{float(entry.get('hbm_bytes') or 0.0) / 1e9:.0f} GB {entry.get('memory_type') or ''}"
    words = {*own, *_words(f"{entry.get('name', '')} {memory}")}
    return wanted[0] == own[0] and words.issuperset(_words(re.sub(r"(\d)(?=gb\b)", r"\1 ", " ".join(wanted))))


def with_ids(
    rows: Sequence[Mapping[str, Any]], catalogues: Mapping[str, Mapping[str, Entry]]
) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Return rows with names of entries replaced by their ids, and by row which variant a name looks like.

    `catalogues` holds the entries of a column's kind: "accelerator" those of kind accelerators.
    """
    found, refused = [], {}
    for i, row in enumerate(rows):
        own = dict(row)
        for column, catalogue in catalogues.items():
            name = str(own.get(column) or "").strip()
            if not name or name in catalogue:
                continue
            try:
                own[column] = entry_among(catalogue, f"{column}s", name)["id"]
            except NoSuchEntry:
                continue  # who reads the row says so
            except ValueError as refusal:
                refused.setdefault(i, f"{column}: {refusal}")
        found.append(own)
    return found, refused


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, without its organisation: numbers keep their points."""
    words = re.findall(r"[a-z0-9]+(?:\.\d+)*", name.lower().rsplit("/", 1)[-1])
    while len(words) > 1 and words[0] in VENDORS:
        words = words[1:]
    return words
