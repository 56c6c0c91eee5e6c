"""Reading what `docker buildx ... --progress=rawjson` prints, line by line as it comes.

Each JSON object is a BuildKit `SolveStatus`: news of steps ("vertexes") and of
their output. The buildx of 2024 spreads an object over many lines, later ones
print it on one; both are read. What is no JSON is buildx speaking to people,
such as the place of an error in a Dockerfile.
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

CONTEXT = "(context)"
"""The stage of steps that load contexts and metadata; no Dockerfile can use this name."""
EXPORT = "(export)"
"""The stage of steps that write images."""

_CONTEXTS = ("internal", "context", "auth")
_TAIL = 200
_MEASURE = "#measure "
_APT = re.compile(r"Need to get (?:(?P<left>[\d.,]+ \w*B)/)?(?P<all>[\d.,]+ \w*B) of .*archives")
_UNITS = {unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))}
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?)")


def read_size(text: str) -> int:
    """Return the bytes of `26.56MB` or `1,474 kB`; 0 for what is no size."""
    match = re.fullmatch(r"([\d.,]+)\s*(\w*B)", text)
    unit = _UNITS.get(match[2]) if match else None
    return round(float(match[1].replace(",", "")) * unit) if match and unit else 0


@dataclass
class Span:
    """One time that BuildKit worked on a step."""

    started: datetime
    completed: datetime | None = None
    cached: bool = False


@dataclass
class Step:
    """One vertex of the build, usually one instruction of one stage."""

    digest: str
    targets: list[str] = field(default_factory=list)
    """The bake targets that it was reported for; none where only one was built."""
    stage: str = CONTEXT
    number: int = 0
    of: int = 0
    text: str = ""
    """The instruction, or what BuildKit calls it."""
    error: str = ""
    spans: dict[datetime, Span] = field(default_factory=dict)
    """By their start: BuildKit may start a step again, and does so once per target."""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    """The last lines of output."""
    measures: dict[str, Any] = field(default_factory=dict)
    """What its recipe printed in `#measure {JSON}` lines; the last word on a key counts.

    `apt` is read from apt's own lines: the bytes that it needed and had to fetch.
    """
    _partial: dict[int, bytes] = field(default_factory=dict)
    _logged: str = ""

    @property
    def prefix(self) -> str:
        """Where it belongs: `[cpu ffmpeg-cpu 3/4]`."""
        place = f" {self.number}/{self.of}" if self.number else ""
        return f"[{' '.join([*self.targets[:1], self.stage])}{place}]"

    @property
    def label(self) -> str:
        """Its prefix and instruction on one line, mounts and the like left out."""
        text = re.sub(r" --(mount|network|security)=\S+", "", self.text)
        return f"{self.prefix} {shorten(text, 100, placeholder=' ...')}"

    @property
    def running(self) -> bool:
        """BuildKit is at it."""
        return any(span.completed is None for span in self.spans.values())

    @property
    def done(self) -> bool:
        """It was started and has ended. Of twins in two targets one is never started."""
        return bool(self.spans) and not self.running

    @property
    def cached(self) -> bool:
        """It ended without any work."""
        return self.done and all(span.cached for span in self.spans.values())

    @property
    def cancelled(self) -> bool:
        """It ended because something else failed."""
        return "context canceled" in self.error

    @property
    def worked(self) -> list[tuple[datetime, datetime]]:
        """When it was at work, or waited for a cache mount; what targets share is there once."""
        found: list[tuple[datetime, datetime]] = []
        for span in sorted(self.spans.values(), key=lambda span: span.started):
            start, end = span.started, span.completed or datetime.now(UTC)
            if span.cached or end <= start:
                continue
            if found and start <= found[-1][1]:
                before = found.pop()
                start, end = before[0], max(end, before[1])
            found.append((start, end))
        return found

    @property
    def seconds(self) -> float:
        """The time it took so far; time that several targets waited for counts once."""
        return sum((end - start).total_seconds() for start, end in self.worked)

    @property
    def ending(self) -> str:
        """How it ended, in a word or two."""
        if self.error:
            return f"{'cancelled' if self.cancelled else 'FAILED'} after {self.seconds:.1f} s"
        return "cached" if self.cached else f"done in {self.seconds:.1f} s"

    def _name(self, name: str) -> None:
        """Take apart `[cpu ffmpeg-cpu 3/4] RUN ...` and its kin."""
        match = re.match(r"\[([^\]]*)\] ?(.*)", name, re.DOTALL)
        words, text = (match[1].split(), match[2]) if match else ([], name)
        place = re.fullmatch(r"(\d+)/(\d+)", words[-1]) if words else None
        words = [word for word in words if "/" not in word]  # platforms, and the place
        stage = CONTEXT
        if place and words:
            stage = words.pop()
            self.number, self.of = int(place[1]), int(place[2])
        elif re.match("export|import|push|send", text):
            stage = EXPORT
        else:
            targets = list(takewhile(lambda word: word not in _CONTEXTS, words))
            words, text = targets, " ".join([*words[len(targets) + 1 :], text])
        self.stage, self.text = stage, text
        if words and words[0] not in self.targets:
            self.targets.append(words[0])

    def update(self, news: dict[str, Any]) -> list[str]:
        """Take what BuildKit says of it; return a line for the log where it was begun."""
        self._name(news["name"])
        if news.get("error"):
            self.error = news["error"]
        elif news.get("completed") and self.cancelled:
            self.error = ""  # one target let go of it, and another has seen it through
        if not news.get("started"):
            return []
        started = datetime.fromisoformat(news["started"])
        span = self.spans.setdefault(started, Span(started))
        span.cached = span.cached or bool(news.get("cached"))
        if news.get("completed"):
            span.completed = datetime.fromisoformat(news["completed"])
            for earlier in self.spans.values():
                if earlier.started < started and not earlier.completed:
                    earlier.completed = span.completed

        if self._logged:
            return []
        self._logged = " ".join(self.text.split())
        return [f"{self.prefix} {self._logged}"]

    def output(self, stream: int, data: bytes) -> list[str]:
        """Take output as it comes, return the lines that are whole by now."""
        *whole, self._partial[stream] = (self._partial.get(stream, b"") + data).split(b"\n")
        return self._keep(whole)

    def end(self) -> list[str]:
        """Return what the log still lacks of a step that is done: a partial line, its ending."""
        rest = [partial for partial in self._partial.values() if partial]
        self._partial.clear()
        lines = self._keep(rest)
        ending = f"{self.ending} {self.error}".rstrip()
        if self.done and ending != self._logged:
            self._logged = ending
            lines.append(f"{self.prefix} {ending}")
        return lines

    def _keep(self, lines: Iterable[bytes]) -> list[str]:
        """Turn bytes to lines as a terminal would show them; measures go their own way."""
        clean = [
            _ESCAPES.sub("", line.decode(errors="replace").rstrip("\r").rpartition("\r")[2])
            for line in lines
        ]
        for line in clean:
            if not self._measure(line):
                self.tail.append(line)
        return [f"{self.prefix} {line}" for line in clean]

    def _measure(self, line: str) -> bool:
        if plan := _APT.match(line):
            apt = self.measures.setdefault("apt", {"needed": 0, "fetched": 0})
            apt["needed"] += read_size(plan["all"])
            apt["fetched"] += read_size(plan["left"] or plan["all"])
        if not line.startswith(_MEASURE):
            return False
        try:
            self.measures.update(json.loads(line.removeprefix(_MEASURE)))
        except (ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True)
class Source:
    """The place in a Dockerfile that an error speaks of."""

    file: str
    line: int
    instruction: str


@dataclass
class Build:
    """A build so far: feed it every line that buildx prints."""

    steps: dict[str, Step] = field(default_factory=dict)
    """By digest, in the order BuildKit first named them; some are never started."""
    text: list[str] = field(default_factory=list)
    """The lines that are no JSON."""
    warnings: list[str] = field(default_factory=list)
    _object: list[str] = field(default_factory=list)

    @property
    def failed(self) -> Step | None:
        """The step that failed, rather than one that was cancelled for it."""
        wrong = (step for step in self.steps.values() if step.error and not step.cancelled)
        return next(wrong, None)

    @property
    def source(self) -> Source | None:
        """Where buildx says the error is; it marks the lines of the instruction with >>>."""
        marks = (re.fullmatch(r"\s*\d+ \| >>> (.*)", line) for line in self.text)
        instruction = "\n".join(mark[1] for mark in marks if mark)
        for line, below in pairwise(self.text):
            place = re.fullmatch(r"(\S+):(\d+)", line)
            if place and below.startswith("-----"):
                return Source(place[1], int(place[2]), instruction)
        return None

    def feed(self, line: str) -> list[str]:
        """Take one line of buildx; return the lines that it adds to a plain log.

        A line that cannot be understood is returned as it is: odd output must
        never end a build.
        """
        line = line.rstrip("\n")
        if self._object and not line.startswith((" ", "}")):
            self._object = []  # it broke off
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
        for news in status.get("vertexes") or ():
            log += self._step(news["digest"]).update(news)
        for output in status.get("logs") or ():
            data = base64.b64decode(output["data"])
            lines = self._step(output["vertex"]).output(output.get("stream", 1), data)
            self.warnings += [line for line in lines if "[output clipped, log limit" in line]
            log += lines
        for news in status.get("vertexes") or ():
            if (step := self._step(news["digest"])).done:
                log += step.end()
        for warning in status.get("warnings") or ():
            self.warnings.append(base64.b64decode(warning["short"]).decode(errors="replace"))
        return log

    def close(self) -> list[str]:
        """End what is open once buildx has ended; return the last lines of the log."""
        now = datetime.now(UTC)
        for step in self.steps.values():
            for span in step.spans.values():
                span.completed = span.completed or now
        return [line for step in self.steps.values() for line in step.end()]
