"""What workers do about sweeps. Ids cross the queue, never objects or arrays."""

from uuid import UUID

from celery import shared_task

from twin.exceptions import RunHeld
from twin.models import SweepPoint
from twin.sweeps import solving


@shared_task(bind=True, max_retries=None, name=SweepPoint.TASK)
def sweep_point_solve(self, point_id: str) -> None:
    """Solve the next point. A message that meets another worker's lease looks again when that is over."""
    try:
        solving.next_solve(UUID(point_id))
    except RunHeld as held:
        raise self.retry(countdown=held.seconds + 1) from held
    except SweepPoint.DoesNotExist:
        return  # deleted while it waited
