"""The rail marks where a page belongs, whichever page it is."""

import re
from pathlib import Path

from django.conf import settings
from django.urls import get_resolver

#: Addresses that belong to none of the rail's links, and why.
OUTSIDE = {
    "account": "the user's own",
    "admin": "a console of its own",
    "api": "for programs",
    "audit": "linked from the account",
    "glossary": "at the foot",
    "guide": "at the foot",
    "health": "for programs",
    "help": "at the foot",
    "login": "nobody is signed in",
    "logout": "nobody is signed in",
    "members": "linked from the account",
    "metrics": "for programs",
    "organisations": "linked from the account",
    "search": "at the head",
    "sso": "nobody is signed in",
}


def test_every_page_is_marked_in_the_rail_or_says_why_not():
    base = Path(settings.TEMPLATES[0]["DIRS"][0], "base.html").read_text(encoding="utf-8")
    prefixes = " ".join(re.findall(r"\{% current (.+?) %\}", base))
    marked = {prefix.strip("/") for prefix in re.findall(r'"(.+?)"', prefixes)}
    first = {str(pattern.pattern).partition("/")[0] for pattern in flat(get_resolver())}
    pages = {name for name in first if re.fullmatch(r"[a-z-]+", name)}
    assert pages - marked == set(OUTSIDE)


def flat(resolver, before: str = ""):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns") and not str(pattern.pattern):
            yield from flat(pattern)
        else:
            yield pattern
