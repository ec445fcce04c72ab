"""What workers do. Ids cross the queue, never objects or arrays.

Tasks keep the names that waiting messages of earlier versions carry.
"""

import io
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from power_cooling.cooling.comfort import hot_aisle
from twin.exceptions import RunHeld
from twin.models import Run
from twin.runs import execution, jobs, notices, sensitivity
from twin.runs.retention import runs_prune


@shared_task(bind=True, max_retries=None, name=Run.TASK)
def simulate_run(self, run_id: str) -> None:
    """Solve a run. A message that meets another worker's lease looks again when that is over."""
    try:
        execution.run_execute(run_id=UUID(run_id))
    except RunHeld as held:
        raise self.retry(countdown=held.seconds + 1) from held
    except Run.DoesNotExist:
        return  # deleted while it waited


@shared_task(name=sensitivity.SENSITIVITY_MAKE, soft_time_limit=600, time_limit=660)
def sensitivity_make(run_id: str) -> None:
    """Compute the tornado of a finished run."""
    try:
        sensitivity.sensitivity_make(UUID(run_id))
    except Run.DoesNotExist:
        return  # deleted while it waited


@shared_task(bind=True, name=jobs.RUN_MAIL, max_retries=3)
def run_mail(self, run_id: str) -> None:
    """Mail whoever asked to be told that a run has ended; a mail server that is away is tried again."""
    try:
        notices.run_mail(UUID(run_id))
    except OSError as error:
        raise self.retry(countdown=60 * 4**self.request.retries, exc=error) from error
    except Run.DoesNotExist:
        return  # deleted meanwhile


@shared_task(name="twin.tasks.runs_tend")
def runs_tend() -> None:
    """Delete the runs that are kept no longer, where there is such a rule."""
    if settings.TWIN_RUNS_KEPT_DAYS is not None:
        runs_prune(settings.TWIN_RUNS_KEPT_DAYS)


@shared_task(name="twin.tasks.warm_up")
def warm_up() -> None:
    """Compile or load what the first run of a worker would wait for."""
    hot_aisle(35.0, 0.3)


@shared_task(name="twin.tasks.scoreboard_make")
def scoreboard_make() -> None:
    """Hold every model against published and measured figures; the command stores what the page shows."""
    call_command("validate", stdout=io.StringIO())
