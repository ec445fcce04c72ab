"""The tornado of a run: asked for once it is done, computed by a worker, kept in its row.

`Run.sensitivity` is null until it is asked for; then it has `asked_at`, and in the end `rows` or a `message` why there
are none.
"""

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import kombu.exceptions
from django.db import transaction
from django.utils import timezone

from facility.permissions import Right, check_write
from twin.celery import app
from twin.core.comparison.tornado import FIGURES, SensitivityRow, as_json
from twin.core.figures_of_merit import RANKED_BY
from twin.core.text.json_numbers import without_nan
from twin.exceptions import InvalidTransition
from twin.models import Run
from twin.runs import snapshot

SENSITIVITY_MAKE = "twin.tasks.sensitivity_make"  # by name: tasks call this module, and it wakes tasks
LOST = dt.timedelta(minutes=10)  # after which whoever asked may ask again: the message or its worker was lost


def is_pending(run: Run) -> bool:
    """Return whether a worker is expected to bring the tornado of a run."""
    kept: Mapping[str, Any] = run.sensitivity or {}
    if not kept or "rows" in kept or kept.get("message"):
        return False
    return timezone.now() - dt.datetime.fromisoformat(kept["asked_at"]) < LOST


def sensitivity_rows(run: Run) -> list[SensitivityRow]:
    """Return the rows of a run's tornado; none as long as it has not been asked for."""
    kept = (run.sensitivity or {}).get("rows") or []
    return [SensitivityRow(**row) for row in kept]


@transaction.atomic
def sensitivity_ask(*, run: Run, user=None) -> Run:
    """Have a worker compute the tornado of a finished run; asking twice does nothing.

    Raises
    ------
    InvalidTransition
        If the run is not done, or kept no inputs.
    PermissionDenied
        If `user` is given and may not change the site.
    """
    check_write(user, run.layout.site, Right.RUN)
    found = Run.objects.select_for_update().defer("series", "racks", "details").get(id=run.id)
    if found.status != Run.Status.DONE or found.inputs is None:
        raise InvalidTransition(f"{run} is {run.status}; only a run that is done has a sensitivity.")
    if is_pending(found) or (found.sensitivity or {}).get("rows"):
        return found
    found.sensitivity = {"asked_at": timezone.now().isoformat()}
    found.save(update_fields=["sensitivity"])
    transaction.on_commit(lambda: _publish(found.id))
    return found


def sensitivity_make(run_id: UUID) -> None:
    """Compute the tornado of a run and store it, or why there is none."""
    from twin.core.comparison.sensitivity import sensitivity  # loads the solvers

    run = Run.objects.only("inputs", "sensitivity").get(id=run_id)
    kept = run.sensitivity or {}
    if "rows" in kept or run.inputs is None:
        return  # a doubled message
    try:
        rows = as_json(sensitivity(snapshot.inputs_stored(run.inputs), tuple(dict.fromkeys((*FIGURES, RANKED_BY)))))
        made = {"rows": without_nan(rows)}
    except ValueError as refusal:
        made = {"message": f"{refusal}."}
    Run.objects.filter(id=run_id).update(sensitivity={**kept, **made})


def _publish(run_id: UUID) -> None:
    try:
        app.send_task(SENSITIVITY_MAKE, [str(run_id)])
    except (kombu.exceptions.KombuError, *app.connection_for_write().recoverable_connection_errors, OSError):
        logging.getLogger(__name__).warning("the sensitivity of run %s: no broker", run_id, exc_info=True)
        message = "The broker cannot be reached; ask again."
        Run.objects.filter(id=run_id).update(sensitivity={"message": message})
