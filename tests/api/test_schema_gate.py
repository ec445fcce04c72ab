"""2,000 generated requests are answered as the OpenAPI document says; see `twin.benchmarks.generated_requests`."""

import io

import pytest
from django.core.management import call_command

from twin.benchmarks.generated_requests import exercise, make_site

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.compiled]
N_CASES = 2000


# What schemathesis and its parts warn of says nothing of this program.
@pytest.mark.filterwarnings("ignore")
def test_the_api_answers_as_its_document_says(caplog):
    call_command("load_catalogue", stdout=io.StringIO())
    secret = make_site()
    caplog.set_level("CRITICAL", logger="django.request")  # every refusal would be a line
    found = exercise(secret, N_CASES)
    assert found.cases >= N_CASES
    assert found.in_sequences >= 100
    assert "\n".join(map(str, found.misses.values())) == ""
    # What is drawn reaches behind the first refusal: things are made, changed and deleted.
    for status in (200, 201, 204, 400, 404):
        assert found.statuses[status] >= 20, found.statuses
    asked = {label for label, statuses in found.by_operation.items() if any(code < 300 for code in statuses)}
    assert len(asked) >= 0.7 * len(found.by_operation), sorted(set(found.by_operation) - asked)
