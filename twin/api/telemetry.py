"""Readings for programs: batches in, points and their series out."""

import datetime as dt
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError as Refused
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.errors import Conflict
from facility.api.known_fields import KnownFields
from facility.api.problems import Fault
from facility.api.schema import RefusalSchema
from facility.interchange.documents import read_json
from facility.models import Site
from facility.permissions import Right, check_change_site, visible_sites
from twin.core.telemetry import readings as reader
from twin.core.telemetry.parquet import is_parquet
from twin.core.telemetry.quantities import split_point
from twin.core.telemetry.tables import Table, parquet_table, table_of
from twin.exceptions import KeyReused
from twin.models import TelemetryPoint, TelemetryRetention
from twin.models.telemetry import MOST_DAYS_KEPT
from twin.telemetry import batches, retention, store
from twin.telemetry.points import listed_points, point_rows, si_unit

MAX_BYTES = 16 * 2**20  # of a batch, unpacked
MAX_ROWS = 200_000
MAX_CELLS = 2_000_000  # of a Parquet body
MAX_STEPS = 10_000
DAY_S = 86_400
STEP_HELP = "Of an interval [s]. Whole minutes and quarters of an hour, such as 60, 900, 3600, 86400, are rolled up."

SITE = OpenApiParameter("site", str, required=True, description="Slug of the site.")


class RawJson(BaseParser):
    """Takes a JSON body as it came: it may be packed."""

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None) -> bytes:
        return stream.read()  # the middleware refuses a body over 20 MiB


class RawCsv(RawJson):
    """Takes a CSV body as it came."""

    media_type = "text/csv"


class RawParquet(RawJson):
    """Takes a Parquet body as it came."""

    media_type = "application/vnd.apache.parquet"


class ReadingSerializer(serializers.Serializer):
    """One reading as it is sent."""

    time = serializers.CharField(help_text="ISO 8601 with its zone, or seconds since 1970.")
    point = serializers.CharField(help_text="`object|quantity`, or a source's name that the site's mapping has.")
    value = serializers.FloatField()
    unit = serializers.CharField(required=False, help_text="Needed where the mapping does not say it.")
    quality = serializers.IntegerField(required=False, default=1, help_text="1 is good.")


class RefusedRowSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="From 1; of CSV, among the whole lines below the header.")
    time = serializers.CharField()
    point = serializers.CharField()
    value = serializers.CharField()
    reason = serializers.CharField()


class BatchAnswerSerializer(serializers.Serializer):
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField(help_text="The point had a reading of that time already, which stays.")
    refused = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by reason.")
    first_refused = RefusedRowSerializer(many=True)


class BatchQuestionSerializer(serializers.Serializer):
    """How a batch is to be read."""

    dates = serializers.ChoiceField(reader.DATES, default="iso", help_text="Order of dates with slashes.")
    decimal = serializers.ChoiceField(("point", "comma"), default="point")
    time_zone = serializers.CharField(default="", max_length=60, help_text="IANA name, of times without their zone.")

    def validate_time_zone(self, name: str) -> str:
        try:
            if name:
                reader.zone_named(name)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return name


class PointSerializer(serializers.Serializer):
    point = serializers.CharField(help_text="As `telemetry/series/` takes it.")
    object = serializers.CharField()
    quantity = serializers.CharField()
    unit = serializers.CharField(help_text="SI, of every value here.")
    source_name = serializers.CharField()
    source_unit = serializers.CharField()
    count = serializers.IntegerField()
    days = serializers.IntegerField(help_text="UTC days with readings.")
    last_time = serializers.DateTimeField(allow_null=True)
    last_value = serializers.FloatField(allow_null=True)


class PointSeriesQuestionSerializer(serializers.Serializer):
    site = serializers.SlugField(help_text="Slug of the site.")
    point = serializers.CharField(max_length=270, help_text="`object|quantity`.")
    start = serializers.CharField(help_text="ISO 8601 with its zone.")
    end = serializers.CharField(help_text="ISO 8601 with its zone; not included.")
    step = serializers.IntegerField(default=3600, min_value=1, max_value=366 * DAY_S, help_text=STEP_HELP)

    def validate_start(self, text: str) -> int:
        return self._ms("start", text)

    def validate_end(self, text: str) -> int:
        return self._ms("end", text)

    def _ms(self, name: str, text: str) -> int:
        try:
            when = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)  # a plus left bare
        except ValueError as error:
            raise ValidationError(f"{name} is {text[:40]}; must be a time as 2026-07-01T00:00:00Z.") from error
        if when.tzinfo is None:
            raise ValidationError(f"{name} is {text[:40]}, without a zone; write one, such as Z or -05:00.")
        ms = round(when.timestamp() * 1e3)
        if not reader.FIRST_MS <= ms <= reader.LAST_MS:
            raise ValidationError(f"{name} is {text[:40]}; must lie from 1990 to 2100.")
        return ms

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["end"] <= asked["start"]:
            raise ValidationError({"end": "end must come after start."})
        asked["n"] = -(-(asked["end"] - asked["start"]) // (asked["step"] * 1000))
        if asked["n"] > MAX_STEPS:
            raise ValidationError(
                {"step": f"step makes {asked['n']:,} intervals; at most {MAX_STEPS:,} are given, so take a longer one."}
            )
        return asked


class PointSeriesSerializer(serializers.Serializer):
    """Good readings by interval; null where one has none. Gaps stay gaps."""

    site = serializers.CharField()
    point = serializers.CharField()
    unit = serializers.CharField()
    step_s = serializers.IntegerField()
    time = serializers.ListField(child=serializers.DateTimeField(), help_text="Beginnings of the intervals, UTC.")
    min = serializers.ListField(child=serializers.FloatField(allow_null=True))
    mean = serializers.ListField(child=serializers.FloatField(allow_null=True))
    max = serializers.ListField(child=serializers.FloatField(allow_null=True))
    count = serializers.ListField(child=serializers.IntegerField())
    not_good = serializers.ListField(child=serializers.IntegerField(), help_text="Readings whose quality is not 1.")
    rollup_s = serializers.IntegerField(help_text="Of the rollup that it was added up from [s]; 0: of the readings.")


BODIES = {
    RawJson.media_type: ReadingSerializer(many=True),
    RawCsv.media_type: OpenApiTypes.STR,
    RawParquet.media_type: OpenApiTypes.BINARY,
}


class BatchView(APIView):
    """Store a batch of readings of a site: every row that can be read, the others counted under their reason."""

    schema = RefusalSchema()
    parser_classes = [RawJson, RawCsv, RawParquet]

    @extend_schema(
        request=BODIES,
        responses=BatchAnswerSerializer,
        parameters=[
            SITE,
            BatchQuestionSerializer,
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip"]),
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key with the same batch gives the first answer again; with another, 409.",
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        site = asked_site(request)
        check_change_site(request.user, site, Right.OPERATE)  # before a byte of the body is read
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 128 or not key.isprintable():
            raise ValidationError({"Idempotency-Key": ["It must have 1 to 128 printable characters."]})
        asked = BatchQuestionSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        kind = request.content_type.partition(";")[0].strip().lower()
        table_kind = "parquet" if kind == RawParquet.media_type else "long-csv"  # Parquet may be wide
        wanted = reader.Reading(table_kind, **asked.validated_data)
        raw = unpacked(request)
        read_body = {RawCsv.media_type: csv_table, RawParquet.media_type: parquet_body}.get(kind, rows_of)
        try:
            rows = read_body(raw)
        except ValueError as error:
            raise ValidationError({"body": [f"{error}."]}) from error

        def read(mapping: Mapping[str, reader.MappedPoint], objects: tuple[str, ...]) -> reader.Readings:
            if isinstance(rows, list):
                return reader.row_readings(rows, mapping, objects, wanted)
            return reader.table_readings(rows, mapping, objects, wanted)

        content_sha256 = hashlib.sha256(repr((kind == RawCsv.media_type, wanted)).encode() + raw).hexdigest()
        try:
            answer = batches.store_batch(user=request.user, site=site, read=read, key=key, sha256=content_sha256)
        except KeyReused as refusal:
            raise Conflict(str(refusal)) from refusal
        except ValueError as error:
            raise ValidationError({"body": [f"{error}."]}) from error
        return Response(BatchAnswerSerializer(answer).data)


def asked_site(request: Request) -> Site:
    """Return the site that `?site=` names, among those that the caller may see."""
    slug = request.query_params.get("site", "")
    if not slug:
        raise ValidationError({"site": ["site must be given: the slug of a site."]})
    return get_object_or_404(visible_sites(request.user).defer("notes"), slug=slug)


def unpacked(request: Request) -> bytes:
    """Return the body, unpacked up to the cap on its size."""
    raw = request.data if isinstance(request.data, bytes) else b""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "gzip":
        packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            raw = packed.decompress(raw, MAX_BYTES + 1)
        except zlib.error as error:
            raise ParseError("The body is no gzip file, though Content-Encoding says so.") from error
        if len(raw) <= MAX_BYTES and (not packed.eof or packed.unused_data):
            raise ParseError("The body is not one whole gzip file.")
    elif encoding != "identity":
        raise UnsupportedMediaType(encoding, f"Content-Encoding is {encoding[:40]}; gzip is read.")
    if len(raw) > MAX_BYTES:
        raise Fault(413, f"The batch has more than {MAX_BYTES:,} bytes unpacked; send it in parts.")
    if not raw.strip():
        raise ParseError("The body is empty; it must hold readings as JSON or CSV.")
    return raw


def rows_of(raw: bytes) -> list[Any]:
    """Return the rows of a JSON body."""
    try:
        rows = read_json(raw, MAX_BYTES)
    except ValueError as error:
        raise ParseError(f"The body is no JSON: {error}.") from error
    if not isinstance(rows, list):
        raise ParseError(f"The body is no list of rows with {', '.join(reader.ROW_FIELDS)}.")
    check_rows(len(rows))
    return rows


def parquet_body(raw: bytes) -> Table:
    """Return the table of a Parquet body."""
    if not is_parquet(raw):
        raise ParseError("The body is no Parquet file.")
    table = parquet_table(raw, "The body", MAX_CELLS)
    check_rows(table.n_rows)
    return table


def csv_table(raw: bytes) -> Table:
    """Return the table of a CSV body."""
    return table_of(csv_text(raw), "The body")


def csv_text(raw: bytes) -> str:
    """Return the text of a CSV body."""
    check_rows(raw.count(b"\n") - 1)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError("The body is no UTF-8 text.") from error
    if "\0" in text:
        raise ParseError("The body is not a text table.")
    return text


def check_rows(n: int) -> None:
    """Raise Fault where a batch has too many rows."""
    if n > MAX_ROWS:
        raise Fault(413, f"The batch has {n:,} rows; at most {MAX_ROWS:,} are read, so send it in parts.")


class PointsView(generics.ListAPIView):
    """The points of a site that have readings, with their newest."""

    schema = RefusalSchema()
    serializer_class = PointSerializer
    queryset = TelemetryPoint.objects.none()
    filter_backends = []

    def get_queryset(self) -> QuerySet[TelemetryPoint]:
        return listed_points(asked_site(self.request))

    @extend_schema(parameters=[SITE])
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(PointSerializer(point_rows(page), many=True).data)


class SeriesView(APIView):
    """One point's readings by interval: least, mean, largest, and how many."""

    schema = RefusalSchema()

    @extend_schema(parameters=[PointSeriesQuestionSerializer], responses=PointSeriesSerializer)
    def get(self, request: Request) -> Response:
        site = asked_site(request)
        question = PointSeriesQuestionSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        named = split_point(asked["point"])
        if named is None:
            raise ValidationError({"point": [f"point is {asked['point'][:80]}; must be object|quantity."]})
        point = get_object_or_404(TelemetryPoint, site=site, object=named[0], quantity=named[1])
        step_ms = asked["step"] * 1000
        try:
            found = store.series(point, asked["start"], step_ms, asked["n"], end_ms=asked["end"])
        except ValueError as error:
            raise ValidationError({"start": [f"{error}."]}) from error
        begins = asked["start"] + step_ms * np.arange(asked["n"])
        return Response(
            {
                "site": site.slug,
                "point": str(point),
                "unit": si_unit(point),
                "step_s": asked["step"],
                "time": [f"{text}Z" for text in np.datetime_as_string(begins.astype("datetime64[ms]"))],
                "min": plain(found.low),
                "mean": plain(found.mean),
                "max": plain(found.high),
                "count": found.count.tolist(),
                "not_good": found.not_good.tolist(),
                "rollup_s": found.rollup_s,
            }
        )


class RetentionSerializer(KnownFields, serializers.Serializer):
    """How long a site keeps what was measured; null: for ever."""

    readings_days = serializers.IntegerField(
        allow_null=True, min_value=1, max_value=MOST_DAYS_KEPT, help_text="After that their quarters of an hour stay."
    )
    rollups_days = serializers.IntegerField(
        allow_null=True,
        min_value=1,
        max_value=MOST_DAYS_KEPT,
        help_text="Quarters of an hour; after that nothing stays.",
    )


class StoredSerializer(serializers.Serializer):
    """What is stored of a site's readings."""

    readings = serializers.IntegerField(source="n_readings", help_text="In days of their points.")
    bytes = serializers.IntegerField(source="n_bytes", help_text="Of them with their rollups.")
    bytes_per_reading = serializers.FloatField(allow_null=True)
    waiting = serializers.IntegerField(source="n_hot", help_text="Readings that wait for compaction.")


class RetentionAnswerSerializer(serializers.Serializer):
    site = serializers.CharField()
    readings_days = serializers.IntegerField(allow_null=True)
    rollups_days = serializers.IntegerField(allow_null=True)
    stored = StoredSerializer()


class RetentionView(APIView):
    """How long a site keeps its readings, and how much is stored of them."""

    schema = RefusalSchema()

    @extend_schema(parameters=[SITE], responses=RetentionAnswerSerializer)
    def get(self, request: Request) -> Response:
        return self._answer(asked_site(request))

    @extend_schema(parameters=[SITE], request=RetentionSerializer, responses=RetentionAnswerSerializer)
    def put(self, request: Request) -> Response:
        wanted = RetentionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        site = asked_site(request)
        check_change_site(request.user, site, Right.OPERATE)
        try:
            retention.retention_set(user=request.user, site=site, **wanted.validated_data)
        except Refused as refusal:
            raise ValidationError(refusal.message_dict) from refusal
        return self._answer(site)

    def _answer(self, site: Site) -> Response:
        rule = TelemetryRetention.objects.filter(site=site).first()
        answer = {
            "site": site.slug,
            "readings_days": rule.readings_days if rule else None,
            "rollups_days": rule.rollups_days if rule else None,
            "stored": retention.stored_facts(site),
        }
        return Response(RetentionAnswerSerializer(answer).data)


def plain(values: np.ndarray) -> list[float | None]:
    """Return numbers as JSON has them."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124  NaN
