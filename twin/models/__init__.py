"""What if: scenarios, their runs and saved comparisons."""

from twin.models.comparison import Comparison
from twin.models.external_identity import ExternalIdentity
from twin.models.guided_start import GuidedStart
from twin.models.idempotency import IdempotencyKey
from twin.models.job import Job
from twin.models.run import Run
from twin.models.scenario import Scenario, ScenarioWorkload
from twin.models.study import Study, StudyPoint, TakenAdvice
from twin.models.sweep import Sweep, SweepPoint
from twin.models.telemetry import (
    TelemetryBatch,
    TelemetryDay,
    TelemetryHot,
    TelemetryPoint,
    TelemetryRetention,
    TelemetryUpload,
)
from twin.models.telemetry_source import DeadLetter, SourceState, TelemetryArrival, TelemetryPushed, TelemetrySource
from twin.models.worker import Worker

__all__ = [
    "Comparison",
    "DeadLetter",
    "ExternalIdentity",
    "GuidedStart",
    "IdempotencyKey",
    "Job",
    "Run",
    "Scenario",
    "ScenarioWorkload",
    "SourceState",
    "Study",
    "StudyPoint",
    "Sweep",
    "SweepPoint",
    "TakenAdvice",
    "TelemetryArrival",
    "TelemetryBatch",
    "TelemetryDay",
    "TelemetryHot",
    "TelemetryPoint",
    "TelemetryPushed",
    "TelemetryRetention",
    "TelemetrySource",
    "TelemetryUpload",
    "Worker",
]
