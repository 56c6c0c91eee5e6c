"""The server bench measures throughput, memory, and the load of many clients.

The server runs in a container. The clients connect over loopback; the videos are in a mounted
directory or are uploaded.
"""

import os
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
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from scripts.bench.figure import Figure, median_figure, ratio
from scripts.core import clips, process
from scripts.core.console import UserError, say
from scripts.images import catalogue

ROUNDS = 5
FRAMES = 150
"""The 1080p frames of a throughput test, enough to make the start of a container negligible."""
SHORT, LONG = 10, 1000
"""The 1080p frames of the two memory tests."""
CLIENTS, SECONDS = 200, 60
READY_SECONDS = 60
"""The timeout for the readiness of the server."""
MIB = 2**20


def docker(*arguments: str) -> str:
    """Run the docker client and return its output.

    Raises:
        UserError: the client failed.
    """
    done = process.run("docker", *arguments)
    if done.returncode:
        raise UserError(
            "cannot measure",
            done.stderr.strip(),
            "It requires vmaf:cpu and vmaf:go-server: run `nox -s build-cpu build-go-server`.",
        )
    return done.stdout.strip()


@contextmanager
def container(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[str]:
    """Run a container in the background; yield its name."""
    name = f"vmaf-bench-{uuid.uuid4().hex}"
    try:
        docker("run", "--detach", f"--name={name}", *options, image, *command)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@contextmanager
def server(directory: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Run the server with a directory of videos; yield the names of its container and its URL."""
    with container(
        catalogue.images()["go-server"].tag,
        *("--read-only", "--volume=/tmp", "--publish=127.0.0.1::8080"),
        f"--mount=type=bind,source={directory},target=/data,readonly",
        *options,
    ) as name:
        url = f"http://{docker('port', name, '8080')}"
        until_ready = Retrying(
            retry=retry_if_exception_type(requests.RequestException),
            stop=stop_after_delay(READY_SECONDS),
            wait=wait_fixed(0.1),
            reraise=True,
        )
        until_ready(lambda: requests.get(f"{url}/readyz", timeout=5).raise_for_status())
        yield name, url


@contextmanager
def program(directory: Path) -> Iterator[str]:
    """Run a container of vmaf:cpu with a directory of videos; yield its name for `docker exec`."""
    mount = f"--mount=type=bind,source={directory},target=/data"
    image = catalogue.images()["cpu"].tag
    with container(image, mount, "--entrypoint=sleep", command=("infinity",)) as name:
        yield name


def create_videos(cpu: str, frames: int, *, coded: bool = True) -> None:
    """Write reference.y4m and distorted.y4m, from the real clip repeated and scaled to 1080p.

    If `coded` is false, both names are links to one file, which halves the disk space.
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


def request_score(url: str, threads: int) -> None:
    """Request a score of the videos in the directory."""
    body: dict[str, str | dict[str, int]] = {
        "reference": "reference.y4m",
        "distorted": "distorted.y4m",
        "options": {"threads": threads},
    }
    requests.post(f"{url}/v1/score", json=body, timeout=3600).raise_for_status()


def seconds(start: float) -> float:
    """Return the seconds since `start`, a value of `time.monotonic`."""
    return time.monotonic() - start


def throughput(directory: Path) -> Iterator[Figure]:
    """Yield the frames per second of the server and of the vmaf program, and their ratio."""
    threads = os.cpu_count() or 1
    with program(directory) as cpu, server(directory) as (_, url):
        create_videos(cpu, FRAMES)
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
            request_score(url, threads)
            of_server.append(FRAMES / seconds(start))
    yield median_figure(f"server, 1080p, {threads} threads", of_server, "frames/s")
    yield median_figure(f"vmaf program, 1080p, {threads} threads", of_program, "frames/s")
    yield ratio("server to program", of_server, of_program)


def memory(name: str, field: str) -> float:
    """Return a field of the server's /proc/1/status in MiB, such as VmHWM, the peak RSS."""
    status = docker("exec", name, "cat", "/proc/1/status")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def upload(url: str, directory: Path) -> None:
    """Upload both videos, and read their files during the upload."""

    def body() -> Iterator[bytes]:
        for part in ("reference", "distorted"):
            yield (
                f'--b\r\nContent-Disposition: form-data; name="{part}"; filename="f"\r\n\r\n'
            ).encode()
            with (directory / f"{part}.y4m").open("rb") as file:
                while chunk := file.read(MIB):
                    yield chunk
            yield b"\r\n"
        yield b"--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{url}/v1/score", data=body(), headers=headers, timeout=3600)
    answer.raise_for_status()


def memory_usage(directory: Path) -> Iterator[Figure]:
    """Yield the peak memory of the server for a short and a long video, by path and by upload."""
    for frames in (SHORT, LONG):
        say(f"server: memory, {frames} frames")
        with program(directory) as cpu:
            create_videos(cpu, frames, coded=False)
        for method in ("path", "upload"):
            with server(directory) as (name, url):
                if method == "path":
                    request_score(url, 1)
                else:
                    upload(url, directory)
                peak = memory(name, "VmHWM")
            yield Figure(f"memory, 1080p, {frames} frames by {method}", peak, "MiB")


def load(directory: Path) -> Iterator[Figure]:
    """Yield the counts of responses to many clients, and the server's use of resources."""
    video = clips.y4m()
    answers: Counter[str] = Counter()
    lock = threading.Lock()
    with server(directory) as (name, url):

        def client(end: float) -> None:
            with requests.Session() as session:
                while time.monotonic() < end:
                    parts = {"reference": ("r", video), "distorted": ("d", video)}
                    try:
                        answer = session.post(f"{url}/v1/score", files=parts, timeout=60)
                        status = str(answer.status_code)
                        wait = float(answer.headers.get("Retry-After", 0))
                    except requests.RequestException as error:
                        status, wait = type(error).__name__, 1.0
                    with lock:
                        answers[status] += 1
                    time.sleep(wait)

        def run_clients(duration: float) -> None:
            with ThreadPoolExecutor(CLIENTS) as pool:
                end = time.monotonic() + duration
                list(pool.map(client, [end] * CLIENTS))

        def resources() -> tuple[float, float, float]:
            status = dict(
                line.split(" ")
                for line in requests.get(f"{url}/metrics", timeout=5).text.splitlines()
                if " " in line and not line.startswith("#") and "{" not in line
            )
            goroutines = float(status["go_goroutines"])
            return memory(name, "VmRSS"), goroutines, float(status["process_open_fds"])

        run_clients(5)  # memory that stays allocated after the first requests is not a leak
        time.sleep(10)
        before = resources()
        answers.clear()
        say(f"server: {CLIENTS} clients for {SECONDS} s")
        run_clients(SECONDS)
        time.sleep(10)
        after = resources()
    for status, count in sorted(answers.items()):
        yield Figure(f"load, {CLIENTS} clients, {SECONDS} s: answered {status}", count)
    for resource, unit, start, end in zip(
        ("memory", "goroutines", "open files"), ("MiB", "", ""), before, after, strict=True
    ):
        yield Figure(f"load: {resource} before", start, unit)
        yield Figure(f"load: {resource} after", end, unit)


def figures() -> Iterator[Figure]:
    """Yield all figures; this takes about ten minutes and 8 GB of disk space."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        (directory / "clip.mp4").write_bytes(clips.real_clip().read_bytes())
        yield from throughput(directory)
        yield from load(directory)
        yield from memory_usage(directory)
