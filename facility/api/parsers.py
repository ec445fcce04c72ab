"""What the API reads: JSON with a cap on its size, so that no body can fill the memory of the web process."""

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from facility.api.problems import Fault
from facility.interchange.documents import MAX_BYTES, read_json


class BoundedJsonParser(JSONParser):
    """JSON of at most 5 MiB, nested no deeper than the reader goes."""

    def parse(self, stream, media_type=None, parser_context=None):
        raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise Fault(413, f"The body has more than {MAX_BYTES:,} bytes; at most that many are read.")
        try:
            return read_json(raw)
        except ValueError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
