"""Mutants for the properties of test_models.py."""

from tests.images import test_models
from tests.mutants.mutant import Mutant, as_root, wrap
from tests.support.models import DIRECTORY, LIMITS

HFR = DIRECTORY + "vmaf_v1.0.16_hfr/vmaf_v1.0.16_hfr_"

MUTANTS = (
    Mutant(
        "v1-model-added",
        test_models.test_v1_models_are_those_with_held_scores,
        r"only in the tests: \['vmaf_v1\.0\.17\.json'\]",
        as_root(f"cp {HFR}3d0h.json {DIRECTORY}vmaf_v1.0.17.json"),
    ),
    Mutant(
        "v1-model-swapped",
        test_models.test_v1_models_score_a_real_clip,
        r"scores have changed: .*'vmaf_v1\.0\.16_hfr_3d0h': 56\.7",
        as_root(f"cp {DIRECTORY}vmaf_v1.0.16/vmaf_v1.0.16_3d0h.json {HFR}3d0h.json"),
        params={"depth": 8},
    ),
    Mutant(
        "filter-scores-unlike-the-program",
        test_models.test_v1_models_score_a_real_clip,
        r"the filter scores unlike the program: \['vmaf_v1\.0\.16_1d5h_2160'",
        wrap("ffmpeg", """ffmpeg.real "$@" || exit; perl -pi -e 's/: 5/: 4/' $(ls score.json)"""),
        params={"depth": 10},
    ),
    Mutant(
        "size-needed-is-not-printed",
        test_models.test_small_frames_are_refused_with_the_size_needed,
        "no 'speed_chroma needs frames of at least 266x266, got 264x266' in the message",
        wrap(
            "vmaf",
            "vmaf.real \"$@\" 2>/dev/null || { echo 'problem reading pictures' >&2; exit 1; }",
        ),
        params={"limit": LIMITS[3]},
    ),
    Mutant(
        "warnings-about-frames-without-texture",
        test_models.test_frames_without_texture_cause_no_warning,
        "1 warnings for frames without texture: libvmaf WARNING est_params",
        wrap("vmaf", "echo 'libvmaf WARNING est_params: covariance matrix is singular' >&2"),
    ),
)
