"""Every way in gives the scores of the vmaf program."""

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
EXACT = 1e-6
"""How near two scores must be; the program prints six digits."""

Scores = Sequence[float]
"""Of each frame, then their mean."""


def lines(answer: requests.Response) -> Scores:
    """Return the scores in an answer of JSON lines."""
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
    """Score by sending both videos."""
    return lines(server.upload(*map(footage.read, names), frames="true"))


def by_path(server: Server, footage: Footage, names: tuple[str, str], **_: object) -> Scores:
    """Score by naming both videos."""
    del footage
    body = {"reference": names[0], "distorted": names[1]}
    return lines(requests.post(f"{server.url}{SCORE}?frames=true", json=body, timeout=60))


def by_stream(
    footage: Footage, names: tuple[str, str], api: Any, channel: grpc.Channel, **_: object
) -> Scores:
    """Score by sending frame pairs over gRPC."""
    protos, services = api
    reference, distorted = map(footage.read, names)
    width, height = (int(word[1:]) for word in reference.split()[1:3])

    def requests_() -> Iterator[Any]:
        video = protos.Video(
            width=width, height=height, chroma=protos.Chroma.Value("CHROMA_420"), bit_depth=8
        )
        yield protos.ScoreStreamRequest(config=protos.Config(video=video, frames=True))
        for one, other in zip(planes(reference), planes(distorted), strict=True):
            pair = protos.FramePair(reference=one, distorted=other)
            yield protos.ScoreStreamRequest(frame=pair)

    *frames, last = services.ScoringStub(channel).ScoreStream(requests_(), timeout=60)
    assert [answer.frame.frame for answer in frames] == list(range(len(frames)))
    (model,) = last.result.models
    return [*(answer.frame.models[DEFAULT] for answer in frames), model.pooled.mean]


@pytest.fixture(scope="session")
def expected(cpu: Subject, footage: Footage) -> Mapping[tuple[str, str], Scores]:
    """Return what the program says of each pair."""
    told = {pair: cpu.score(footage.directory, *pair) for pair in footage.pairs}
    return {pair: [*scores, mean(scores)] for pair, scores in told.items()}


@pytest.mark.parametrize("way", [by_upload, by_path, by_stream])
@pytest.mark.parametrize("number", range(3))
def test_scores_are_those_of_the_program(
    server: Server,
    footage: Footage,
    expected: Mapping[tuple[str, str], Scores],
    api: Any,
    channel: grpc.Channel,
    number: int,
    way: Callable[..., Scores],
) -> None:
    """Of each frame, and their mean."""
    pair = footage.pairs[number]
    scores = way(server=server, footage=footage, names=pair, api=api, channel=channel)
    assert scores == pytest.approx(expected[pair], abs=EXACT)


def test_options_are_the_programs(server: Server, cpu: Subject, footage: Footage) -> None:
    """Models, features, subsampling and pooling mean what they mean to the program."""
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
    got = answer.json()
    words = ["--subsample=2", "--feature=psnr", "--feature=float_ssim"]
    words += [f"--model=version={name}:name={name}" for name in models]
    cpu.run(
        *(f"--reference={names[0]}", f"--distorted={names[1]}", "--json", "--output=told.json"),
        *words,
        program="vmaf",
        directory=footage.directory,
    )
    told = json.loads((footage.directory / "told.json").read_text())["pooled_metrics"]
    pooled = {one["name"]: one["pooled"] for one in (*got["models"], *got["features"])}
    wanted = {*models, "psnr_y", "psnr_cb", "psnr_cr", "float_ssim"}
    assert pooled.keys() == wanted
    for name in wanted:
        assert pooled[name] == pytest.approx(told[name], abs=2 * EXACT), name


def test_requests_at_once_do_not_mix(server: Server, footage: Footage) -> None:
    """Many clients with different videos each get the score of their own."""
    names = ("reference.y4m", "worse.y4m", "worst.y4m")
    reference = footage.read(names[0])
    alone = {name: server.score(reference, footage.read(name)) for name in names}
    with ThreadPoolExecutor(8) as pool:
        asked = [names[n % len(names)] for n in range(24)]
        got = pool.map(lambda name: server.score(reference, footage.read(name)), asked)
        assert list(got) == [alone[name] for name in asked]
