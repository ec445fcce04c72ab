"""A solver for tests that kill workers: leaves a file when it starts, and waits for another before it ends.

`$TWIN_HOME/started-<pid>` says that a process is solving; `$TWIN_HOME/go` lets every one end.
"""

import os
import sys
import time
import types
from pathlib import Path

from django.apps import AppConfig


def simulate(inputs, progress):
    """Report until told to end."""
    from tests.small_run import small_result

    home = Path(os.environ["TWIN_HOME"])
    (home / f"started-{os.getpid()}").touch()
    while not (home / "go").exists():
        progress("waiting", 0.5)
        time.sleep(0.05)
    return small_result()


class WaitingSolverConfig(AppConfig):
    name = "tests.waiting_solver"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        module = types.ModuleType("twin.core.solve.simulate")
        module.simulate = simulate
        module.described = module.solve = module.solve_hours = None  # imported elsewhere; never called
        sys.modules["twin.core.solve.simulate"] = module
