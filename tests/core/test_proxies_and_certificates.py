"""Proxies and certificate authorities of the environment: past them on this machine, and named when wrong."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from contextlib import suppress
from importlib.metadata import version

import pytest
import trustme

from recallrai_integrations import (
    ConfigurationError,
    DeliveryOptions,
    MissingDependencyError,
    ServiceUnavailableError,
    connect,
)

HOSTED = {"api_key": "rai_x", "project_id": "p"}

needs_the_cause = pytest.mark.skipif(
    version("recallrai") == "0.6.3", reason="this SDK does not hand on why a connection failed"
)


@pytest.fixture
def set_proxy(monkeypatch):
    def set_it(url):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("ALL_PROXY", url)
        monkeypatch.setenv("all_proxy", url)

    return set_it


@pytest.fixture
def no_socks(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Has the authority trusted, by a file with a space in its name."""

    def trust():
        path = tmp_path / "my authority.pem"
        authority.cert_pem.write_to_path(path)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))

    return trust


@pytest.fixture
def over_tls(authority, server):
    """The local service behind TLS: makes an address whose certificate is for these names."""
    listeners = []

    def listen(*names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        target = ("127.0.0.1", int(server.base_url.rpartition(":")[2]))
        threading.Thread(target=_accept, args=(listener, context, target), daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    yield listen
    for listener in listeners:
        listener.close()


def _accept(listener, context, target):
    with suppress(OSError):
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=_serve, args=(plain, context, target), daemon=True).start()


def _serve(plain, context, target):
    """Passes one connection on: each request is one write, and is answered before the next."""
    with (
        suppress(OSError),
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(target) as upstream,
    ):
        back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
        back.start()
        _pump(client, upstream)
        upstream.shutdown(socket.SHUT_RDWR)
        back.join()


def _pump(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


@pytest.mark.usefixtures("no_socks")
@pytest.mark.parametrize(
    "url", ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "http://127.0.0.1:9", "odd://x"]
)
async def test_no_proxy_stands_before_the_embedded_service(call, set_proxy, url):
    set_proxy(url)
    with connect(local=":memory:", delivery=DeliveryOptions(on_error="raise")) as connection:
        conversation = connection.conversation("ada")
        await call(conversation.record, ("user", "hi"))
        assert [one.content for one in await call(conversation.history)] == ["hi"]
        await connection.aclose()


async def test_a_missing_bundle_of_authorities_is_nothing_to_the_embedded_service(call, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with connect(local=":memory:", delivery=DeliveryOptions(on_error="raise")) as connection:
        await call(connection.conversation("ada").record, ("user", "hi"))
        await connection.aclose()


@pytest.mark.usefixtures("no_socks")
def test_a_socks_proxy_without_its_package_is_named(set_proxy):
    set_proxy("socks5://me:secret@proxy.example:1080")
    with pytest.raises(MissingDependencyError, match=r"socks5://proxy\.example .*httpx\[socks\]") as caught:
        connect(**HOSTED)
    assert "secret" not in str(caught.value)


def test_a_proxy_of_no_kind_is_named_without_its_password(set_proxy):
    set_proxy("odd://me:secret@proxy.example:1080")
    with pytest.raises(ConfigurationError, match=r"odd://proxy\.example") as caught:
        connect(**HOSTED)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "does not exist"), ("", "cannot be read"), ("no certificate", "cannot be read")],
)
@pytest.mark.parametrize("base_url", ["https://memory.example", "https://127.0.0.1:9"])
def test_a_bundle_of_authorities_that_cannot_be_used_is_named(
    tmp_path, monkeypatch, content, reason, base_url
):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match=rf"CA bundle .*ca\.pem \(SSL_CERT_FILE\) {reason}"):
        connect(**HOSTED, base_url=base_url)


@pytest.fixture
async def failing(call):
    async def ask(base_url):
        delivery = DeliveryOptions(on_error="raise", retries=0)
        with connect(**HOSTED, base_url=base_url, delivery=delivery) as connection:
            with pytest.raises(ServiceUnavailableError) as caught:
                await call(connection.user("ada").info)
            await connection.aclose()
        assert not caught.value.may_have_taken_effect
        return str(caught.value)

    return ask


@needs_the_cause
async def test_an_untrusted_certificate_is_named(failing, over_tls):
    error = await failing(over_tls("127.0.0.1"))
    assert "certificate of the service is not trusted (unable to get local issuer certificate)" in error
    assert "SSL_CERT_FILE" in error


@needs_the_cause
async def test_a_certificate_for_another_name_is_named(failing, over_tls, trusted):
    trusted()
    assert "not trusted (IP address mismatch" in await failing(over_tls("memory.example"))


@needs_the_cause
async def test_an_address_that_speaks_no_tls_is_named(failing, server):
    assert "TLS failed (" in await failing(server.base_url.replace("http:", "https:"))


async def test_a_proxy_that_refuses_is_named(failing, set_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            taken, _ = listener.accept()
            with taken:
                taken.recv(65536)
                taken.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        set_proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        error = await failing("https://memory.example")
    assert "the proxy refused the connection (407 Proxy Authentication Required)" in error


async def test_a_trusted_authority_is_taken_from_the_environment_on_this_machine_too(
    call, over_tls, trusted, server
):
    trusted()
    credentials = {
        "api_key": server.api_key,
        "project_id": server.project_id,
        "base_url": over_tls("127.0.0.1"),
    }
    with connect(**credentials, delivery=DeliveryOptions(on_error="raise", retries=0)) as connection:
        conversation = connection.conversation("ada")
        await call(conversation.record, ("user", "hi"))
        assert [one.content for one in await call(conversation.history)] == ["hi"]
        await connection.aclose()
