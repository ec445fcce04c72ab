"""What an operator copies from docs/operate: files that are read, units that systemd takes, commands that are there."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import load_command_class

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATE = REPOSITORY / "docs/operate"
UNITS = sorted(OPERATE.glob("*.service"))


def served(arguments: list[str]) -> None:
    """Refuse arguments that `manage.py` does not take."""
    name, *rest = arguments
    load_command_class("twin", name).create_parser("manage.py", name).parse_args(rest)


def environment_variables() -> set[str]:
    """Return the variables that the settings read."""
    text = (REPOSITORY / "twin/settings.py").read_text()
    return set(re.findall(r'env(?:\.\w+)?\(\s*"(\w+)"', text))


def test_the_compose_file_starts_what_there_is_with_variables_that_are_read():
    told = yaml.safe_load((OPERATE / "compose.yaml").read_text())
    services = told["services"]
    assert {"web", "worker", "database", "broker", "prometheus"} <= set(services)
    python, manage, *command = services["web"]["command"]
    assert (python, manage) == ("python", "manage.py")
    served(command)
    assert services["worker"]["command"][:4] == ["celery", "--app", "twin.celery", "worker"]
    for service in ("web", "worker"):
        assert set(services[service]["environment"]) <= environment_variables()
    volumes = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }
    assert volumes == set(told["volumes"])
    [scrape] = yaml.safe_load((OPERATE / "prometheus.yaml").read_text())["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["web:8000"]}]


def test_the_image_is_made_of_files_that_are_there_and_starts_a_command_that_is():
    text = (OPERATE / "Containerfile").read_text()
    assert re.findall(r"^FROM (.*)$", text, re.MULTILINE) == ["${BASE}"]
    [lock] = re.findall(r"^COPY (\S+) \./$", text, re.MULTILINE)[:1]
    assert (REPOSITORY / lock).is_file()
    [command] = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    python, manage, *arguments = yaml.safe_load(command)
    assert (python, manage) == ("python", "manage.py")
    served(arguments)


def test_what_the_image_leaves_out_is_said():
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert {".git", ".venv", "var"} <= set(ignored)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_what_there_is(unit):
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(unit.read_text())
    program, *arguments = parser["Service"]["ExecStart"].split()
    if program.endswith("/python"):
        assert arguments.pop(0) == "manage.py"
        served(arguments)
    else:
        assert (program.rpartition("/")[2], arguments[:3]) == ("celery", ["--app", "twin.celery", "worker"])
    named = {pair.partition("=")[0] for pair in parser["Service"]["Environment"].split()}
    assert named - {"NUMBA_CACHE_DIR", "OMP_NUM_THREADS"} <= environment_variables()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine (apt-get install systemd)")
    # Programs of /opt/twin are not on this machine; what is checked is the rest.
    copy = tmp_path / unit.name.replace("@.", "@1.")
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
    copy.write_text(text)
    if "@1." in copy.name:
        (tmp_path / unit.name).write_text(text)
    ended = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    said = [line for line in ended.stderr.splitlines() if unit.name.partition("@")[0].removesuffix(".service") in line]
    assert (ended.returncode, said) == (0, []), ended.stderr
