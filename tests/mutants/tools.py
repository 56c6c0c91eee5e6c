"""Mutants for the properties of test_tools.py."""

from tests.images import test_tools
from tests.mutants.mutant import Mutant, as_root, based_on, wrap
from tests.support.subject import VERSIONS

SITE = "/usr/local/lib/vmaf-tools/lib/python3*/site-packages"

MUTANTS = based_on(
    "tools",
    Mutant(
        "ab-av1-of-another-release",
        test_tools.test_ab_av1_is_the_locked_release,
        r"'ab-av1 9\.9\.9' == 'ab-av1 \d",
        wrap("ab-av1", "echo ab-av1 9.9.9"),
    ),
    Mutant(
        "ab-av1-scales-the-videos",
        test_tools.test_ab_av1_scores_like_vmaf,
        r"assert \d+\.\d+ == \d+\.\d+ ± ",
        wrap("ab-av1", 'exec ab-av1.real "$1" "$2" "$3" "$4" "$5"'),
    ),
    Mutant(
        "crate-missing-in-the-list",
        test_tools.test_ab_av1_lists_its_crates,
        r"versions\.json lacks \[.*'tokio \d",
        as_root(f"""sed -i 's/"name": "tokio"/"name": "other"/' {VERSIONS}"""),
    ),
    Mutant(
        "quality-metrics-with-another-score",
        test_tools.test_ffmpeg_quality_metrics_scores_like_vmaf,
        r"assert 12\.345 == \d+\.\d+ ± ",
        wrap(
            "ffmpeg-quality-metrics",
            """echo '{"global": {"vmaf": {"vmaf": {"average": 12.345}}}}'""",
        ),
    ),
    Mutant(
        "easyvmaf-with-another-score",
        test_tools.test_easyvmaf_scores_like_vmaf,
        r"assert 12\.345 == \d+\.\d+ ± ",
        wrap(
            "easyvmaf",
            'easyvmaf.real "$@"\n'
            """sed -i 's/"vmaf_hd": [0-9.]*/"vmaf_hd": 12.345/' worse-hd_vmaf_summary.json""",
        ),
    ),
    Mutant(
        "wheel-of-another-release",
        test_tools.test_python_programs_are_the_locked_wheels,
        r"\('tqdm', '0\.1'\)",
        as_root(f"cd {SITE} && mv tqdm-*.dist-info tqdm-0.1.dist-info"),
    ),
    Mutant(
        "program-that-is-only-listed",
        test_tools.test_entry_point_lists_programs_and_runs_them,
        r"listed and not there: \['gone'\]",
        as_root(r"sed -i 's/^  score /  gone \n&/' /usr/local/bin/vmaf-tools"),
    ),
)
