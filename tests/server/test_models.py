"""Tests that the server scores v1 models like the program, and refuses what libvmaf refuses."""

from pathlib import Path
from statistics import mean

import pytest

from tests.support import models
from tests.support.forms import problem
from tests.support.models import LIMITS, MODELS, Limit
from tests.support.serving import Server
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

TOLERANCE = 1e-6
"""The tolerance for scores. The program prints six digits."""
SIDE, V1_SIDE = 64, 320
"""The smallest side of frames that the server scores, and of those with a v1 model."""


@pytest.mark.parametrize("depth", models.FORMATS)
def test_v1_models_score_like_the_program(
    server: Server, cpu: Subject, clip: Path, directory: Path, depth: int
) -> None:
    """Each v1 model gives the program's mean score of an encoded real clip, and the held one."""
    models.encode(cpu, clip, directory, depth)
    expected = models.program_scores(cpu, directory)
    videos = [(directory / name).read_bytes() for name in ("reference.y4m", "coded.y4m")]
    for request in (MODELS[:4], MODELS[4:]):
        options = {"models": [model.file for model in request]}
        answer = server.upload(*videos, options=options)
        assert answer.ok, answer.text
        scores = {score["name"]: score["pooled"]["mean"] for score in answer.json()["models"]}
        assert scores.keys() == {model.file for model in request}
        for model in request:
            score = scores[model.file]
            assert score == pytest.approx(mean(expected[model.name]), abs=TOLERANCE), model
            assert score == pytest.approx(model.scores[depth], abs=models.TOLERANCE), model


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.model)
def test_server_refuses_what_libvmaf_refuses(server: Server, limit: Limit) -> None:
    """The server refuses frames that libvmaf refuses, and names a size that libvmaf accepts."""
    options = {"models": [limit.model]}
    video = models.gray(limit.refused)
    detail = problem(server.upload(video, video, options=options), 422, "not-scorable")
    side = V1_SIDE if "_v1" in limit.model else SIDE
    assert max(limit.accepted) <= side, "libvmaf needs larger frames than the server"
    assert f"needs at least {side}x{side}" in detail
    video = models.gray((side, side))
    answer = server.upload(video, video, options=options)
    assert answer.ok, answer.text
