#!/usr/bin/env python3
"""Command line of the project: `manage.py help` lists what there is."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError

from facility import acting


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twin.settings")
    try:
        acting.act(acting.of_command(sys.argv[1:]))
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except (OperationalError, ProgrammingError) as error:
        missing = ("no such table", "no such column", "does not exist")  # as SQLite and PostgreSQL say it
        if not any(words in str(error) for words in missing):
            raise
        sys.exit(f"The database is not up to date ({str(error).splitlines()[0]}). Run: manage.py migrate")
    except BrokenPipeError:  # whoever read the output has enough of it, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print goes nowhere
        sys.exit(141)  # as of a program that the pipe's signal ends


if __name__ == "__main__":
    main()
