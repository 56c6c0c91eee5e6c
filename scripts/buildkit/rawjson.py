"""Read the output of `docker buildx ... --progress=rawjson`, line by line as it arrives.

Each JSON object is a BuildKit `SolveStatus`: updates of steps ("vertexes") and their output.
buildx 0.13 prints an object on several lines, later versions on a single line; both forms are
accepted. Lines that are not JSON are messages of buildx itself, such as the location of an error
in a Dockerfile.
"""

import base64
import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from textwrap import shorten
from typing import Any

from scripts.buildkit import measurements
from scripts.buildkit.measurements import Apt, Measurements, Progress

CONTEXT = "(context)"
"""The stage of steps that load contexts and metadata; no Dockerfile can use this name."""
EXPORT = "(export)"
"""The stage of steps that write images."""
MOUNT = re.compile(r"--mount=(\S*)")
"""A mount of a `RUN` instruction; the group has its options."""

_CONTEXTS = ("internal", "context", "auth")
_TAIL = 200
_APT = re.compile(r"Need to get (?:(?P<left>[\d.,]+ \w*B)/)?(?P<all>[\d.,]+ \w*B) of .*archives")
_NINJA = re.compile(r"\[(\d+)/(\d+)\] ")
_CLIPPED = "[output clipped, log limit"
_UNITS = {unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))}
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?)")


def read_size(text: str) -> int:
    """Return the bytes of a size such as `26.56MB` or `1,474 kB`; 0 if it is not a size."""
    match = re.fullmatch(r"([\d.,]+)\s*(\w*B)", text)
    unit = _UNITS.get(match[2]) if match else None
    return round(float(match[1].replace(",", "")) * unit) if match and unit else 0


@dataclass
class Span:
    """An interval in which BuildKit ran a step."""

    started: datetime
    completed: datetime | None = None
    cached: bool = False


@dataclass
class Step:
    """A vertex of the build, usually one instruction of one stage."""

    digest: str
    targets: list[str] = field(default_factory=list)
    """The bake targets that it was reported for; empty if only one target is built."""
    stage: str = CONTEXT
    number: int = 0
    of: int = 0
    text: str = ""
    """The instruction, or BuildKit's description of the step."""
    error: str = ""
    spans: dict[datetime, Span] = field(default_factory=dict)
    """By start time. BuildKit may run a step again, and reports it for each target."""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    """The last lines of output."""
    measurements: Measurements = field(default_factory=Measurements)
    progress: Progress = field(default_factory=Progress)
    """From `#progress` lines, or the counter of ninja."""
    warnings: list[str] = field(default_factory=list)
    _partial: dict[int, bytes] = field(default_factory=dict)
    _logged: str = ""

    @property
    def prefix(self) -> str:
        """The target, stage and number of the step: `[cpu ffmpeg-cpu 3/4]`."""
        position = f" {self.number}/{self.of}" if self.number else ""
        return f"[{' '.join([*self.targets[:1], self.stage])}{position}]"

    @property
    def command(self) -> str:
        """The instruction on one line, without mounts and similar options."""
        text = re.sub(r" --(mount|network|security)=\S+", "", self.text)
        return shorten(text, 100, placeholder=" ...")

    @property
    def label(self) -> str:
        """The prefix and the instruction."""
        return f"{self.prefix} {self.command}"

    @property
    def running(self) -> bool:
        """Whether BuildKit is running the step."""
        return any(span.completed is None for span in self.spans.values())

    @property
    def done(self) -> bool:
        """Whether the step has ended; BuildKit starts a step of several targets only once."""
        return bool(self.spans) and not self.running

    @property
    def cached(self) -> bool:
        """Whether the step ended without any work."""
        return self.done and all(span.cached for span in self.spans.values())

    @property
    def cancelled(self) -> bool:
        """Whether BuildKit cancelled the step because another step failed."""
        return "context canceled" in self.error

    @property
    def intervals(self) -> list[tuple[datetime, datetime]]:
        """The intervals in which the step ran or waited for a mount, with overlaps merged."""
        intervals: list[tuple[datetime, datetime]] = []
        for span in sorted(self.spans.values(), key=lambda span: span.started):
            start, end = span.started, span.completed or datetime.now(UTC)
            if span.cached or end <= start:
                continue
            if intervals and start <= intervals[-1][1]:
                previous = intervals.pop()
                start, end = previous[0], max(end, previous[1])
            intervals.append((start, end))
        return intervals

    @property
    def seconds(self) -> float:
        """The duration so far; time that is reported for several targets counts once."""
        return sum((end - start).total_seconds() for start, end in self.intervals)

    @property
    def result(self) -> str:
        """The result and the duration, such as `done in 3.2 s`."""
        if self.error:
            return f"{'cancelled' if self.cancelled else 'FAILED'} after {self.seconds:.1f} s"
        return "cached" if self.cached else f"done in {self.seconds:.1f} s"

    def _name(self, name: str) -> None:
        """Parse the name of the vertex, such as `[cpu ffmpeg-cpu 3/4] RUN ...`."""
        match = re.match(r"\[([^\]]*)\] ?(.*)", name, re.DOTALL)
        labels, text = (match[1].split(), match[2]) if match else ([], name)
        position = re.fullmatch(r"(\d+)/(\d+)", labels[-1]) if labels else None
        labels = [label for label in labels if "/" not in label]  # no platform and position
        stage = CONTEXT
        if position and labels:
            stage = labels.pop()
            self.number, self.of = int(position[1]), int(position[2])
        elif re.match("export|import|push|send", text):
            stage = EXPORT
        else:
            targets = list(takewhile(lambda label: label not in _CONTEXTS, labels))
            labels, text = targets, " ".join([*labels[len(targets) + 1 :], text])
        self.stage, self.text = stage, text
        if labels and labels[0] not in self.targets:
            self.targets.append(labels[0])

    def update(self, vertex: dict[str, Any]) -> list[str]:
        """Apply a status update; return a line for the log when the step starts."""
        self._name(vertex["name"])
        if vertex.get("error"):
            self.error = vertex["error"]
        elif vertex.get("completed") and self.cancelled:
            self.error = ""  # one target cancelled the step, and another one completed it
        if not vertex.get("started"):
            return []
        started = datetime.fromisoformat(vertex["started"])
        span = self.spans.setdefault(started, Span(started))
        span.cached = span.cached or bool(vertex.get("cached"))
        if vertex.get("completed"):
            span.completed = datetime.fromisoformat(vertex["completed"])
            for earlier in self.spans.values():
                if earlier.started < started and not earlier.completed:
                    earlier.completed = span.completed

        if self._logged:
            return []
        self._logged = " ".join(self.text.split())
        return [f"{self.prefix} {self._logged}"]

    def output(self, stream: int, data: bytes) -> list[str]:
        """Add a chunk of output; return the lines that it completes."""
        *lines, self._partial[stream] = (self._partial.get(stream, b"") + data).split(b"\n")
        return self._read(lines)

    def end(self) -> list[str]:
        """Return the last lines for the log once the step is done: partial lines, its result."""
        rest = [partial for partial in self._partial.values() if partial]
        self._partial.clear()
        lines = self._read(rest)
        result = f"{self.result} {self.error}".rstrip()
        if self.done and result != self._logged:
            self._logged = result
            lines.append(f"{self.prefix} {result}")
        return lines

    def _read(self, lines: Iterable[bytes]) -> list[str]:
        """Return lines without escape sequences for the log, and parse their measurements."""
        plain = [
            _ESCAPES.sub("", line.decode(errors="replace").rstrip("\r").rpartition("\r")[2])
            for line in lines
        ]
        for line in plain:
            if not self._parse_measurements(line):
                self.tail.append(line)
        return [f"{self.prefix} {line}" for line in plain]

    def _parse_measurements(self, line: str) -> bool:
        """Read the measurements in a line; return whether to leave it out of `tail`."""
        if line.startswith(measurements.MEASURE):
            measured, problem = measurements.read_measurements(line)
            self.measurements = self.measurements.updated(measured)
            if problem:
                self.warnings.append(f"{self.prefix} {problem}: {line}")
            return not problem
        if line.startswith(measurements.PROGRESS):
            progress = measurements.read_progress(line)
            self.progress = progress or self.progress
            return progress is not None
        if line.startswith(measurements.WARNING):
            self.warnings.append(f"{self.prefix} {line.removeprefix(measurements.WARNING)}")
            return True
        if counter := _NINJA.match(line):
            self.progress = Progress(int(counter[1]), int(counter[2]))
        elif plan := _APT.match(line):
            apt = self.measurements.apt or Apt()
            apt.needed += read_size(plan["all"])
            apt.fetched += read_size(plan["left"] or plan["all"])
            self.measurements.apt = apt
        elif _CLIPPED in line:
            self.warnings.append(f"{self.prefix} {line}")
        return False


@dataclass(frozen=True)
class Source:
    """The location of an error in a Dockerfile."""

    file: str
    line: int
    instruction: str


@dataclass
class Build:
    """The state of a build; `feed` updates it with a line that buildx prints."""

    steps: dict[str, Step] = field(default_factory=dict)
    """By digest, in the order of their first status updates; some are never started."""
    text: list[str] = field(default_factory=list)
    """The lines that are not JSON."""
    _warnings: list[str] = field(default_factory=list)
    _object: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """The warnings of BuildKit and of the steps."""
        steps = self.steps.values()
        return [*self._warnings, *(warning for step in steps for warning in step.warnings)]

    @property
    def failed(self) -> Step | None:
        """The step that failed; the steps that were cancelled because of it are not returned."""
        failed = (step for step in self.steps.values() if step.error and not step.cancelled)
        return next(failed, None)

    @property
    def source(self) -> Source | None:
        """The location of the error; buildx marks the lines of the instruction with `>>>`."""
        marks = (re.fullmatch(r"\s*\d+ \| >>> (.*)", line) for line in self.text)
        instruction = "\n".join(mark[1] for mark in marks if mark)
        for line, below in pairwise(self.text):
            location = re.fullmatch(r"(\S+):(\d+)", line)
            if location and below.startswith("-----"):
                return Source(location[1], int(location[2]), instruction)
        return None

    def feed(self, line: str) -> list[str]:
        """Parse a line that buildx prints; return the lines that it adds to a plain log.

        A line that cannot be parsed is returned unchanged, so that unexpected output does not
        end a build.
        """
        line = line.rstrip("\n")
        if self._object and not line.startswith((" ", "}")):
            self._object = []  # the object is incomplete: buildx was killed
        if self._object or line == "{":
            self._object.append(line)
            if line != "}":
                return []
            line, self._object = "".join(self._object), []
        if not line.startswith("{"):
            self.text.append(line)
            return [line]
        try:
            return self._read(json.loads(line))
        except (AttributeError, KeyError, TypeError, ValueError):
            return [line]

    def _step(self, digest: str) -> Step:
        return self.steps.setdefault(digest, Step(digest))

    def _read(self, status: dict[str, Any]) -> list[str]:
        log: list[str] = []
        for vertex in status.get("vertexes") or ():
            log += self._step(vertex["digest"]).update(vertex)
        for output in status.get("logs") or ():
            data = base64.b64decode(output["data"])
            log += self._step(output["vertex"]).output(output.get("stream", 1), data)
        for vertex in status.get("vertexes") or ():
            if (step := self._step(vertex["digest"])).done:
                log += step.end()
        for warning in status.get("warnings") or ():
            self._warnings.append(base64.b64decode(warning["short"]).decode(errors="replace"))
        return log

    def close(self) -> list[str]:
        """End all steps once buildx has ended; return the last lines of the log."""
        now = datetime.now(UTC)
        for step in self.steps.values():
            for span in step.spans.values():
                span.completed = span.completed or now
        return [line for step in self.steps.values() for line in step.end()]
