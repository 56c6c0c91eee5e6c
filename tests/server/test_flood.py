"""Tests of the server under more requests than it can score, and more connections than it keeps."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from scripts.bench.flood import clients
from scripts.bench.flood.clients import Load
from scripts.core import clips
from tests.support.forms import VIDEO, problem
from tests.support.serving import SCORE, Server, eventually, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

CLIENTS, SECONDS = 200, 4
CALLERS = 40
HEALTH_SECONDS = 5
"""The timeout of the image's health check."""
MEMORY_MIB = 160
"""More than the server needs: it has about 40 MiB with two clients."""
ONE_SLOT = ("--env=VMAF_CONCURRENCY=1", "--env=VMAF_QUEUE=2")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the videos that the clients of `Load` name."""
    directory = tmp_path_factory.mktemp("flood")
    directory.chmod(0o755)
    for name in clients.PATHS.values():
        clips.generate(directory / name)
    return directory


@contextmanager
def flooding(server: Server, **how: bool) -> Iterator[Future[dict[str, int]]]:
    """Run clients that repeat refused requests at once; yield the future counts of statuses."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ThreadPoolExecutor(1) as pool:
        counts = pool.submit(clients.run, Load(host, int(port), CLIENTS, SECONDS, **how))
        eventually(lambda: refusals(server) > 0, True)  # noqa: FBT003
        yield counts


def refusals(server: Server) -> float:
    """Return the number of refused requests."""
    return server.metric("vmaf_scorings_total", outcome="refused")


def check_monitoring(server: Server) -> None:
    """Check that the endpoints for monitoring answer within the timeout of a health check."""
    for path in ("/healthz", "/readyz", "/metrics"):
        assert requests.get(server.url + path, timeout=HEALTH_SECONDS).ok


@pytest.mark.parametrize("upload", [False, True], ids=["paths", "uploads"])
@pytest.mark.parametrize("keep", [True, False], ids=["same-connection", "new-connections"])
def test_server_survives_a_flood(
    image: Subject,
    videos: Path,
    upload: bool,  # noqa: FBT001
    keep: bool,  # noqa: FBT001
) -> None:
    """Under a flood, the server scores, refuses, answers health checks and needs little memory.

    Its log has the number of refused requests, and no line for each.
    """
    with serving(image, directory=videos, options=ONE_SLOT) as server:
        with flooding(server, upload=upload, keep=keep) as future:
            while not future.done():
                check_monitoring(server)
        counts = future.result()
        assert set(counts) == {"200", "429"}, counts
        eventually(lambda: server.metric("vmaf_scorings_running"), 0)
        status = server.execute("cat", "/proc/1/status").stdout
        server.stop()
        log = [json.loads(line) for line in server.log.splitlines()]
    peak = dict(line.split(":", 1) for line in status.splitlines())["VmHWM"]
    assert int(peak.split()[0]) < MEMORY_MIB * 1024
    assert sum(line.get("code") == 429 for line in log) == 0
    assert (
        sum(line.get("http", 0) for line in log if line["msg"] == "requests refused")
        >= (counts["429"])
    )


def test_server_ends_during_a_flood(image: Subject, videos: Path) -> None:
    """After SIGTERM during a flood, the server drains in time."""
    with serving(image, directory=videos, options=ONE_SLOT) as server:
        with flooding(server, upload=True):
            server.signal("TERM")
            eventually(lambda: server.state("Running"), "false")
        assert server.state("ExitCode") == "0", server.log[-2000:]


def test_server_survives_a_flood_of_calls(image: Subject, videos: Path, api: Any) -> None:
    """Under a flood of gRPC calls, the server scores, refuses, and answers health checks."""
    protos, services = api
    request = protos.ScoreRequest(**clients.PATHS)
    ended = Event()

    def call(server: Server) -> Counter[str]:
        codes: Counter[str] = Counter()
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            scoring = services.ScoringStub(channel)
            while not ended.is_set():
                try:
                    scoring.Score(request)
                    codes["OK"] += 1
                except grpc.RpcError as error:
                    codes[error.code().name] += 1
        return codes

    with serving(image, directory=videos, options=ONE_SLOT) as server:
        with ThreadPoolExecutor(CALLERS) as pool, grpc.insecure_channel(server.grpc) as channel:
            floods = [pool.submit(call, server) for _ in range(CALLERS)]
            health = health_pb2_grpc.HealthStub(channel)
            try:
                for _ in range(20):
                    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
                    assert answer.status == health_pb2.HealthCheckResponse.SERVING
                    check_monitoring(server)
            finally:
                ended.set()
        codes = sum((flood.result() for flood in floods), Counter())
        server.stop()
        log = [json.loads(line) for line in server.log.splitlines()]
    assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"}, codes
    assert sum(line.get("code") == "ResourceExhausted" for line in log) == 0
    refused = sum(line["grpc"] for line in log if line["msg"] == "requests refused")
    assert refused == codes["RESOURCE_EXHAUSTED"]


def test_monitoring_has_reserved_connections(image: Subject) -> None:
    """With all connections taken, endpoints for monitoring answer, and others refuse."""
    with serving(image, options=["--env=VMAF_MAX_CONNECTIONS=2"]) as server:
        with ExitStack() as idle:
            for _ in range(2):
                idle.enter_context(server.connect())
            eventually(lambda: refuses(server), True)  # noqa: FBT003
            check_monitoring(server)
            answer = requests.post(server.url + SCORE, json={}, timeout=HEALTH_SECONDS)
            problem(answer, 429, "queue-full")
            assert int(answer.headers["Retry-After"]) >= 1
        eventually(lambda: refuses(server), False)  # noqa: FBT003
        assert server.upload(VIDEO, VIDEO).ok


def refuses(server: Server) -> bool:
    """Return whether the server refuses to list its models."""
    return server.get("/v1/models").status_code == 429
