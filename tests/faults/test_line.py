"""Each thing that a line or a proxy on it does to an exchange, alone: the real link against the real collector."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import pytest
import trustme

from agent import link
from agent.link import Link
from agent.pusher import Pusher
from contract.days import local_day, now
from contract.errors import CollectorUnavailableError
from tests.faults.hospital import changing
from tests.faults.proxy import FAULTS, Proxy
from tests.faults.site import Site
from tests.office import Office, serving

pytestmark = pytest.mark.slow
TODAY = local_day(now())
NOON = Site.at(TODAY)
SiteSince = Callable[[date], Site]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# What lets an exchange through, only slowly.
_SLOW = ("none", "delayed", "throttled", "sent twice")


@pytest.fixture
def port(office: Office) -> Iterator[int]:
    """Where the collector listens."""
    with serving(office.app()) as http:
        yield int(http.base_url.port or 0)


def pusher_to(site: Site, collector: str, ca_file: Path | None = None) -> Pusher:
    return Pusher(site.settings, site.disk, Link(replace(site.settings, collector=collector, ca_file=ca_file)))


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_befalls_a_push_it_is_sent_again_until_it_is_stored_and_nothing_else_is(
    site_since: SiteSince, port: int, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    site = site_since(TODAY)
    with closing(Proxy(port, Random(1), site.oracle.heard, {fault: 1}, pace=0.1)) as proxy:
        got_through = 0
        with monkeypatch.context() as impatient:
            impatient.setattr(link, "_TIMEOUT", httpx.Timeout(0.05 if fault == "buffered" else 20))
            with closing(pusher_to(site, proxy.url)) as hasty:
                for _ in range(3):
                    site.change(changing(TODAY))
                    site.poll(NOON)
                    with suppress(CollectorUnavailableError):
                        hasty.push(site.kinds)
                        got_through += 1
        assert got_through == (3 if fault in _SLOW else 0)
        # whoever waits so little has often gone before the proxy has even taken the connection
        assert proxy.faults[fault] >= (1 if fault == "buffered" else 3)
        proxy.calm = True
        with closing(pusher_to(site, proxy.url)) as pusher:
            pusher.push(site.kinds)
            time.sleep(0.6)  # what is late still arrives, and must do no harm
            pusher.push(site.kinds)
    assert site.wrong() == []
    assert list(site.oracle.broken) == []
    assert site.ledger.size() == (0, 0)


class Front:
    """Ends TLS before a collector, as nginx would, with whatever certificate it was given last."""

    def __init__(self, collector_port: int) -> None:
        self.context: ssl.SSLContext
        self.heard = 0
        """Bytes of requests that came through."""
        self._collector = ("127.0.0.1", collector_port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def certify(self, ca: trustme.CA, until: datetime) -> None:
        """From now on with a certificate by `ca` that ends `until`."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        began = min(until, now()) - timedelta(days=90)
        ca.issue_cert("127.0.0.1", not_before=began, not_after=until).configure_cert(self.context)

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, plain: socket.socket) -> None:
        plain.settimeout(5)
        with (
            closing(plain),
            suppress(OSError),
            self.context.wrap_socket(plain, server_side=True) as agent,
            closing(socket.create_connection(self._collector, 5)) as collector,
        ):
            back = threading.Thread(target=self._pass_on, args=(collector, agent), daemon=True)
            back.start()
            self.heard += self._pass_on(agent, collector)
            back.join(5)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> int:
        passed = 0
        with suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
                passed += len(chunk)
            target.shutdown(socket.SHUT_WR)
        return passed


def test_while_the_certificate_has_expired_nothing_is_said_and_when_it_is_renewed_everything_is(
    site_since: SiteSince, port: int, tmp_path: Path
) -> None:
    site, ca, ca_file = site_since(TODAY), trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    with closing(Front(port)) as front, closing(pusher_to(site, front.url, ca_file=ca_file)) as pusher:
        for until in (LONG_AGO, now() - timedelta(seconds=1)):
            front.certify(ca, until)
            site.change(changing(TODAY))
            site.poll(NOON)
            waiting = site.ledger.size()
            with pytest.raises(CollectorUnavailableError):
                pusher.push(site.kinds)
            assert site.ledger.size() == waiting > (0, 0)
        assert front.heard == 0  # not even the token
        assert site.stored() == []
        front.certify(ca, now() + timedelta(days=1))
        pusher.push(site.kinds)
        assert site.wrong() == []
        assert site.ledger.size() == (0, 0)
