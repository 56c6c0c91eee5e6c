"""Mutants for the properties of test_vaapi.py."""

from tests.images import test_vaapi
from tests.mutants import patches
from tests.mutants.mutant import Mutant, as_root, crash

MUTANTS = (
    Mutant(
        "no-vaapi-encoder",
        test_vaapi.test_ffmpeg_lists_vaapi,
        r"missing: \['h264_vaapi'\]",
        patches={"/usr/local/lib/libavcodec.so": patches.rename("h264_vaapi", "h264_vaap_")},
        params={"question": "-encoders"},
        base="rocm6",
    ),
    Mutant(
        "ffmpeg-crashes-without-vaapi",
        test_vaapi.test_ffmpeg_reports_a_missing_vaapi_device,
        "killed by signal 11",
        crash("ffmpeg"),
        base="rocm6",
    ),
    Mutant(
        "vaapi-driver-newer-than-libva",
        test_vaapi.test_vaapi_driver_matches_libva,
        r"\[\d+\] for libva 1\.1\b",
        as_root("cd /usr/lib/x86_64-linux-gnu && mv libva.so.2.*.* libva.so.2.0100.0 && ldconfig"),
        base="rocm6",
    ),
    Mutant(
        "no-vaapi-driver-in-the-ffmpeg-image",
        test_vaapi.test_vaapi_driver_matches_libva,
        r"there is no /usr/\S+/dri/iHD_drv_video\.so",
        as_root("rm /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so"),
        base="ffmpeg",
    ),
)
