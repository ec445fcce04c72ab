"""The product has one version, in one place, and a dated release of it in the changelog."""

import datetime
import re
import tomllib
from pathlib import Path

from django.conf import settings

from twin import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)$", re.MULTILINE)


def test_the_version_stands_in_one_place():
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "twin.__version__"}
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == __version__


def test_the_newest_dated_release_of_the_changelog_is_this_version():
    releases = RELEASE.findall((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert releases[0][0] == __version__
    versions = [tuple(map(int, version.split("."))) for version, _ in releases]
    days = [datetime.date.fromisoformat(day) for _, day in releases]
    assert versions == sorted(versions, reverse=True)
    assert days == sorted(days, reverse=True)


def test_every_section_of_the_changelog_is_a_release_or_unreleased():
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## .*$", text, re.MULTILINE)
    assert [head for head in heads if head != "## Unreleased" and not RELEASE.match(head)] == []
