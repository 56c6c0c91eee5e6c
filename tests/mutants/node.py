"""Mutants for the properties of test_node.py."""

from tests.images import test_node
from tests.images.test_node import ATTEMPTS
from tests.images.test_pairs import ALIGNED, UNEQUAL
from tests.mutants.mutant import Mutant, based_on, wrap
from tests.mutants.patches import Patch


def replaced(old: str, new: str) -> Patch:
    """Return a patch that replaces a text in a program, keeping its length."""
    assert len(old) == len(new)

    def patch(content: bytes) -> bytes:
        assert old.encode() in content, f"the file has no {old} to replace"
        return content.replace(old.encode(), new.encode())

    return patch


def without_options(program: str, *options: str) -> str:
    """Return the lines that make a program ignore options with a value.

    The script starts no process, which the sandbox would refuse.
    """
    cases = "|".join(options)
    loop = f'''n=$#
while [ "$n" -gt 0 ]; do
    case $1 in {cases}) shift 2; n=$((n - 2)) ;;
    *) set -- "$@" "$1"; shift; n=$((n - 1)) ;; esac
done
exec /usr/local/bin/{program}.real "$@"'''
    return wrap(program, loop)


WITHOUT_SANDBOX = 'case $1 in --decode) shift 3; exec "$@" ;; esac\nexec vmaf-server.real "$@"'
SERVER = "/usr/local/bin/vmaf-server"
CASES = {case.name: case for case in ALIGNED}
CHECKS = {case.check: case for case in UNEQUAL}

MUTANTS = based_on(
    "node-cpu",
    Mutant(
        "node-scales-by-another-filter",
        test_node.test_jobs_score_like_their_frames,
        r"a frame differs by \d",
        patches={SERVER: replaced("flags=bicubic", "flags=lanczos")},
        params={"case": CASES["smaller"]},
    ),
    Mutant(
        "node-does-not-see-fields",
        test_node.test_jobs_refuse_unequal_pairs,
        "distorted.mkv is scored",
        patches={SERVER: replaced("field_order", "field_ordex")},
        params={"case": CHECKS["interlaced"]},
    ),
    Mutant(
        "node-without-limits",
        test_node.test_jobs_refuse_bad_files,
        r"(16k\.y4m|frames\.mkv|hours\.mkv): ",
        wrap(
            "vmaf-server",
            'exec vmaf-server.real "$@" --max-frames=99999 --max-frame-pixels=999999999',
        ),
        params={"upload": False},
    ),
    Mutant(
        "node-reads-all-formats",
        test_node.test_jobs_refuse_bad_files,
        r"\.ffconcat: ",
        "\n".join(
            without_options(program, "-format_whitelist", "-protocol_whitelist")
            for program in ("ffmpeg", "ffprobe")
        ),
        params={"upload": True},
    ),
    Mutant(
        "node-forgets-jobs",
        test_node.test_jobs_are_kept_and_removed,
        "the job is gone",
        "ENV VMAF_JOB_TTL=1ms",
    ),
    *(
        Mutant(
            f"node-without-a-sandbox-for-{name.replace(' ', '-')}",
            test_node.test_decoder_reaches_nothing,
            f"the decoder (reaches|fails to reach) {name}",
            wrap("vmaf-server", WITHOUT_SANDBOX),
            params={"name": name},
        )
        for name in ATTEMPTS
    ),
    Mutant(
        "node-with-another-ffmpeg",
        test_node.test_server_names_its_ffmpeg,
        r"'ffmpeg': '0\.0\.0'",
        wrap("ffmpeg", "echo ffmpeg version 0.0.0"),
    ),
)
