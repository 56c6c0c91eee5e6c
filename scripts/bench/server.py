"""How fast the server scores, what it holds in memory, and what a crowd does to it.

It is measured as its users meet it: in its container, over loopback, videos in a
mounted folder or uploaded.
"""

import os
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from scripts.bench.figure import Figure, middle, ratio
from scripts.core import clips
from scripts.core.console import UserError, say
from scripts.images import catalogue

ROUNDS = 5
FRAMES = 150
"""Of 1080p, for the throughput: long enough that a container's start does not count."""
SHORT, LONG = 10, 1000
"""Frames of 1080p, for the memory."""
CLIENTS, SECONDS = 200, 60
MIB = 2**20


def docker(*words: str) -> str:
    """Run the docker client.

    Raises:
        UserError: it failed.
    """
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            "cannot measure",
            done.stderr.strip(),
            "It takes vmaf:cpu and vmaf:go-server: nox -s build-cpu build-go-server",
        )
    return done.stdout.strip()


@contextmanager
def container(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[str]:
    """Run an image until the measurement is done with it."""
    name = f"vmaf-bench-{uuid.uuid4().hex}"
    try:
        docker("run", "--detach", f"--name={name}", *options, image, *command)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Run the server on a folder; yields its container and its address."""
    with container(
        catalogue.images()["go-server"].tag,
        *("--read-only", "--volume=/tmp", "--publish=127.0.0.1::8080"),
        f"--mount=type=bind,source={folder},target=/data,readonly",
        *options,
    ) as name:
        url = f"http://{docker('port', name, '8080')}"
        while True:
            try:
                if requests.get(f"{url}/readyz", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield name, url


@contextmanager
def program(folder: Path) -> Iterator[str]:
    """Keep a container of vmaf:cpu on a folder, to run its programs in."""
    mount = f"--mount=type=bind,source={folder},target=/data"
    image = catalogue.images()["cpu"].tag
    with container(image, mount, "--entrypoint=sleep", command=("infinity",)) as name:
        yield name


def make(cpu: str, frames: int, *, coded: bool = True) -> None:
    """Write reference.y4m and distorted.y4m, 1080p of the real clip again and again.

    Where it is not coded, both are one file: half the disk.
    """
    docker("exec", cpu, "rm", "-f", "distorted.y4m")
    quiet = ("exec", cpu, "ffmpeg", "-loglevel", "error", "-nostdin", "-y")
    scaled = ("-vf", "scale=1920:1080", "-frames:v", str(frames), "-pix_fmt", "yuv420p")
    docker(*quiet, "-stream_loop", "-1", "-i", "clip.mp4", *scaled, "-an", "reference.y4m")
    if not coded:
        docker("exec", cpu, "ln", "reference.y4m", "distorted.y4m")
        return
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "35")
    docker(*quiet, "-i", "reference.y4m", *x264, "coded.mkv")
    docker(*quiet, "-i", "coded.mkv", "-pix_fmt", "yuv420p", "distorted.y4m")


def ask(url: str, threads: int) -> None:
    """Have the videos of the folder scored."""
    body = {
        "reference": "reference.y4m",
        "distorted": "distorted.y4m",
        "options": {"threads": threads},
    }
    requests.post(f"{url}/v1/score", json=body, timeout=3600).raise_for_status()


def seconds(start: float) -> float:
    """Return how long ago that was."""
    return time.monotonic() - start


def throughput(folder: Path) -> Iterator[Figure]:
    """Yield the server's frames a second, the program's, and their ratio."""
    threads = os.cpu_count() or 1
    with program(folder) as cpu, server(folder) as (_, url):
        make(cpu, FRAMES)
        pair = ("--reference", "reference.y4m", "--distorted", "distorted.y4m")
        of_server, of_program = [], []
        for number in range(ROUNDS):
            say(f"server: throughput, round {number + 1} of {ROUNDS}")
            start = time.monotonic()
            docker(
                *("exec", cpu, "vmaf", "--quiet", *pair, "--threads", str(threads)),
                *("--json", "--output", "/dev/null"),
            )
            of_program.append(FRAMES / seconds(start))
            start = time.monotonic()
            ask(url, threads)
            of_server.append(FRAMES / seconds(start))
    yield middle(f"server, 1080p, {threads} threads", of_server, "frames/s")
    yield middle(f"vmaf program, 1080p, {threads} threads", of_program, "frames/s")
    yield ratio("server to program", of_server, of_program)


def memory(name: str, field: str) -> float:
    """Return a figure of the server's memory in MiB: VmHWM is the most it ever held."""
    status = docker("exec", name, "cat", "/proc/1/status")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def upload(url: str, folder: Path) -> None:
    """Send both videos, read from their files as they go."""

    def body() -> Iterator[bytes]:
        for part in ("reference", "distorted"):
            yield (
                f'--b\r\nContent-Disposition: form-data; name="{part}"; filename="f"\r\n\r\n'
            ).encode()
            with (folder / f"{part}.y4m").open("rb") as file:
                while chunk := file.read(MIB):
                    yield chunk
            yield b"\r\n"
        yield b"--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{url}/v1/score", data=body(), headers=headers, timeout=3600)
    answer.raise_for_status()


def memories(folder: Path) -> Iterator[Figure]:
    """Yield the most memory the server held for a short and a long video, by either way in."""
    for frames in (SHORT, LONG):
        say(f"server: memory, {frames} frames")
        with program(folder) as cpu:
            make(cpu, frames, coded=False)
        for way in ("path", "upload"):
            with server(folder) as (name, url):
                if way == "path":
                    ask(url, 1)
                else:
                    upload(url, folder)
                most = memory(name, "VmHWM")
            yield Figure(f"memory, 1080p, {frames} frames by {way}", most, "MiB")


def load(folder: Path) -> Iterator[Figure]:
    """Yield what many clients at once are answered, and what the server holds before and after."""
    video = clips.y4m()
    answers: Counter[str] = Counter()
    lock = threading.Lock()
    with server(folder) as (name, url):

        def client(end: float) -> None:
            with requests.Session() as session:
                while time.monotonic() < end:
                    parts = {"reference": ("r", video), "distorted": ("d", video)}
                    try:
                        answer = session.post(f"{url}/v1/score", files=parts, timeout=60)
                        told = str(answer.status_code)
                        wait = float(answer.headers.get("Retry-After", 0))
                    except requests.RequestException as error:
                        told, wait = type(error).__name__, 1.0
                    with lock:
                        answers[told] += 1
                    time.sleep(wait)

        def crowd(duration: float) -> None:
            with ThreadPoolExecutor(CLIENTS) as pool:
                end = time.monotonic() + duration
                list(pool.map(client, [end] * CLIENTS))

        def held() -> tuple[float, float, float]:
            told = dict(
                line.split(" ")
                for line in requests.get(f"{url}/metrics", timeout=5).text.splitlines()
                if " " in line and not line.startswith("#") and "{" not in line
            )
            goroutines = float(told["go_goroutines"])
            return memory(name, "VmRSS"), goroutines, float(told["process_open_fds"])

        crowd(5)  # what is held once the server has been busy is no leak
        time.sleep(10)
        before = held()
        answers.clear()
        say(f"server: {CLIENTS} clients for {SECONDS} s")
        crowd(SECONDS)
        time.sleep(10)
        after = held()
    for told, count in sorted(answers.items()):
        yield Figure(f"load, {CLIENTS} clients, {SECONDS} s: answered {told}", count)
    for what, unit, one, other in zip(
        ("memory", "goroutines", "open files"), ("MiB", "", ""), before, after, strict=True
    ):
        yield Figure(f"load: {what} before", one, unit)
        yield Figure(f"load: {what} after", other, unit)


def figures() -> Iterator[Figure]:
    """Yield all of them; takes some ten minutes and 8 GB of disk."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "clip.mp4").write_bytes(clips.real_clip().read_bytes())
        yield from throughput(folder)
        yield from load(folder)
        yield from memories(folder)
