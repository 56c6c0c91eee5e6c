"""Mutants for the properties of test_score.py."""

from tests.images import test_score
from tests.mutants.mutant import Mutant, as_root, wrap


def changed_scores(perl: str) -> str:
    """Return the lines that make vmaf report changed scores.

    Args:
        perl: a Perl expression for the reported score; $2 is the computed score.
    """
    edit = f"""perl -pi -e 's/("vmaf": )([\\d.]+)/$1.({perl})/e' score.json"""
    return wrap("vmaf", f'vmaf.real "$@" && {edit}')


MUTANTS = (
    Mutant(
        "every-score-is-50",
        test_score.test_identical_frames_score_near_100,
        r"assert 50(\.0)? > 97",
        changed_scores("50"),
    ),
    Mutant(
        "no-score-without-a-terminal",
        test_score.test_score_is_printed_without_a_terminal,
        "a success without a score: ''",
        wrap("vmaf", 'exec vmaf.real "$@" 2>/dev/null'),
    ),
    Mutant(
        "warnings-with-quiet",
        test_score.test_quiet_program_prints_no_warning,
        "with --quiet: .*no such built-in model",
        wrap("vmaf", 'exec vmaf.real $(printf " %s" "$@" | sed "s/--quiet//")'),
    ),
    Mutant(
        "scores-from-worst-to-best",
        test_score.test_degraded_pictures_score_lower,
        r"scores rise with the degradation: \[[\d., ]+\]",
        changed_scores("100-$2"),
    ),
    Mutant(
        "encoder-at-its-worst-quality",
        test_score.test_real_clip_scores_by_its_quality,
        r"assert 90 < \d",
        wrap("ffmpeg", """exec ffmpeg.real $(printf ' %s' "$@" | sed 's/-crf [0-9]*/-crf 51/')"""),
    ),
    Mutant(
        "program-scores-unlike-the-filter",
        test_score.test_filter_and_program_scores_agree,
        r"assert [\d.]+ == 50 ± ",
        changed_scores("50"),
    ),
    Mutant(
        "truncated-model-file",
        test_score.test_model_file_scores_like_the_built_in_model,
        "problem loading model",
        as_root("truncate --size=1000 /usr/local/share/vmaf/model/vmaf_v0.6.1.json"),
    ),
)
