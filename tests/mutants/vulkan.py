"""Mutants for the properties of test_vulkan.py."""

from tests.images import test_vulkan
from tests.mutants import patches
from tests.mutants.mutant import Mutant, based_on, crash, wrap

LIBAVFILTER = "/usr/local/lib/libavfilter.so"
LIBAVUTIL = "/usr/local/lib/libavutil.so"

CLAIMED = 'LABEL vmaf.backends="cpu vulkan"\n'


def backend(loaded: str, arguments: str) -> str:
    """Return the lines that add a Vulkan backend to vmaf which prints a message of the loader.

    Args:
        loaded: a shell command that prints the message.
        arguments: the arguments for the program without a backend.
    """
    selected = f"case $* in *--backend*) {loaded}; exec vmaf.real {arguments} ;; esac"
    return CLAIMED + wrap(
        "vmaf", f'{selected}\n[ "$1" != --help ] || echo --backend\nexec vmaf.real "$@"'
    )


MUTANTS = based_on(
    "vulkan",
    Mutant(
        "no-libplacebo-filter",
        test_vulkan.test_ffmpeg_lists_vulkan_features,
        r"missing: \['libplacebo'\]",
        patches={LIBAVFILTER: patches.rename("libplacebo", "libplaceb_")},
        params={"question": "-filters"},
    ),
    Mutant(
        "no-vulkan-device-type",
        test_vulkan.test_ffmpeg_lists_vulkan_features,
        r"missing: \['vulkan'\]",
        patches={LIBAVUTIL: patches.rename("vulkan", "vulka_")},
        params={"question": "-hwaccels"},
    ),
    Mutant(
        "ffmpeg-crashes-without-vulkan",
        test_vulkan.test_ffmpeg_reports_a_missing_vulkan_device,
        "killed by signal 11",
        crash("ffmpeg"),
    ),
    Mutant(
        "no-vulkan-loader",
        test_vulkan.test_ffmpeg_reports_a_missing_vulkan_device,
        "Unable to open the libvulkan library",
        patches={LIBAVUTIL: patches.rename("libvulkan.so.1", "libvulkan.so.9")},
    ),
    Mutant(
        "no-scale-vulkan-filter",
        test_vulkan.test_vulkan_filters_scale_and_score,
        "No such filter: 'scale_vulkan'",
        patches={LIBAVFILTER: patches.rename("scale_vulkan", "scale_vulka_")},
        params={"scaler": "scale_vulkan"},
    ),
    Mutant(
        "libplacebo-damages-the-pictures",
        test_vulkan.test_vulkan_filters_scale_and_score,
        r"libplacebo scores \d",
        wrap(
            "ffmpeg", """exec ffmpeg.real $(printf ' %s' "$@" | sed s/:,disable_multiplane=1//)"""
        ),
        params={"scaler": "libplacebo"},
    ),
    Mutant(
        "claims-a-vulkan-backend",
        test_vulkan.test_vulkan_backend_scores_like_the_cpu,
        "vmaf has none of the options --backend, --vulkan_device",
        CLAIMED,
    ),
    Mutant(
        "vulkan-backend-scores-on-the-cpu",
        test_vulkan.test_vulkan_backend_scores_like_the_cpu,
        "vmaf --backend=vulkan opened no Vulkan device",
        backend(":", "$(echo $* | sed s/--backend=vulkan//)"),
    ),
    Mutant(
        "vulkan-backend-with-other-scores",
        test_vulkan.test_vulkan_backend_scores_like_the_cpu,
        r"the scores differ by \d",
        backend(
            """echo 'Using "llvmpipe" with driver' >&2""",
            "--reference=reference.y4m --distorted=reference.y4m --json --output=score.json",
        ),
    ),
)
