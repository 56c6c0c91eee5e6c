"""Mutants for the properties of test_ffmpeg.py."""

from tests.images import test_ffmpeg
from tests.mutants import patches
from tests.mutants.mutant import Mutant, add_file, as_root

LIBAVCODEC = "/usr/local/lib/libavcodec.so"
LIBAVFILTER = "/usr/local/lib/libavfilter.so"
LIBAVFORMAT = "/usr/local/lib/libavformat.so"
CODECS = {codec.encoder: codec for codec in (*test_ffmpeg.CODECS, *test_ffmpeg.ADDED_CODECS)}

MUTANTS = (
    Mutant(
        "no-x264-encoder",
        test_ffmpeg.test_codec_encodes_and_decodes,
        "Unknown encoder 'libx264'",
        patches={LIBAVCODEC: patches.rename("libx264", "libx26_")},
        params={"codec": CODECS["libx264"]},
    ),
    Mutant(
        "no-dav1d-decoder",
        test_ffmpeg.test_codec_encodes_and_decodes,
        "Unknown decoder 'libdav1d'",
        patches={LIBAVCODEC: patches.rename("libdav1d", "libdav1_")},
        params={"codec": CODECS["libaom-av1"]},
    ),
    Mutant(
        "no-jpeg-xl-encoder",
        test_ffmpeg.test_codec_encodes_and_decodes,
        "Unknown encoder 'libjxl'",
        patches={LIBAVCODEC: patches.rename("libjxl", "libjx_")},
        params={"codec": CODECS["libjxl"]},
    ),
    Mutant(
        "no-srt-protocol",
        test_ffmpeg.test_srt_sends_and_receives,
        r"Error opening output srt://\S+: Invalid argument",
        patches={LIBAVFORMAT: patches.rename("srt", "sr_")},
    ),
    Mutant(
        "no-theora-encoder",
        test_ffmpeg.test_added_codec_encodes_and_decodes,
        "Unknown encoder 'libtheora'",
        base="ffmpeg",
        patches={LIBAVCODEC: patches.rename("libtheora", "libtheor_")},
        params={"codec": CODECS["libtheora"]},
    ),
    Mutant(
        "no-amr-wb-decoder",
        test_ffmpeg.test_added_codec_encodes_and_decodes,
        "Unknown decoder 'libopencore_amrwb'",
        base="ffmpeg",
        patches={LIBAVCODEC: patches.rename("libopencore_amrwb", "libopencore_amrw_")},
        params={"codec": CODECS["libvo_amrwbenc"]},
    ),
    Mutant(
        "no-rubberband-filter",
        test_ffmpeg.test_added_filter_runs_with_its_library,
        "No such filter: 'rubberband'",
        base="ffmpeg",
        patches={LIBAVFILTER: patches.rename("rubberband", "rubberban_")},
        params={"name": "rubberband"},
    ),
    Mutant(
        "no-sftp-protocol",
        test_ffmpeg.test_added_protocol_is_listed,
        r"the protocols are .*\bsft_\b",
        base="ffmpeg",
        patches={LIBAVFORMAT: patches.rename("sftp", "sft_")},
        params={"name": "sftp"},
    ),
    Mutant(
        "ffmpeg-library-in-an-image-without-ffmpeg",
        test_ffmpeg.test_only_images_with_ffmpeg_have_its_files,
        r"layer \d+ \(COPY .*\) carries /usr/local/lib/libavcodec\.so\.63",
        add_file("/usr/local/lib/libavcodec.so.63"),
        base="cli",
    ),
    Mutant(
        "every-site-trusted",
        test_ffmpeg.test_https_input_is_read_from_trusted_sites,
        r"assert \('320,192' in '320,192",
        "ENV SSL_CERT_FILE=/data/site.pem",
        params={"trusted": False},
    ),
    Mutant(
        "no-xpsnr-filter",
        test_ffmpeg.test_xpsnr_scores_a_pair,
        "No such filter: 'xpsnr'",
        patches={LIBAVFILTER: patches.rename("xpsnr", "xpsn_")},
    ),
    Mutant(
        "no-zscale-filter",
        test_ffmpeg.test_filter_runs_with_its_library,
        "Error parsing filterchain 'zscale",
        patches={LIBAVFILTER: patches.rename("zscale", "zscal_")},
        params={"name": "zscale"},
    ),
    Mutant(
        "no-drawtext-filter",
        test_ffmpeg.test_ffmpeg_lists_common_filters,
        r"missing filters: \['drawtext'\]",
        patches={LIBAVFILTER: patches.rename("drawtext", "drawtex_")},
    ),
    Mutant(
        "no-ffprobe-program",
        test_ffmpeg.test_ffprobe_reports_the_size_of_a_clip,
        'exec: "ffprobe": executable file not found',
        as_root("rm /usr/local/bin/ffprobe"),
    ),
)
