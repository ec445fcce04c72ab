"""What workers do about readings. Ids cross the queue, never objects or arrays."""

from uuid import UUID

from celery import shared_task

from twin.exceptions import RunHeld
from twin.models import Study
from twin.telemetry import compaction, making


@shared_task(bind=True, max_retries=None, name=Study.TASK)
def study_make(self, study_id: str) -> None:
    """Answer a study. A message that meets another worker's lease looks again when that is over."""
    try:
        making.study_make(UUID(study_id))
    except RunHeld as held:
        raise self.retry(countdown=held.seconds + 1) from held
    except Study.DoesNotExist:
        return  # deleted while it waited


@shared_task(name="twin.tasks.telemetry_tend")
def telemetry_tend() -> None:
    """Compact what waits and hold the sites' rules. Two at once do no harm: each takes a site's lock."""
    compaction.tend(compaction.sites_to_tend())
