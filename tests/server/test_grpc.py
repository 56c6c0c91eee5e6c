"""Tests of the gRPC interface. test_scores.py compares its scores with the vmaf program's."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from scripts.core import clips
from tests.support.footage import Footage, planes
from tests.support.serving import TIMEOUT_SECONDS, Server, eventually, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

SERVING = health_pb2.HealthCheckResponse.SERVING
FRAMES = list(planes(clips.y4m()))


class Client:
    """A client of the server's gRPC interface."""

    def __init__(self, api: Any, channel: grpc.Channel) -> None:
        """Create a client from the fixtures `api` and `channel`."""
        self.protos, services = api
        self.scoring = services.ScoringStub(channel)

    def config(self, **video: int) -> Any:
        """Return the first message for the generated clip; `video` overrides its fields."""
        fields = {"width": clips.WIDTH, "height": clips.HEIGHT, "chroma": 1, "bit_depth": 8}
        config = self.protos.Config(video=self.protos.Video(**(fields | video)))
        return self.protos.ScoreStreamRequest(config=config)

    def pair(self, reference: bytes, distorted: bytes) -> Any:
        """Return a message with a frame pair."""
        frame = self.protos.FramePair(reference=reference, distorted=distorted)
        return self.protos.ScoreStreamRequest(frame=frame)

    def stream(self, *messages: Any) -> list[Any]:
        """Send messages in a stream, and return the responses."""
        return list(self.scoring.ScoreStream(iter(messages), timeout=TIMEOUT_SECONDS))


@pytest.fixture
def client(api: Any, channel: grpc.Channel) -> Client:
    """Return a client of the shared server."""
    return Client(api, channel)


def test_health_reports_serving(channel: grpc.Channel) -> None:
    """The gRPC health service reports SERVING for the server and for the scoring service."""
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "vmaf.v1.Scoring"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=TIMEOUT_SECONDS).status == SERVING


def test_reflection_describes_the_service(channel: grpc.Channel) -> None:
    """GRPC reflection describes the scoring service, so that grpcurl needs no .proto file."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "vmaf.v1.Scoring" in database.get_services()
    described = database.FindFileContainingSymbol("vmaf.v1.Scoring")
    (service,) = described.service
    assert {method.name for method in service.method} == {"Score", "ScoreStream", "ListModels"}


def test_models_match_the_http_interface(client: Client, server: Server) -> None:
    """The gRPC and HTTP interfaces list the same models and features."""
    by_http = server.get("/v1/models").json()
    by_grpc = client.scoring.ListModels(client.protos.ListModelsRequest(), timeout=TIMEOUT_SECONDS)
    assert by_grpc.default_model == by_http["default"]
    assert [model.name for model in by_grpc.models] == [
        model["name"] for model in by_http["models"]
    ]
    assert list(by_grpc.features) == by_http["features"]


def test_grpc_scores_files(client: Client, server: Server, footage: Footage) -> None:
    """Files under the data root get the same score over gRPC as over HTTP."""
    reference, distorted = footage.pairs[0]
    request = client.protos.ScoreRequest(reference=reference, distorted=distorted)
    (model,) = client.scoring.Score(request, timeout=TIMEOUT_SECONDS).models
    expected = server.score(footage.read(reference), footage.read(distorted))
    assert model.pooled.mean == pytest.approx(expected, abs=1e-9)


def refused(code: grpc.StatusCode) -> Any:
    """Expect an error with the given code and a message."""

    def check(error: grpc.RpcError) -> bool:
        assert error.code() == code, error
        return bool(error.details())

    return pytest.raises(grpc.RpcError, check=check)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../etc/passwd", grpc.StatusCode.PERMISSION_DENIED),
        ("/etc/passwd", grpc.StatusCode.PERMISSION_DENIED),
        ("none.y4m", grpc.StatusCode.NOT_FOUND),
        ("clip.mp4", grpc.StatusCode.INVALID_ARGUMENT),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_grpc_refuses_an_invalid_path(client: Client, path: str, code: grpc.StatusCode) -> None:
    """A gRPC request with an invalid path is refused with the status code of its problem."""
    request = client.protos.ScoreRequest(reference="reference.y4m", distorted=path)
    with refused(code):
        client.scoring.Score(request, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    "fault",
    [
        "no message",
        "no config",
        "two configs",
        "no frame",
        "a short frame",
        "a long frame",
        "an empty frame",
        "an empty message",
        "no size",
        "no chroma",
        "a depth unknown",
    ],
)
def test_grpc_refuses_an_invalid_stream(client: Client, server: Server, fault: str) -> None:
    """An invalid gRPC stream is refused with INVALID_ARGUMENT, and the next stream is scored."""
    config, (good, *_) = client.config(), FRAMES
    pair = client.pair(good, good)
    messages = {
        "no message": [],
        "no config": [pair],
        "two configs": [config, config],
        "no frame": [config],
        "a short frame": [config, client.pair(good, good[:-1])],
        "a long frame": [config, client.pair(good + b"x", good)],
        "an empty frame": [config, client.pair(b"", b"")],
        "an empty message": [config, client.protos.ScoreStreamRequest()],
        "no size": [client.config(width=0), pair],
        "no chroma": [client.config(chroma=0), pair],
        "a depth unknown": [client.config(bit_depth=9), pair],
    }[fault]
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        client.stream(*messages)
    assert server.state("Running") == "true"
    (answer,) = client.stream(config, pair)
    assert answer.result.frames == 1


def test_grpc_refuses_a_frame_above_the_limit(client: Client) -> None:
    """A gRPC Config with frames above the pixel limit is refused before any frame is sent."""
    with refused(grpc.StatusCode.OUT_OF_RANGE):
        client.stream(client.config(width=2**16, height=2**16))


def test_grpc_refuses_a_message_above_the_limit(image: Subject, api: Any) -> None:
    """A gRPC message above the size limit is refused with RESOURCE_EXHAUSTED."""
    options = ["--env=VMAF_GRPC_MAX_MESSAGE_BYTES=100000"]
    with serving(image, options=options) as server, grpc.insecure_channel(server.grpc) as channel:
        client = Client(api, channel)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
            client.stream(client.config(), client.pair(FRAMES[0], FRAMES[0]))


def test_grpc_stream_holds_a_slot_until_it_ends(image: Subject, api: Any) -> None:
    """A gRPC stream in the only slot makes the server refuse others until it is cancelled."""
    options = ["--env=VMAF_CONCURRENCY=1", "--env=VMAF_QUEUE=0"]
    with serving(image, options=options) as server, grpc.insecure_channel(server.grpc) as channel:
        client = Client(api, channel)

        def endless() -> Iterator[Any]:
            yield client.config()
            while True:
                yield client.pair(FRAMES[0], FRAMES[0])

        call = client.scoring.ScoreStream(endless(), timeout=TIMEOUT_SECONDS)
        eventually(lambda: server.metric("vmaf_scorings_running"), 1)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
            client.stream(client.config(), client.pair(FRAMES[0], FRAMES[0]))
        call.cancel()
        eventually(lambda: server.metric("vmaf_scorings_running"), 0)
        eventually(
            lambda: server.metric("vmaf_scorings_total", interface="grpc", outcome="cancelled"), 1
        )
        assert client.stream(client.config(), client.pair(FRAMES[0], FRAMES[0]))
