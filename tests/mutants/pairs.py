"""Mutants for the properties of test_pairs.py."""

from tests.images import test_pairs
from tests.images.test_pairs import ALIGNED, UNEQUAL
from tests.mutants.mutant import Mutant, based_on, wrap


def with_options(options: str) -> str:
    """Return the lines that start `score` with more options."""
    return wrap("score", f'exec score.real "$@" {options}')


def with_graph(edit: str) -> str:
    """Return the lines that make ffmpeg change the filter graph, which it gets as a descriptor."""
    changed = f'*fd/5*) sed "{edit}" <&5 >/tmp/graph; exec 5</tmp/graph ;;'
    return wrap("ffmpeg", f'case "$*" in {changed} esac\nexec ffmpeg.real "$@"')


CASES = {case.name: case for case in ALIGNED}

MUTANTS = based_on(
    "tools",
    *(
        Mutant(
            f"score-ignores-{case.check}",
            test_pairs.test_unequal_pairs_are_refused,
            f"a pair with unequal {case.check} is scored",
            with_options(f"--allow {case.check}"),
            params={"case": case},
        )
        for case in UNEQUAL
    ),
    Mutant(
        "score-finds-no-offset",
        test_pairs.test_aligned_pairs_score_like_their_frames,
        "the pictures do not look alike at any offset of up to 0 s",
        with_options("--window 0"),
        params={"case": CASES["beginning-cut"]},
    ),
    Mutant(
        "score-scales-by-neighbours",
        test_pairs.test_aligned_pairs_score_like_their_frames,
        r"a frame differs by \d",
        with_graph("s/bicubic/neighbor/"),
        params={"case": CASES["smaller"]},
    ),
    Mutant(
        "score-loses-frames",
        test_pairs.test_aligned_pairs_score_like_their_frames,
        r"libvmaf scored \d+ pairs of frames instead of 50",
        with_graph("s/between(n,0,98)/between(n,0,90)/"),
        params={"case": CASES["twice-the-rate"]},
    ),
    Mutant(
        "score-reads-playlists",
        test_pairs.test_bad_files_are_refused,
        r"list\.(m3u8|ffconcat): ",
        wrap(
            "ffprobe", 'exec ffprobe.real $(printf " %s" "$@" | sed "s/-format_whitelist [^ ]*//")'
        ),
    ),
    Mutant(
        "score-always-succeeds",
        test_pairs.test_results_of_several_pairs_agree,
        "a score below --min gives the exit status 0",
        wrap("score", 'score.real "$@" || true'),
    ),
    Mutant(
        "score-has-one-model",
        test_pairs.test_models_are_chosen_and_named,
        "assert 'vmaf_v0.6.1' == 'vmaf_v0.6.1neg'",
        with_options("--model hd"),
    ),
)
