"""The one door for calls to other machines: where to, for how long, and how much of an answer is read.

Every address that a name resolves to is checked, the connection is made to the address that was checked, and a redirect
is checked like the first call; to another origin (scheme, host, port) only harmless headers follow, and no body.
Loopback, link-local, metadata and private addresses are refused unless the operator lists their network in
TWIN_ALLOWED_NETWORKS; metadata and link-local addresses always are.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings

PORTS = {"https": 443, "http": 80}
REDIRECTS = {301, 302, 303, 307, 308}
HARMLESS = {"accept", "accept-encoding", "accept-language", "content-type", "odata-version", "user-agent"}  # headers
NEVER = [ipaddress.ip_network(name) for name in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32")]


class CallRefused(Exception):
    """A call that is not made, or whose answer is not read to its end; the message gives the reason."""


class CutShort(CallRefused):
    """An answer that is longer, or takes longer, than is waited for: less of it may do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What another machine answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def checked_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host after checking all of them.

    Raises
    ------
    CallRefused
        If the name does not resolve, or any of its addresses may not be called.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CallRefused(f"{host} cannot be resolved: {error}.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    allowed = [ipaddress.ip_network(name, strict=False) for name in settings.TWIN_ALLOWED_NETWORKS]
    for text in addresses:
        address = ipaddress.ip_address(text)
        address = getattr(address, "ipv4_mapped", None) or address
        listed = any(address in network for network in allowed if network.version == address.version)
        if any(address in network for network in NEVER if network.version == address.version):
            raise CallRefused(f"{host} is {address}, which is never called.")
        if not address.is_global and not listed:
            raise CallRefused(
                f"{host} is {address}, a network of your own; the operator lists it in TWIN_ALLOWED_NETWORKS."
            )
    return addresses


def call(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 10.0,
    max_bytes: int = 5 * 2**20,
    max_redirects: int = 3,
) -> Answer:
    """Call another machine and return its answer, whatever its status.

    Parameters
    ----------
    timeout_s : float
        For the whole call, redirects and the reading of the answer included [s].
    max_bytes : int
        A longer answer is refused, not cut.

    Raises
    ------
    CallRefused
        If the address may not be called; as CutShort if it does not answer in time, or with more than is read.
    """
    deadline_s, headers = time.monotonic() + timeout_s, dict(headers or {})
    for _ in range(max_redirects + 1):
        parts = _parts(url)
        answer = _once(method, parts, body, headers, deadline_s, max_bytes)
        place = answer.headers.get("location")
        if answer.status not in REDIRECTS or not place:
            return answer
        url = urljoin(url, place)
        if _origin(_parts(url)) != _origin(parts):  # what is meant for one is not told to another, nor in clear
            headers = {name: value for name, value in headers.items() if name.lower() in HARMLESS}
            if body is not None and not _asks_without_body(answer.status, method):
                raise CallRefused(f"{parts.hostname} passes what was sent on to {url[:200]}; it is not sent there.")
        if _asks_without_body(answer.status, method):
            method, body = "GET", None
    raise CallRefused(f"{url} redirects more than {max_redirects} times.")


def _asks_without_body(status: int, method: str) -> bool:
    """Return whether a redirect asks for the other address with GET, whatever was sent first."""
    return status == 303 or (status in (301, 302) and method == "POST")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise CallRefused(f"{url[:200]} is no address: {error}.") from error
    if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
        raise CallRefused(f"{url[:200]} must be https://host/… without a name and password in it.")
    if port is not None and not (port in PORTS.values() or 1024 <= port < 65536):
        raise CallRefused(f"Port {port} is no port of a web service.")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]


def connect(host: str, port: int, *, tls: bool, timeout_s: float) -> socket.socket:
    """Return a connection to another machine, to an address of it that was checked.

    Whatever speaks another protocol than HTTP begins here, and so does every reconnection.

    Raises
    ------
    CallRefused
        If the address may not be called, does not answer in time, or its certificate is not to be trusted.
    """
    address = checked_addresses(host, port)[0]
    try:
        raw = socket.create_connection((address, port), timeout=timeout_s)  # the address that was checked
        return _tls(raw, host) if tls else raw
    except OSError as error:
        raise CallRefused(f"{host} cannot be called: {error or type(error).__name__}.") from error


def _once(
    method: str, parts: SplitResult, body: bytes | None, headers: dict[str, str], deadline_s: float, max_bytes: int
) -> Answer:
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.sock = connect(host, port, tls=parts.scheme == "https", timeout_s=_left_s(deadline_s))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body, headers=headers)
        connection.sock.settimeout(_left_s(deadline_s))
        answer = connection.getresponse()
        content = bytearray()
        while piece := answer.read1(65536):
            content += piece
            if len(content) > max_bytes:
                raise CutShort(f"{host} answers with more than {max_bytes:,} bytes.")
            _left_s(deadline_s)
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, bytes(content))
    except TimeoutError as error:
        raise CutShort(f"{host} cannot be called: {error or 'timed out'}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise CallRefused(f"{host} cannot be called: {error or type(error).__name__}.") from error
    finally:
        connection.close()


def _tls(raw: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=settings.TWIN_CA_FILE or None)
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except OSError:
        raw.close()
        raise


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise CutShort("The call takes too long.")
    return left_s
