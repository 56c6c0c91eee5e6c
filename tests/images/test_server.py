"""The server."""

import hashlib
import socket
from contextlib import suppress

import pytest

from scripts.core import clips
from tests.support.serving import GRPC, HTTP, TIMEOUT_SECONDS, serving
from tests.support.subject import PREFIX, Subject

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The start of a gRPC connection: HTTP/2's preface and an empty SETTINGS frame."""


@pytest.mark.needs("server")
def test_server_uses_the_libvmaf_it_was_linked_with(image: Subject) -> None:
    """libvmaf.so is the library that the server was linked with.

    With another version's headers the server may work until a structure changes.
    """
    shipped = hashlib.sha256(image.read(PREFIX + "lib/libvmaf.so")).hexdigest()
    assert image.manifest["vmaf-server"]["libvmaf"] == f"sha256:{shipped}"


@pytest.mark.needs("server")
def test_server_version_matches_the_image(image: Subject) -> None:
    """`vmaf-server --version` prints the versions of image and libvmaf, and the revision."""
    output = image.run("--version").stdout.strip()
    version, revision, libvmaf = (
        image.labels["org.opencontainers.image.version"],
        image.labels["org.opencontainers.image.revision"],
        image.manifest["libvmaf"]["version"],
    )
    assert output == f"vmaf-server {version} ({revision}), libvmaf {libvmaf}"


@pytest.mark.needs("server")
def test_server_offers_every_model(image: Subject) -> None:
    """The server offers every model of libvmaf, as a file or built in."""
    with serving(image) as server:
        models = server.get("/v1/models").json()["models"]
    files = {model["name"] for model in models if model["source"] == "file"}
    differences = sorted(files ^ set(image.manifest["vmaf-server"]["models"]))
    assert not differences, f"models only offered or only listed: {differences}"
    assert {"vmaf_v0.6.1", "vmaf_4k_v0.6.1"} <= {model["name"] for model in models} - files


@pytest.mark.needs("server")
@pytest.mark.parametrize("user", ["vmaf", "65534:65534"])
def test_server_scores_locked_down(image: Subject, user: str) -> None:
    """The server scores as any user on a read-only root, and a worse video scores lower."""
    with serving(image, options=[f"--user={user}"]) as server:
        reference = clips.y4m()
        same, worse = (server.score(reference, clips.y4m(step)) for step in (1, 48))
    assert same > 97
    assert worse < same - 20


@pytest.mark.needs("server")
def test_server_listens_on_the_declared_ports(image: Subject) -> None:
    """The server answers by HTTP and gRPC on the image's declared ports."""
    assert set(image.config["ExposedPorts"]) == {f"{HTTP}/tcp", f"{GRPC}/tcp"}
    with serving(image) as server:
        host, _, port = server.grpc.partition(":")
        answer = b""
        with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
            connection.sendall(PREFACE)
            with suppress(ConnectionError):
                answer = connection.recv(9)
    settings = answer[3:4] == b"\x04"
    assert settings, f"port {GRPC} answers {answer!r} instead of HTTP/2's settings"


@pytest.mark.needs("server")
def test_healthcheck_reports_the_servers_state(image: Subject) -> None:
    """The health check succeeds beside a running server and fails without one."""
    check = image.config["Healthcheck"]["Test"]
    assert check == ["CMD", "vmaf-server", "--healthcheck"]
    with serving(image) as server:
        healthy = server.execute("vmaf-server", "--healthcheck")
    assert healthy.code == 0, healthy
    assert image.run("--healthcheck", succeeds=False).code == 1


@pytest.mark.needs("server")
def test_server_ends_on_docker_stop(image: Subject) -> None:
    """`docker stop` ends the server cleanly."""
    with serving(image) as server:
        code = server.stop()
    assert code == 0, f"the server ended with {code}: {server.log}"
