"""What processes of this machine count while they work; `twin.operations.metrics` adds them up over all of them.

Each process writes a file of its own in `settings.TWIN_METRICS_DIR`. Every metric has labels, so that a process which
counts nothing leaves no file behind.
"""

import os

from prometheus_client import Counter, Histogram

ROLE = os.environ.get("TWIN_ROLE", "web")  # of the processes that answer requests: web, or solver behind its door
NO_ROUTE = "none"  # of requests to addresses that there are not: their paths are the visitor's, and without number

REQUESTS = Counter("twin_requests", "Requests answered.", ["role", "method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "twin_request_seconds",
    "Time to answer a request [s]; of role solver: time to solve it.",
    ["role", "route"],
    buckets=(0.01, 0.03, 0.1, 0.3, 0.8, 2.0, 5.0, 20.0, 60.0),
)
JOBS_ENDED = Counter("twin_jobs_ended", "Jobs that workers of this machine ended.", ["kind", "state"])
JOB_SECONDS = Histogram(
    "twin_job_seconds",
    "Time from claim to result of jobs that were done [s].",
    ["kind"],
    buckets=(0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0),
)
READINGS = Counter("twin_readings", "Readings that were sent.", ["outcome"])
