"""The gRPC interface: the same scores are in test_scores.py; here is the rest of it."""

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
from tests.support.serving import PATIENCE, Server, eventually, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

SERVING = health_pb2.HealthCheckResponse.SERVING
FRAMES = list(planes(clips.y4m()))


class Asked:
    """The messages and the calls of a server."""

    def __init__(self, api: Any, channel: grpc.Channel) -> None:
        """Take what `grpc.protos_and_services` made, and a way to the server."""
        self.protos, services = api
        self.scoring = services.ScoringStub(channel)

    def config(self, **video: int) -> Any:
        """Return a first message for the generated clip, or for a video unlike it."""
        words = {"width": clips.WIDTH, "height": clips.HEIGHT, "chroma": 1, "bit_depth": 8}
        config = self.protos.Config(video=self.protos.Video(**(words | video)))
        return self.protos.ScoreStreamRequest(config=config)

    def pair(self, reference: bytes, distorted: bytes) -> Any:
        """Return a message with two frames."""
        frame = self.protos.FramePair(reference=reference, distorted=distorted)
        return self.protos.ScoreStreamRequest(frame=frame)

    def stream(self, *messages: Any) -> list[Any]:
        """Send messages, and return what came back."""
        return list(self.scoring.ScoreStream(iter(messages), timeout=PATIENCE))


@pytest.fixture
def asked(api: Any, channel: grpc.Channel) -> Asked:
    """Return the server's gRPC interface."""
    return Asked(api, channel)


def test_health_is_the_standard_one(channel: grpc.Channel) -> None:
    """As load balancers and Kubernetes ask for it: the server's, and the service's."""
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "vmaf.v1.Scoring"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=PATIENCE).status == SERVING


def test_reflection_tells_the_services(channel: grpc.Channel) -> None:
    """So that grpcurl needs no .proto file."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "vmaf.v1.Scoring" in database.get_services()
    described = database.FindFileContainingSymbol("vmaf.v1.Scoring")
    (service,) = described.service
    assert {method.name for method in service.method} == {"Score", "ScoreStream", "ListModels"}


def test_models_are_those_of_http(asked: Asked, server: Server) -> None:
    """Both interfaces serve one engine."""
    by_http = server.get("/v1/models").json()
    by_grpc = asked.scoring.ListModels(asked.protos.ListModelsRequest(), timeout=PATIENCE)
    assert by_grpc.default_model == by_http["default"]
    assert [one.name for one in by_grpc.models] == [one["name"] for one in by_http["models"]]
    assert list(by_grpc.features) == by_http["features"]


def test_paths_score(asked: Asked, server: Server, footage: Footage) -> None:
    """As they do by HTTP."""
    reference, distorted = footage.pairs[0]
    request = asked.protos.ScoreRequest(reference=reference, distorted=distorted)
    (model,) = asked.scoring.Score(request, timeout=PATIENCE).models
    wanted = server.score(footage.read(reference), footage.read(distorted))
    assert model.pooled.mean == pytest.approx(wanted, abs=1e-9)


def refused(code: grpc.StatusCode) -> Any:
    """Expect an error with this code and a message."""

    def told(error: grpc.RpcError) -> bool:
        assert error.code() == code, error
        return bool(error.details())

    return pytest.raises(grpc.RpcError, check=told)


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
def test_a_bad_path(asked: Asked, path: str, code: grpc.StatusCode) -> None:
    """Is refused as it is by HTTP."""
    request = asked.protos.ScoreRequest(reference="reference.y4m", distorted=path)
    with refused(code):
        asked.scoring.Score(request, timeout=PATIENCE)


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
def test_a_bad_stream(asked: Asked, server: Server, fault: str) -> None:
    """Is refused, and the next one scored."""
    config, (good, *_) = asked.config(), FRAMES
    pair = asked.pair(good, good)
    messages = {
        "no message": [],
        "no config": [pair],
        "two configs": [config, config],
        "no frame": [config],
        "a short frame": [config, asked.pair(good, good[:-1])],
        "a long frame": [config, asked.pair(good + b"x", good)],
        "an empty frame": [config, asked.pair(b"", b"")],
        "an empty message": [config, asked.protos.ScoreStreamRequest()],
        "no size": [asked.config(width=0), pair],
        "no chroma": [asked.config(chroma=0), pair],
        "a depth unknown": [asked.config(bit_depth=9), pair],
    }[fault]
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        asked.stream(*messages)
    assert server.state("Running") == "true"
    (answer,) = asked.stream(config, pair)
    assert answer.result.frames == 1


def test_a_huge_frame(asked: Asked) -> None:
    """Is refused by what the config claims, before any of it comes."""
    with refused(grpc.StatusCode.OUT_OF_RANGE):
        asked.stream(asked.config(width=2**16, height=2**16))


def test_a_message_too_large(image: Subject, api: Any) -> None:
    """Is not read."""
    options = ["--env=VMAF_GRPC_MAX_MESSAGE_BYTES=100000"]
    with serving(image, options=options) as server, grpc.insecure_channel(server.grpc) as channel:
        asked = Asked(api, channel)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
            asked.stream(asked.config(), asked.pair(FRAMES[0], FRAMES[0]))


def test_a_full_queue_and_a_client_that_leaves(image: Subject, api: Any) -> None:
    """A stream takes a place until it ends; one that is cancelled gives it back."""
    options = ["--env=VMAF_CONCURRENCY=1", "--env=VMAF_QUEUE=0"]
    with serving(image, options=options) as server, grpc.insecure_channel(server.grpc) as channel:
        asked = Asked(api, channel)

        def endless() -> Iterator[Any]:
            yield asked.config()
            while True:
                yield asked.pair(FRAMES[0], FRAMES[0])

        call = asked.scoring.ScoreStream(endless(), timeout=PATIENCE)
        eventually(lambda: server.metric("vmaf_scorings_running"), 1)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
            asked.stream(asked.config(), asked.pair(FRAMES[0], FRAMES[0]))
        call.cancel()
        eventually(lambda: server.metric("vmaf_scorings_running"), 0)
        eventually(
            lambda: server.metric("vmaf_scorings_total", interface="grpc", outcome="cancelled"), 1
        )
        assert asked.stream(asked.config(), asked.pair(FRAMES[0], FRAMES[0]))
