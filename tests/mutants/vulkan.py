"""Mutants for the properties of test_vulkan.py."""

from tests.images import test_vulkan
from tests.mutants import patches
from tests.mutants.mutant import Mutant, based_on, crash, wrap

LIBAVFILTER = "/usr/local/lib/libavfilter.so"
LIBAVUTIL = "/usr/local/lib/libavutil.so"

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
)
