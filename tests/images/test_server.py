"""The server's image serves: locked down, with its own libvmaf, and ends when told to."""

import hashlib
import socket
from contextlib import suppress

import pytest

from scripts.core import clips
from tests.support.serving import GRPC, HTTP, PATIENCE, serving
from tests.support.subject import OURS, Subject

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a gRPC client begins: HTTP/2's greeting, and settings that set nothing."""


@pytest.mark.needs("server")
def test_libvmaf_is_the_one_it_was_linked_against(image: Subject) -> None:
    """A header and a library of two versions agree until a structure has changed."""
    shipped = hashlib.sha256(image.read(OURS + "lib/libvmaf.so")).hexdigest()
    assert image.manifest["vmaf-server"]["libvmaf"] == f"sha256:{shipped}"


@pytest.mark.needs("server")
def test_server_tells_its_versions(image: Subject) -> None:
    """The program names the version and the revision of the image, and the libvmaf it loaded."""
    told = image.run("--version").stdout.strip()
    version, revision, libvmaf = (
        image.labels["org.opencontainers.image.version"],
        image.labels["org.opencontainers.image.revision"],
        image.manifest["libvmaf"]["version"],
    )
    assert told == f"vmaf-server {version} ({revision}), libvmaf {libvmaf}"


@pytest.mark.needs("server")
def test_every_model_is_served(image: Subject) -> None:
    """Each model that libvmaf was built with can be named in a request."""
    with serving(image) as server:
        models = server.get("/v1/models").json()["models"]
    files = {model["name"] for model in models if model["source"] == "file"}
    assert files == set(image.manifest["vmaf-server"]["models"])
    assert {"vmaf_v0.6.1", "vmaf_4k_v0.6.1"} <= {model["name"] for model in models} - files


@pytest.mark.needs("server")
@pytest.mark.parametrize("user", ["vmaf", "65534:65534"])
def test_serves_locked_down(image: Subject, user: str) -> None:
    """As an ordinary or unknown user, its root read-only, it scores: a worse video lower."""
    with serving(image, options=[f"--user={user}"]) as server:
        reference = clips.y4m()
        same, worse = (server.score(reference, clips.y4m(step)) for step in (1, 48))
    assert same > 97
    assert worse < same - 20


@pytest.mark.needs("server")
def test_listens_on_the_declared_ports(image: Subject) -> None:
    """`docker run -P` publishes what the image declares: HTTP answers there, and gRPC."""
    assert set(image.config["ExposedPorts"]) == {f"{HTTP}/tcp", f"{GRPC}/tcp"}
    with serving(image) as server:
        host, _, port = server.grpc.partition(":")
        answer = b""
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(PREFACE)
            with suppress(ConnectionError):
                answer = connection.recv(9)
    assert answer[3:4] == b"\x04", f"port {GRPC} answers {answer!r}, which is not HTTP/2's settings"


@pytest.mark.needs("server")
def test_healthcheck_tells_health(image: Subject) -> None:
    """The engine learns by the server's own flag that it scores, and that none is there."""
    assert image.config["Healthcheck"]["Test"] == ["CMD", "vmaf-server", "--healthcheck"]
    with serving(image) as server:
        healthy = server.execute("vmaf-server", "--healthcheck")
    assert healthy.code == 0, healthy
    assert image.run("--healthcheck", succeeds=False).code == 1


@pytest.mark.needs("server")
def test_ends_when_told_to(image: Subject) -> None:
    """`docker stop` is answered: the server is process 1, which no signal ends by default."""
    with serving(image) as server:
        code = server.stop()
    assert code == 0, f"it ended with {code}: {server.log}"
