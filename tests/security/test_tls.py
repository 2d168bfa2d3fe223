"""TLS on real sockets with real certificates: who is trusted, what is said when nobody is, and that nothing is lost."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import httpx
import pytest
import trustme
from cryptography import x509

from adapters.http import Connection, Http
from agent import checking
from agent.app import start
from agent.link import Link
from agent.settings import load
from collector import registry, serving
from collector.access import Access
from collector.settings import Settings as Collector
from collector.settings import load as load_collector
from collector.store import Store
from conftest import free_port
from contract import catalogue, tls
from contract.adapter import SourceConfig
from contract.days import local_day, now
from contract.errors import CollectorUnavailableError, ConfigError, NhipsoError, SourceUnavailableError
from tests.faulty_collector import TOKEN, FaultyCollector
from tests.hospital import Hospital, environment

DAY = timedelta(days=1)


class Authorities:
    """Ours and a stranger; `write` puts a certificate and its key into PEM files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ours, self.stranger = trustme.CA(), trustme.CA()
        for name, one in (("ca", self.ours), ("stranger-ca", self.stranger)):
            one.cert_pem.write_to_path(directory / f"{name}.pem")

    def write(
        self, name: str, host: str = "localhost", days: float = 365, by: str = "ours", from_days: float = -400
    ) -> tuple[Path, Path]:
        """(certificate, key) for `host`, valid for `days` more."""
        at = datetime.now(UTC)
        made = getattr(self, by).issue_cert(host, not_before=at + from_days * DAY, not_after=at + days * DAY)
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        made.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        return certificate, key


class TlsCollector(FaultyCollector):
    """With the context that the collector serves with."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        server = self._server
        # a client that hangs up is part of the tests
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{server.server_address[1]}"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    found = Authorities(tmp_path_factory.mktemp("certificates"))
    found.write("server")
    found.write("elsewhere", host="elsewhere.example.vn")
    found.write("over", days=-1)
    found.write("early", from_days=1)
    found.write("agent", host="agent-12001")
    found.write("agent-over", host="agent-12001", days=-1)
    found.write("agent-stranger", host="agent-12001", by="stranger")
    return found


def collector_settings(directory: Path, authorities: Authorities, **keys: str) -> Collector:
    lines = "".join(f"{key} = {json.dumps(str(authorities.directory / value))}\n" for key, value in keys.items())
    (directory / "metrics.token").write_text("t0ken")
    file = directory / "collector.toml"
    file.write_text(
        f'[collector]\ndata_dir = "collector"\nlisten = "0.0.0.0:{free_port()}"\nmetrics_token_file = "metrics.token"\n'
        f"{lines}",
        "utf-8",
    )
    return load_collector(file)


def served(directory: Path, authorities: Authorities, name: str, mutual: bool) -> TlsCollector:
    keys = {"certificate_file": f"{name}.pem", "key_file": f"{name}.key"}
    more = {"client_ca_file": "ca.pem"} if mutual else {}
    context = serving.context(collector_settings(directory, authorities, **keys, **more))
    assert context
    return TlsCollector(context)


def by_agent(directory: Path, url: str, files: dict[str, str]) -> None:
    """One call of the agent's. Raises CollectorUnavailableError."""
    hospital = Hospital(Path(mkdtemp(dir=directory)), collector=url)
    hospital.configure(agent="".join(f"{key} = {json.dumps(path)}\n" for key, path in files.items()))
    with closing(Link(load(hospital.config))) as link:
        assert link.enrol("code").agent == "a1"


def by_adapter(directory: Path, url: str, files: dict[str, str]) -> None:
    """One call of an adapter's. Raises SourceUnavailableError."""
    config = SourceConfig("x", "emr.fhir", ("12001",), {}, None, 10, {}, directory)
    service = Http(config, Connection(url=url, **files))
    with service.open():
        assert service.call("POST", "api/v1/enrolments", content=b"{}").status == 201


ASKERS = pytest.mark.parametrize(
    ("ask", "error"), [(by_agent, CollectorUnavailableError), (by_adapter, SourceUnavailableError)]
)
Ask = Callable[[Path, str, dict[str, str]], None]


def files_of(authorities: Authorities, ca: str | None, client: str | None) -> dict[str, str]:
    found = {"ca_file": f"{ca}.pem"} if ca else {}
    found |= {"client_cert_file": f"{client}.pem", "client_key_file": f"{client}.key"} if client else {}
    return {key: str(authorities.directory / name) for key, name in found.items()}


@ASKERS
@pytest.mark.parametrize(
    ("server", "ca", "words"),
    [
        ("server", "ca", None),
        ("server", None, "không được tin cậy"),
        ("server", "stranger-ca", "không được tin cậy"),
        ("elsewhere", "ca", "mang tên máy khác"),
        ("over", "ca", "đã hết hạn"),
        ("early", "ca", "chưa đến ngày có hiệu lực"),
    ],
)
def test_a_server_is_trusted_only_by_its_own_right_certificate(
    tmp_path: Path,
    authorities: Authorities,
    ask: Ask,
    error: type[NhipsoError],
    server: str,
    ca: str | None,
    words: str | None,
) -> None:
    with served(tmp_path, authorities, server, mutual=False) as collector:
        if words is None:
            ask(tmp_path, collector.url, files_of(authorities, ca, None))
            return
        with pytest.raises(error, match=words):
            ask(tmp_path, collector.url, files_of(authorities, ca, None))
        assert collector.bodies == []


@ASKERS
@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("agent", None),
        (None, "máy chủ đòi chứng thư của máy này"),
        ("agent-over", "chứng thư của máy này .* đã hết hạn"),
        ("agent-stranger", "máy chủ không nhận chứng thư của máy này"),
    ],
)
def test_a_collector_that_asks_for_certificates_takes_only_right_ones(
    tmp_path: Path, authorities: Authorities, ask: Ask, error: type[NhipsoError], client: str | None, words: str | None
) -> None:
    with served(tmp_path, authorities, "server", mutual=True) as collector:
        if words is None:
            ask(tmp_path, collector.url, files_of(authorities, "ca", client))
            return
        with pytest.raises(error, match=words):
            ask(tmp_path, collector.url, files_of(authorities, "ca", client))
        assert collector.bodies == []


@ASKERS
def test_a_port_that_does_not_speak_tls_is_named_as_such(
    tmp_path: Path, authorities: Authorities, ask: Ask, error: type[NhipsoError]
) -> None:
    with FaultyCollector() as collector, pytest.raises(error, match="không nói TLS"):
        ask(tmp_path, collector.url.replace("http:", "https:"), files_of(authorities, "ca", None))


@pytest.mark.parametrize("weak", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA"])
def test_a_client_that_knows_only_weak_ciphers_is_not_served(
    tmp_path: Path, authorities: Authorities, weak: str
) -> None:
    client = ssl.create_default_context(cafile=str(authorities.directory / "ca.pem"))
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with served(tmp_path, authorities, "server", mutual=False) as collector:
        for ciphers, works in (("ECDHE+AESGCM", True), (f"{weak}:@SECLEVEL=0", False)):
            client.set_ciphers(ciphers)
            with (
                nullcontext() if works else pytest.raises(httpx.ConnectError),
                httpx.Client(verify=client, trust_env=False) as caller,
            ):
                assert caller.post(f"{collector.url}/api/v1/enrolments", json={}).status_code == 201


# --- Plain HTTP ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["10.0.0.5:8080", "nhipso.example.gov.vn", "[2001:db8::1]"])
def test_plain_http_over_a_network_is_refused_unless_the_config_says_so_aloud(tmp_path: Path, host: str) -> None:
    hospital = Hospital(tmp_path, collector=f"http://{host}")
    with pytest.raises(ConfigError, match="allow_plain_http"):
        load(hospital.config)
    hospital.configure(agent="allow_plain_http = true")
    assert load(hospital.config).bare == ["[agent]"]
    config = SourceConfig("x", "emr.fhir", ("12001",), {}, None, 10, {}, tmp_path)
    with pytest.raises(ConfigError, match="allow_plain_http"):
        Http(config, Connection(url=f"http://{host}"))
    Http(config, Connection(url=f"http://{host}", allow_plain_http=True))


def test_what_goes_without_tls_is_said_at_each_start_and_in_status(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, collector="http://10.0.0.5")
    hospital.configure(agent="allow_plain_http = true")
    settings = load(hospital.config)
    with closing(start(settings, now())) as agent:
        assert any("KHÔNG MÃ HÓA" in one for one in agent.warnings())
    shown = checking.status(settings, made(tmp_path / "copy"))
    assert any("KHÔNG MÃ HÓA" in one for one in shown["warnings"])


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:8080", "127.8.8.8"])
def test_plain_http_on_this_machine_needs_no_word(tmp_path: Path, host: str) -> None:
    hospital = Hospital(tmp_path, collector=f"http://{host}")
    assert load(hospital.config).bare == []
    config = SourceConfig("x", "emr.fhir", ("12001",), {}, None, 10, {}, tmp_path)
    Http(config, Connection(url=f"http://{host}"))


def test_an_address_given_to_enrol_is_held_to_the_same_rule(tmp_path: Path) -> None:
    settings = load(Hospital(tmp_path).config)
    with pytest.raises(ConfigError, match="allow_plain_http"):
        Link(replace(settings, collector="http://10.0.0.5"))


def test_a_source_that_is_asked_without_tls_is_named(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    text = '[sources.emr]\nkind = "emr.fhir"\nurl = "http://10.0.0.9/fhir"\nallow_plain_http = true\n'
    hospital.config.write_text(hospital.config.read_text("utf-8") + text, "utf-8")
    assert load(hospital.config).bare == ["[sources.emr]"]


def test_a_collector_without_tls_listens_to_other_machines_only_when_told_so_aloud(
    tmp_path: Path, authorities: Authorities
) -> None:
    with pytest.raises(ConfigError, match="allow_plain_http"):
        collector_settings(tmp_path, authorities)
    file = tmp_path / "collector.toml"
    file.write_text(file.read_text() + "allow_plain_http = true\n")
    settings = load_collector(file)
    assert serving.context(settings) is None
    assert any("KHÔNG MÃ HÓA" in one for one in serving.warnings(settings, now()))
    file.write_text(file.read_text().replace("0.0.0.0", "127.0.0.1"))
    assert serving.warnings(load_collector(file), now()) == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"certificate_file": "server.pem"}, "đi với nhau"),
        ({"key_file": "server.key"}, "đi với nhau"),
        ({"client_ca_file": "ca.pem"}, "client_ca_file"),
        ({"certificate_file": "server.pem", "key_file": "agent.key"}, "không dùng được chứng thư hoặc khóa"),
        ({"certificate_file": "none.pem", "key_file": "none.key"}, "không dùng được chứng thư hoặc khóa"),
    ],
)
def test_what_a_collector_cannot_serve_with_is_a_mistake_of_its_config(
    tmp_path: Path, authorities: Authorities, keys: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        serving.context(collector_settings(tmp_path, authorities, **keys))


# --- Certificates run out --------------------------------------------------------------------------------------------


def test_until_when_a_certificate_holds_is_read_as_a_library_reads_it(tmp_path: Path) -> None:
    for number, year in enumerate((2030, 2049, 2050, 2099)):
        at = datetime(year, 12, 31, 23, 59, 58, tzinfo=UTC)
        file = tmp_path / f"{number}.pem"
        file.write_bytes(trustme.CA().issue_cert("x", not_after=at).cert_chain_pems[0].bytes())
        assert tls.expires(file) == at == x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----", "no", "-----END CERTIFICATE-----"])
def test_a_file_without_a_certificate_has_no_date(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pem").write_text(text)
    with pytest.raises(ValueError, match=r"no certificate|padding|PEM"):
        tls.expires(tmp_path / "x.pem")


def test_a_certificate_is_spoken_of_before_it_runs_out_and_after() -> None:
    at = now()
    assert tls.expiry(at + 22 * DAY, at) is None
    assert "sắp hết hạn" in str(tls.expiry(at + 20 * DAY, at))
    assert "đã hết hạn" in str(tls.expiry(at - DAY, at))


def test_an_expired_certificate_loses_nothing_and_a_renewal_on_disk_mends_both_sides(tmp_path: Path) -> None:
    authorities = Authorities(tmp_path)
    authorities.write("server", days=10)
    authorities.write("agent", days=5)
    hospital = Hospital(tmp_path)
    with served(tmp_path, authorities, "server", mutual=True) as collector:
        hospital.collector = collector.url
        files = files_of(authorities, "ca", "agent")
        hospital.configure(agent="".join(f"{key} = {json.dumps(path)}\n" for key, path in files.items()))
        hospital.token.write_text(TOKEN)
        settings, today = load(hospital.config), local_day(now())
        with closing(start(settings, now())) as agent:
            hospital.come(today, 3)
            assert agent.round()
            told = agent.warnings()
            assert any("máy chủ Sở sắp hết hạn" in one for one in told)
            assert any("chứng thư của agent" in one and "sắp hết hạn" in one for one in told)

            authorities.write("server", days=-1)
            agent.pusher.close()  # a connection that lasts is not looked at again
            hospital.come(today, 1)
            with pytest.raises(CollectorUnavailableError, match="đã hết hạn"):
                agent.round()
            assert agent.ledger.size()[0] == 1
            shown = checking.status(settings, made(tmp_path / "copy"))
            assert "đã hết hạn" in shown["push_failure"]["error"]

            authorities.write("server")
            authorities.write("agent")
            assert agent.round()
            assert (agent.ledger.size()[0], collector.counts(today)) == (0, {"cccd_qr": 4})
            assert agent.warnings() == []
        assert checking.status(settings, made(tmp_path / "copy2"))["push_failure"] is None


def test_half_a_renewal_does_not_end_the_service(tmp_path: Path) -> None:
    authorities = Authorities(tmp_path)
    authorities.write("server")
    with served(tmp_path, authorities, "server", mutual=False) as collector:
        (tmp_path / "server.pem").write_text("-----BEGIN CERT")
        by_agent(tmp_path, collector.url, files_of(authorities, "ca", None))
        authorities.write("server")
        by_agent(tmp_path, collector.url, files_of(authorities, "ca", None))


# --- The real programs -----------------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path, authorities: Authorities) -> Iterator[tuple[Collector, Access]]:
    """`nhipso-collector serve` with TLS, asking for certificates."""
    keys = {"certificate_file": "server.pem", "key_file": "server.key", "client_ca_file": "ca.pem"}
    settings = collector_settings(tmp_path, authorities, **keys)
    settings.data_dir.mkdir()
    store = Store(settings.database)
    store.migrate()
    line = registry.line("12001", {"id": "12001", "name": "Bệnh viện", "level": "province"})
    registry.register(store, [("12001", line)], catalogue.load(), now())
    process = subprocess.Popen(
        [sys.executable, "-m", "collector", "--config", str(settings.file), "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent.parent,
        env=environment(),
    )
    yield settings, Access(store, settings.revocations)
    process.terminate()
    process.wait(30)
    store.close()


@pytest.mark.slow
def test_the_real_agent_enrols_and_pushes_to_the_real_collector_with_certificates_on_both_sides(
    tmp_path: Path, authorities: Authorities, running: tuple[Collector, Access]
) -> None:
    settings, access = running
    hospital = Hospital(tmp_path, collector=f"https://localhost:{settings.port}")
    files = files_of(authorities, "ca", "agent")
    hospital.configure(agent="".join(f"{key} = {json.dumps(path)}\n" for key, path in files.items()))
    hospital.come(local_day(now()), 2)
    with closing(Link(load(hospital.config))) as link:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                enrolled = link.enrol(access.make_code(["12001"], None, now()))
                break
            except CollectorUnavailableError:
                time.sleep(0.3)
    hospital.token.write_text(enrolled.token)
    with closing(start(load(hospital.config), now())) as agent:
        assert agent.round()
        assert agent.ledger.size()[0] == 0
    hospital.configure(agent=f"ca_file = {json.dumps(files['ca_file'])}")
    with closing(Link(load(hospital.config))) as link, pytest.raises(CollectorUnavailableError, match="đòi chứng thư"):
        link.catalogue()


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory
