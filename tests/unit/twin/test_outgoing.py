"""Calls to other machines: only where the operator allows, bounded in time and size, each redirect checked."""

import http.server
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from tests.own_authority import certificate_files
from twin import outgoing
from twin.outgoing import CallRefused, call


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list = []
    told: dict = {}

    def do_GET(self) -> None:
        Handler.seen.append((self.path, self.headers.get("Authorization"), self.headers["Host"]))
        Handler.told = dict(self.headers)
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        if self.path == "/slow":
            time.sleep(1.5)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (1000 if self.path == "/long" else 5))

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Handler.seen.append((self.path, sent, self.headers["Host"]))
        status, _, place = self.path.removeprefix("/").partition("?")
        self.send_response(int(status))
        if place:
            self.send_header("Location", place)
        self.end_headers()

    def log_message(self, *_) -> None:
        """Say nothing."""


@pytest.fixture
def there(settings) -> Iterator[str]:
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    Handler.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:8000/", "TWIN_ALLOWED_NETWORKS"),
        ("http://localhost:8000/", "TWIN_ALLOWED_NETWORKS"),
        ("http://10.0.0.1/", "TWIN_ALLOWED_NETWORKS"),
        ("http://[::1]/", "TWIN_ALLOWED_NETWORKS"),
        ("http://[::ffff:127.0.0.1]/", "TWIN_ALLOWED_NETWORKS"),
        ("http://0.0.0.0/", "TWIN_ALLOWED_NETWORKS"),
        ("http://169.254.169.254/latest/meta-data/", "never called"),
        ("http://[fe80::1]/", "never called"),
        ("http://2130706433/", "TWIN_ALLOWED_NETWORKS"),
        ("ftp://example.org/", "must be https"),
        ("file:///etc/passwd", "must be https"),
        ("http://user:password@example.org/", "must be https"),
        ("http://example.org:22/", "Port 22"),
        ("http://example.org:99999/", "no address"),
        ("nonsense", "must be https"),
    ],
)
def test_what_is_not_allowed_is_not_called(settings, url, reason):
    settings.TWIN_ALLOWED_NETWORKS = []
    with pytest.raises(CallRefused, match=reason):
        call("GET", url)


def test_metadata_is_not_called_even_where_it_is_listed(settings):
    settings.TWIN_ALLOWED_NETWORKS = ["0.0.0.0/0"]
    with pytest.raises(CallRefused, match="never called"):
        call("GET", "http://169.254.169.254/")


def test_every_address_of_a_name_is_checked(settings, monkeypatch):
    settings.TWIN_ALLOWED_NETWORKS = []
    both = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(CallRefused, match=r"127\.0\.0\.1"):
        call("GET", "http://rebound.example/")


def test_a_listed_network_is_called_and_its_answer_read(there):
    answer = call("GET", f"{there}/", headers={"Authorization": "secret"})
    assert (answer.status, answer.body) == (200, b"xxxxx")
    assert Handler.seen[0][1:] == ("secret", there.removeprefix("http://"))


def test_a_redirect_is_checked_and_does_not_carry_the_secret_to_another_machine(there):
    with pytest.raises(CallRefused, match="never called"):
        call("GET", f"{there}/to?http://169.254.169.254/")
    with pytest.raises(CallRefused, match="must be https"):
        call("GET", f"{there}/to?file:///etc/passwd")
    other = there.replace("127.0.0.1", "127.0.0.2")  # another name of the same machine, which does not listen there
    with pytest.raises(CallRefused, match="cannot be called"):
        call("GET", f"{there}/to?{other}/", headers={"Authorization": "secret"})
    assert call("GET", f"{there}/to?/here", headers={"Authorization": "secret"}).status == 200
    assert Handler.seen[-1][:2] == ("/here", "secret")
    with pytest.raises(CallRefused, match="redirects more than 3 times"):
        call("GET", f"{there}/to?/to?/to?/to?/to?/")


@pytest.mark.parametrize("status", [307, 308])
def test_what_is_sent_does_not_follow_to_another_origin(there, status):
    other = there.replace("127.0.0.1", "localhost")
    with pytest.raises(CallRefused, match="passes what was sent on to http://localhost"):
        call("POST", f"{there}/{status}?{other}/200", body=b"secret")
    assert len(Handler.seen) == 1
    assert call("POST", f"{there}/{status}?/200", body=b"secret").status == 200
    assert Handler.seen[-1][:2] == ("/200", "secret")
    assert call("POST", f"{there}/303?{other}/here", body=b"secret").status == 200
    assert Handler.seen[-1][:2] == ("/here", None)  # asked for, nothing sent


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_only_harmless_headers_follow_to_another_origin(there, host):
    """Another port or another name is another origin."""
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    secrets = dict.fromkeys(("Authorization", "cookie", "X-Auth-Token", "X-Api-Key", "X-Scope-OrgID"), "secret")
    harmless = {"Accept": "text/plain", "user-agent": "twin"}
    try:
        asked = f"{there}/to?http://{host}:{other.server_port}/there"
        assert call("GET", asked, headers=secrets | harmless).status == 200
        assert Handler.seen[-1][2] == f"{host}:{other.server_port}"
        assert "secret" not in Handler.told.values()
        assert harmless.items() <= Handler.told.items()
        assert call("GET", f"{there}/to?/here", headers=secrets).status == 200
        assert secrets.items() <= Handler.told.items()
    finally:
        other.shutdown()
        other.server_close()


def test_a_standard_port_may_be_left_out_of_an_origin_and_a_scheme_not():
    origins = [
        outgoing._origin(outgoing._parts(url)) for url in ("https://A.org/x", "https://a.org:443/", "http://a.org")
    ]
    assert origins[0] == origins[1] != origins[2]


def test_size_and_time_of_an_answer_are_bounded(there):
    with pytest.raises(CallRefused, match="more than 100 bytes"):
        call("GET", f"{there}/long", max_bytes=100)
    with pytest.raises(CallRefused, match="timed out|longer than"):
        call("GET", f"{there}/slow", timeout_s=0.3)


def test_a_certificate_is_always_checked(there):
    with pytest.raises(CallRefused, match="cannot be called"):
        call("GET", there.replace("http:", "https:"), timeout_s=2)
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED


def test_a_certificate_of_ones_own_authority_is_taken_for_its_own_machine_only(settings, tmp_path):
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    authority, own, key = certificate_files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"https://127.0.0.1:{server.server_port}/"
    try:
        with pytest.raises(CallRefused, match="certificate"):
            call("GET", address)
        settings.TWIN_CA_FILE = str(authority)
        assert call("GET", address).status == 200
        with pytest.raises(CallRefused, match="certificate|mismatch"):
            call("GET", address.replace("127.0.0.1", "localhost"))
        outgoing.connect("127.0.0.1", server.server_port, tls=True, timeout_s=5).close()
    finally:
        server.shutdown()
        server.server_close()
