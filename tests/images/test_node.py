"""The server with FFmpeg, which scores ordinary videos as jobs."""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.images.test_pairs import (
    ALIGNED,
    BAD,
    CONTENTS,
    FRAMES,
    UNEQUAL,
    X264,
    Aligned,
    Unequal,
    cut_reference,
    decode,
    encode,
)
from tests.support.serving import LOCKED_DOWN, Server, eventually, serving
from tests.support.subject import Subject

LIMITS = ("--max-frames=60", "--max-frame-pixels=2000000", "--max-duration=1m")
"""Limits of the server that are a little above what the tests score."""
BOMBS = {
    "16k.y4m": ("", "has a frame of more than the limit of 2000000 pixels"),
    "frames.mkv": (
        "-f lavfi -i color=s=64x64:r=25:d=40 -c:v libx264",
        "has more frames than the limit of 60",
    ),
    "hours.mkv": (
        "-f lavfi -i color=s=64x64:r=25:d=0.2 -vf setpts=N*3600/TB -fps_mode passthrough -c:v ffv1",
        "above the limit of 1m0s",
    ),
}
"""Small files that need much time or memory, with FFmpeg's options that make them."""
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n"
FILES = {
    "url.m3u8": (PLAYLIST, "names other files"),
    "url.ffconcat": ("ffconcat version 1.0\nfile tcp://127.0.0.1:8080\n", "names other files"),
}
"""Files that name URLs."""


def failure(server: Server, directory: Path, name: str, *, upload: bool) -> Mapping[str, Any]:
    """Return the problem with which a job of the reference and another file fails."""
    job = score(server, directory, name, upload=upload)
    assert job["state"] == "failed", f"{name} is scored: {job}"
    problem: Mapping[str, Any] = job["problem"]
    return problem


def score(
    server: Server, directory: Path, name: str, *, upload: bool = False, **options: object
) -> Mapping[str, Any]:
    """Score a file against the reference, and return the job at its end."""
    files = ("reference.mkv", name)
    if upload:
        answer = server.upload_job(*(directory / file for file in files), options=options)
    else:
        answer = server.add_job(*files, options=options)
    assert answer.status_code == 202, answer.text
    return server.await_job(answer.json()["id"])


@pytest.mark.needs("node")
@pytest.mark.parametrize("case", ALIGNED, ids=lambda case: case.name)
def test_jobs_score_like_their_frames(
    image: Subject, clip: Path, directory: Path, case: Aligned
) -> None:
    """A job gives each frame the score that the vmaf program gives the same decoded frames."""
    cut_reference(image, clip, directory)
    encode(image, directory, case.encode, case.file)
    with serving(image, directory=directory) as server:
        job = score(server, directory, case.file)
        assert job["state"] == "done", job
        frames = server.get(f"/v1/jobs/{job['id']}/frames").json()["frames"]
    notes = "\n".join(job["result"]["notes"])
    assert case.note in notes, notes
    got = [frame["models"]["vmaf_v0.6.1"] for frame in frames]
    assert len(got) == case.frames, f"{len(got)} frames are scored"
    reference = decode(image, directory, "reference.mkv", case.reference, case.format)
    distorted = decode(image, directory, case.file, case.distorted, case.format)
    expected = image.score(directory, reference, distorted)
    differences = [abs(a - b) for a, b in zip(got, expected, strict=True)]
    assert max(differences) < 1e-3, f"a frame differs by {max(differences)}"


@pytest.mark.needs("node")
@pytest.mark.parametrize("case", UNEQUAL, ids=lambda case: case.check)
def test_jobs_refuse_unequal_pairs(
    image: Subject, clip: Path, directory: Path, case: Unequal
) -> None:
    """A job of a pair that cannot be aligned fails, names the check, and scores it if allowed."""
    cut_reference(image, clip, directory)
    encode(image, directory, case.encode, "distorted.mkv")
    with serving(image, directory=directory) as server:
        problem = failure(server, directory, "distorted.mkv", upload=False)
        allowed = score(server, directory, "distorted.mkv", allow=[case.check])
    assert problem["type"] == "urn:vmaf:problem:videos-differ", problem
    assert problem["check"] == case.check, problem
    assert case.reason in problem["detail"], problem
    assert allowed["state"] == "done", allowed
    assert allowed["result"]["frames"] == case.frames
    assert any(case.reason in note for note in allowed["result"]["notes"]), allowed


@pytest.mark.needs("node")
@pytest.mark.parametrize("upload", [True, False], ids=["upload", "path"])
def test_jobs_refuse_bad_files(
    image: Subject, clip: Path, directory: Path, *, upload: bool
) -> None:
    """A job of no video, of a bomb, or of a file that names others fails and leaves nothing."""
    cut_reference(image, clip, directory)
    encode(image, directory, X264, "distorted.mkv")
    for name, (options, _) in {**BAD, **BOMBS}.items():
        if options:
            image.ffmpeg(*options.split(), name, directory=directory)
    (directory / "16k.y4m").write_bytes(
        b"YUV4MPEG2 W16384 H16384 F25:1 C420\nFRAME\n" + bytes(2**16)
    )
    for name, text in {**CONTENTS, **{name: text for name, (text, _) in FILES.items()}}.items():
        (directory / name).write_text(text)
    cut_off = (directory / "cut-off.mp4").read_bytes()[:20_000]
    (directory / "cut-off.mp4").unlink()
    (directory / "cut-off.mp4").write_bytes(cut_off)
    with serving(image, *LIMITS, directory=directory) as server:
        before = server.state("Pid")
        for name, (_, reason) in {**BAD, **BOMBS, **FILES}.items():
            problem = failure(server, directory, name, upload=upload)
            assert reason in problem["detail"], f"{name}: {problem}"
            expected = "too-large" if name in BOMBS else "bad-video"
            assert problem["type"] == f"urn:vmaf:problem:{expected}", f"{name}: {problem}"
        assert score(server, directory, "distorted.mkv", upload=upload)["state"] == "done"
        assert server.metric("vmaf_scratch_bytes") == 0
        left = server.execute("find", "/tmp", "-mindepth", "1").stdout  # noqa: S108 (of the image)
        assert not left, f"files in the scratch directory: {left}"
        processes = server.execute("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
        assert not {"ffmpeg", "ffprobe"} & set(processes), f"processes are left: {processes}"
        assert server.state("Pid") == before


@pytest.mark.needs("node")
def test_jobs_are_kept_and_removed(image: Subject, clip: Path, directory: Path) -> None:
    """A job's scores agree as JSON and CSV, and a removed or unknown job does not exist."""
    cut_reference(image, clip, directory)
    encode(image, directory, X264, "distorted.mkv")
    with serving(image, "--concurrency=1", directory=directory) as server:
        job = score(server, directory, "distorted.mkv", upload=True, features=["psnr"])
        assert job["state"] == "done", job
        assert (job["result"]["reference"]["name"], job["result"]["frames"]) == (
            "reference.mkv",
            FRAMES,
        )
        path = f"/v1/jobs/{job['id']}"
        frames = server.get(f"{path}/frames").json()["frames"]
        rows = list(csv.DictReader(server.get(f"{path}/frames", format="csv").text.splitlines()))
        assert len(rows) == len(frames) == FRAMES, "the number of frames"
        for frame, row in zip(frames, rows, strict=True):
            for name, value in {**frame["models"], **frame["features"]}.items():
                assert float(row[name]) == pytest.approx(value, abs=1e-6), name
        mean = sum(frame["models"]["vmaf_v0.6.1"] for frame in frames) / FRAMES
        assert job["result"]["models"][0]["pooled"]["mean"] == pytest.approx(mean)

        running, waiting = (
            server.add_job("reference.mkv", "distorted.mkv").json()["id"] for _ in range(2)
        )
        assert len({job["id"], running, waiting}) == 3, "a repeated id"
        for identifier in (running, waiting, job["id"]):
            assert server.remove_job(identifier).status_code == 204
            assert server.get(f"/v1/jobs/{identifier}").status_code == 404
        eventually(lambda: server.metric("vmaf_scorings_running"), 0)
        guess = job["id"][:-1] + ("A" if job["id"][-1] != "A" else "B")
        assert server.get(f"/v1/jobs/{guess}").status_code == 404
        assert score(server, directory, "distorted.mkv")["state"] == "done"


ATTEMPTS = {
    "a file under the data root": ("-i /data/reference.mkv", "Permission denied"),
    "the network": ("-f mpegts -i tcp://127.0.0.1:9", "Operation not permitted"),
    "a new file": ("-f lavfi -i testsrc2=d=0.1 -y -f mpegts /tmp/made", "Permission denied"),
    "more memory": (
        "-f lavfi -i testsrc2=d=0.1:s=16000x16000 -frames:v 1 -f null -",
        "Cannot allocate memory",
    ),
}
"""What a program in the sandbox tries, with FFmpeg's options and its message."""


@pytest.mark.needs("node")
@pytest.mark.parametrize("name", ATTEMPTS)
def test_decoder_reaches_nothing(image: Subject, clip: Path, directory: Path, name: str) -> None:
    """A decoder in the sandbox opens no file and no socket, and has a limit of its memory."""
    cut_reference(image, clip, directory)
    options, message = ATTEMPTS[name]
    with serving(image, directory=directory) as server:
        landlock = int(re.search(r'"landlock":(\d+)', server.log)[1])  # type: ignore[index]
    if message == "Permission denied" and not landlock:
        pytest.skip("the kernel has no Landlock, which refuses to open files")
    command = ("--decode", "500000000", "60", "/usr/local/bin/ffmpeg", "-nostdin", "-v", "error")
    done = image.run(
        *(*command, *options.split()),
        options=(*LOCKED_DOWN, "--network=none"),
        directory=directory,
        succeeds=False,
    )
    assert done.code, f"the decoder reaches {name}: {done}"
    assert message in done.stderr, f"the decoder fails to reach {name} for another reason: {done}"


@pytest.mark.needs("node")
def test_server_names_its_ffmpeg(image: Subject) -> None:
    """The server's log has the version of the image's FFmpeg, which decodes for it."""
    with serving(image) as server:
        lines = [json.loads(line) for line in server.log.splitlines()]
    (taking,) = (line for line in lines if line["msg"] == "taking jobs")
    assert taking["ffmpeg"].startswith(image.manifest["ffmpeg"]["version"]), taking
