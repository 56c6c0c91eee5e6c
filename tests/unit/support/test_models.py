"""Tests of the held scores of the v1 models, which docs/models.md shows."""

import itertools
import re

from scripts.core.paths import ROOT
from tests.support.models import FORMATS, LIMITS, MODELS, gray

PAGE = (ROOT / "docs" / "models.md").read_text()


def rows(page: str) -> dict[str, tuple[str, list[str]]]:
    """Return the smallest frame and the scores in the table of models, by name."""
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    return {row[0]: (row[2], row[3:]) for row in cells if row and row[0].startswith("vmaf_")}


def test_page_shows_the_held_scores() -> None:
    """docs/models.md shows the held scores of all v1 models but those for high frame rates."""
    held = {
        model.name: [f"{model.scores[depth]:.2f}" for depth in FORMATS]
        for model in MODELS
        if "_hfr_" not in model.name
    }
    assert {name: scores for name, (_, scores) in rows(PAGE).items()} == held


def test_page_shows_the_smallest_frames() -> None:
    """docs/models.md shows the sizes in the messages that the tests of images expect."""
    shown = {name: size for name, (size, _) in rows(PAGE).items()}
    for limit in LIMITS[1:]:
        (needed,) = re.findall(r"at least ([\dx]+)", limit.message)
        assert needed in shown[limit.model.replace("_hfr", "")], limit


def test_scores_of_all_models_differ() -> None:
    """No two models have the same held score, so that a swapped file is noticed."""
    for depth in FORMATS:
        scores = sorted(model.scores[depth] for model in MODELS)
        assert all(high - low > 0.1 for low, high in itertools.pairwise(scores))


def test_gray_video_has_the_frames_of_its_header() -> None:
    """A generated video has as many bytes as its header and its frames need."""
    header, _, frames = gray((4, 2), frames=2).partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 W4 H2 ")
    assert frames == 2 * (b"FRAME\n" + bytes([128]) * 12)
