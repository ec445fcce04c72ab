"""Sites as files through the API: the same YAML as `export_site` and `import_site`."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.problems import Fault
from facility.api.schema import RefusalSchema
from facility.api.serializers import SiteSerializer
from facility.interchange.documents import MAX_BYTES, SiteFileError
from facility.permissions import changeable_sites, visible_sites
from twin.interchange.import_process import ImportBusy, site_import_apart
from twin.interchange.site_file import site_export


class YamlParser(BaseParser):
    """Takes a YAML body as it is, up to a byte over the cap, so that the reader can refuse it."""

    media_type = "application/yaml"

    def parse(self, stream, media_type=None, parser_context=None) -> bytes:
        return stream.read(MAX_BYTES + 1)


class SiteExportView(APIView):
    """A site with its layouts and scenarios as a YAML file; the same description always gives the same bytes."""

    schema = RefusalSchema()

    @extend_schema(responses={(200, "application/yaml"): OpenApiTypes.OBJECT})
    def get(self, request, slug: str) -> HttpResponse:
        site = get_object_or_404(visible_sites(request.user).defer("notes"), slug=slug)
        answer = HttpResponse(site_export(site=site), content_type="application/yaml; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{site.slug}.yaml"'
        return answer


class SiteImportView(APIView):
    """Create a site from a YAML file, or with `replace=true` bring an existing one to the file's state."""

    schema = RefusalSchema()
    parser_classes = [YamlParser]

    @extend_schema(
        request={"application/yaml": OpenApiTypes.STR},
        responses={201: SiteSerializer},
        parameters=[OpenApiParameter("replace", bool, description="What the file lacks is deleted with its runs.")],
    )
    def post(self, request) -> Response:
        replace = request.query_params.get("replace", "false")
        if replace not in ("true", "false"):
            raise ValidationError({"replace": [f"It is {replace[:40]}; must be true or false."]})
        if replace == "true" and not changeable_sites(request.user).exists():  # before a byte of the body is read
            raise PermissionDenied("You don't have permission to change any site; its owner can grant that.")
        content = request.data if isinstance(request.data, bytes) else b""
        try:
            site = site_import_apart(content=content, replace=replace == "true", user=request.user)
        except SiteFileError as error:
            raise ValidationError({"file": [str(error)]}) from error
        except ImportBusy as busy:
            raise Fault(503, str(busy), 30) from busy
        return Response(SiteSerializer(site, context={"request": request}).data, status=status.HTTP_201_CREATED)
