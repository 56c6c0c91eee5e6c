"""Tests that all interfaces return the scores that the vmaf program computes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import mean
from typing import Any

import grpc
import pytest
import requests

from tests.support.footage import Footage, planes
from tests.support.serving import SCORE, Server
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

DEFAULT = "vmaf_v0.6.1"
TOLERANCE = 1e-6
"""The tolerance for scores. The program prints six digits."""

Scores = Sequence[float]
"""The scores of all frames, followed by their mean."""


def lines(answer: requests.Response) -> Scores:
    """Return the scores in a response of JSON lines."""
    assert answer.ok, answer.text
    *frames, result = (json.loads(line) for line in answer.text.splitlines())
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))
    assert result["type"] == "result"
    assert result["frames"] == result["scored"] == len(frames)
    return [
        *(frame["models"][DEFAULT] for frame in frames),
        result["models"][0]["pooled"]["mean"],
    ]


def by_upload(server: Server, footage: Footage, names: tuple[str, str], **_: object) -> Scores:
    """Score two videos by uploading them."""
    return lines(server.upload(*map(footage.read, names), frames="true"))


def by_path(server: Server, footage: Footage, names: tuple[str, str], **_: object) -> Scores:
    """Score two videos by their paths under the data root."""
    del footage
    body = {"reference": names[0], "distorted": names[1]}
    return lines(requests.post(f"{server.url}{SCORE}?frames=true", json=body, timeout=60))


def by_stream(
    footage: Footage, names: tuple[str, str], api: Any, channel: grpc.Channel, **_: object
) -> Scores:
    """Score two videos by sending their frames over gRPC."""
    protos, services = api
    reference, distorted = map(footage.read, names)
    width, height = (int(field[1:]) for field in reference.split()[1:3])

    def requests_() -> Iterator[Any]:
        video = protos.Video(
            width=width, height=height, chroma=protos.Chroma.Value("CHROMA_420"), bit_depth=8
        )
        yield protos.ScoreStreamRequest(config=protos.Config(video=video, frames=True))
        for frames in zip(planes(reference), planes(distorted), strict=True):
            pair = protos.FramePair(reference=frames[0], distorted=frames[1])
            yield protos.ScoreStreamRequest(frame=pair)

    *frames, last = services.ScoringStub(channel).ScoreStream(requests_(), timeout=60)
    assert [answer.frame.frame for answer in frames] == list(range(len(frames)))
    (model,) = last.result.models
    return [*(answer.frame.models[DEFAULT] for answer in frames), model.pooled.mean]


@pytest.fixture(scope="session")
def expected(cpu: Subject, footage: Footage) -> Mapping[tuple[str, str], Scores]:
    """Return the program's scores of each pair."""
    frames = {pair: cpu.score(footage.directory, *pair) for pair in footage.pairs}
    return {pair: [*scores, mean(scores)] for pair, scores in frames.items()}


@pytest.mark.parametrize("score", [by_upload, by_path, by_stream])
@pytest.mark.parametrize("number", range(3))
def test_scores_match_the_program(
    server: Server,
    footage: Footage,
    expected: Mapping[tuple[str, str], Scores],
    api: Any,
    channel: grpc.Channel,
    number: int,
    score: Callable[..., Scores],
) -> None:
    """Every interface of the server returns vmaf's score of each frame, and their mean."""
    pair = footage.pairs[number]
    scores = score(server=server, footage=footage, names=pair, api=api, channel=channel)
    assert scores == pytest.approx(expected[pair], abs=TOLERANCE)


def test_options_match_the_program(server: Server, cpu: Subject, footage: Footage) -> None:
    """Models, features, subsampling and pooling have the same effect in the server as in vmaf."""
    names = footage.pairs[0]
    models = ("vmaf_v0.6.1neg", "vmaf_4k_v0.6.1")
    options = {
        "models": models,
        "features": ["psnr", "float_ssim"],
        "subsample": 2,
        "pooling": ["min", "max", "mean", "harmonic_mean"],
        "threads": 2,
    }
    answer = server.upload(footage.read(names[0]), footage.read(names[1]), options=options)
    assert answer.ok, answer.text
    result = answer.json()
    arguments = ["--subsample=2", "--feature=psnr", "--feature=float_ssim"]
    arguments += [f"--model=version={name}:name={name}" for name in models]
    cpu.run(
        *(f"--reference={names[0]}", f"--distorted={names[1]}", "--json", "--output=vmaf.json"),
        *arguments,
        program="vmaf",
        directory=footage.directory,
    )
    expected = json.loads((footage.directory / "vmaf.json").read_text())["pooled_metrics"]
    series = (*result["models"], *result["features"])
    pooled = {score["name"]: score["pooled"] for score in series}
    assert pooled.keys() == {*models, "psnr_y", "psnr_cb", "psnr_cr", "float_ssim"}
    for name, scores in pooled.items():
        assert scores == pytest.approx(expected[name], abs=2 * TOLERANCE), name


def test_concurrent_requests_get_their_own_scores(server: Server, footage: Footage) -> None:
    """Concurrent requests with different videos get the same scores as single requests."""
    names = ("reference.y4m", "worse.y4m", "worst.y4m")
    reference = footage.read(names[0])
    expected = {name: server.score(reference, footage.read(name)) for name in names}
    with ThreadPoolExecutor(8) as pool:
        requested = [names[n % len(names)] for n in range(24)]
        scores = pool.map(lambda name: server.score(reference, footage.read(name)), requested)
        assert list(scores) == [expected[name] for name in requested]
