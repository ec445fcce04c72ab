"""What exists. Fields are SI, and their suffix names the unit; `help_text` says what they mean."""

from facility.models.access import ApiToken, Membership
from facility.models.audited import AuditEvent
from facility.models.calibration import CalibratedParameter
from facility.models.cooling import Cdu, CoolingPlant
from facility.models.cpu_server import CpuServer
from facility.models.edit_record import EditRecord
from facility.models.features import AirUnit, FloorFeature
from facility.models.floor import Hall, Rack
from facility.models.network import Fabric
from facility.models.power import PowerFeed
from facility.models.preferences import Preferences
from facility.models.product import Product
from facility.models.sign_in import RefusedSignIn
from facility.models.site import Layout, Organisation, Site, Weather
from facility.models.storage import Storage

__all__ = [
    "AirUnit",
    "ApiToken",
    "AuditEvent",
    "CalibratedParameter",
    "Cdu",
    "CoolingPlant",
    "CpuServer",
    "EditRecord",
    "Fabric",
    "FloorFeature",
    "Hall",
    "Layout",
    "Membership",
    "Organisation",
    "PowerFeed",
    "Preferences",
    "Product",
    "Rack",
    "RefusedSignIn",
    "Site",
    "Storage",
    "Weather",
]
