"""The shipped catalogue and sample sites in a test's database, read by their commands once in each process."""

import io
from functools import cache

from django.core.management import call_command
from django.db import connection

from tests.stored_rows import Tables, can_be_put_in, put_in, rows_made

CATALOGUE, SAMPLES = "load_catalogue", "load_samples"


def load_shipped(*commands: str) -> None:
    """Do what the commands do, by the rows that they made the first time.

    Parameters
    ----------
    *commands : str
        `CATALOGUE`, or `CATALOGUE` and `SAMPLES`. Products of the catalogue that are there already stay as they are;
        samples beside anything that is there, and databases other than SQLite, get the commands themselves.
    """
    with_samples = SAMPLES in commands
    if connection.vendor != "sqlite" or (with_samples and not can_be_put_in()):
        _run(commands)
        return
    made = _made_by(commands)
    put_in(made, beside=() if with_samples else made)


@cache
def _made_by(commands: tuple[str, ...]) -> Tables:
    return rows_made(lambda: _run(commands))


def _run(commands: tuple[str, ...]) -> None:
    for command in commands:
        call_command(command, verbosity=0, stdout=io.StringIO())
