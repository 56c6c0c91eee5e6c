"""The measurements that recipes print.

A recipe, the script that a `RUN` instruction runs, reports on its step by lines such as

    #measure {"ccache": {"direct_cache_hit": 90, "preprocessed_cache_hit": 0, "cache_miss": 10}}

The keys are the fields of `Measurements`; the values have the fields of the class named there. A
field that is left out is 0. If a step prints a key twice, the last line counts. The measurements
of a stage are the sums over its steps. A malformed line becomes a warning of the build.

A long step also prints the number of objects that it has compiled so far, and the total if it is
known. The last line counts:

    #progress {"objects": 812}
    #progress {"objects": 812, "total": 2355}

The build repeats a warning of a step at its end:

    #warning all 14 calls of nvcc bypassed depcache
"""

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

MEASURE, PROGRESS, WARNING = "#measure ", "#progress ", "#warning "
"""The prefixes of the lines."""
COMPILER_CACHES = ("ccache", "depcache", "sccache")
"""The keys of the measurements that have lookups, in the order of the tables."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0)]


class Lookups(NamedTuple):
    """The number of lookups in a compiler cache."""

    hits: int
    total: int


class Ccache(Struct):
    """The lookups of ccache in a step; the fields have the names of ccache's statistics."""

    direct_cache_hit: Count = 0
    preprocessed_cache_hit: Count = 0
    cache_miss: Count = 0

    @property
    def lookups(self) -> Lookups:
        """The hits and all lookups."""
        hits = self.direct_cache_hit + self.preprocessed_cache_hit
        return Lookups(hits, hits + self.cache_miss)


class Depcache(Struct, omit_defaults=True):
    """The calls of compilers that ccache does not support (docker/compiler-cache)."""

    hit: Count = 0
    miss: Count = 0
    uncacheable: Count = 0
    """Calls whose result could not be stored; they count as lookups."""
    bypassed: Count = 0
    """Calls that are not compilations, such as `nvcc --version`; they are not lookups."""
    unsafe: Count = 0
    """The former name of `uncacheable`, in records before December 2026; added to it."""
    passed: Count = 0
    """The former name of `bypassed`; added to it."""

    def __post_init__(self) -> None:
        """Replace the former names."""
        self.uncacheable, self.unsafe = self.uncacheable + self.unsafe, 0
        self.bypassed, self.passed = self.bypassed + self.passed, 0

    @property
    def lookups(self) -> Lookups:
        """The hits and all lookups."""
        return Lookups(self.hit, self.hit + self.miss + self.uncacheable)


class Sccache(Struct, omit_defaults=True):
    """The calls of rustc in a step, and those of C compilers that went through sccache."""

    hit: Count = 0
    miss: Count = 0
    bypassed: Count = 0
    """Calls that sccache cannot cache, such as those that link a program; they are no lookups."""

    @property
    def lookups(self) -> Lookups:
        """The hits and all lookups."""
        return Lookups(self.hit, self.hit + self.miss)


class Remote(Struct, omit_defaults=True):
    """The entries that the compiler caches looked up in the remote cache, and wrote to it.

    One call of a compiler needs several entries, so the counts are not those of the other caches.
    """

    hit: Count = 0
    miss: Count = 0
    error: Count = 0
    """Operations that the store refused, or did not answer in time."""
    refused: Count = 0
    """Entries that were damaged, moved, or sealed with another key; they are misses."""
    dropped: Count = 0
    """Entries that were not written in time."""
    received: Count = 0
    """Bytes."""
    sent: Count = 0
    """Bytes."""

    @property
    def lookups(self) -> Lookups:
        """The hits and all lookups."""
        return Lookups(self.hit, self.hit + self.miss)


class Tests(Struct):
    """The tests that a step ran."""

    run: Count = 0
    failed: Count = 0


class Apt(Struct):
    """The bytes of the packages that a step installed, according to the output of apt."""

    needed: Count = 0
    fetched: Count = 0
    """The bytes that were not in the cache mount, and had to be downloaded."""


class Limit(Struct):
    """The seconds in a compile step that no cache can save (scripts/bench/clock.sh)."""

    configure: Seconds = 0.0
    link: Seconds = 0.0
    until: Seconds = 0.0
    """From the start of the step to the end of the last link."""


class Measurements(Struct, omit_defaults=True):
    """The measurements of a step or stage; a field is None if its measurement is missing."""

    ccache: Ccache | None = None
    depcache: Depcache | None = None
    sccache: Sccache | None = None
    remote: Remote | None = None
    tests: Tests | None = None
    apt: Apt | None = None
    limit: Limit | None = None

    @property
    def lookups(self) -> dict[str, Lookups]:
        """The lookups by compiler cache, for the caches that had any."""
        caches = {name: getattr(self, name) for name in COMPILER_CACHES}
        return {name: cache.lookups for name, cache in caches.items() if cache and cache.lookups[1]}

    def updated(self, later: "Measurements") -> "Measurements":
        """Return these measurements, with the values of later ones that have the same keys."""
        fields = ((name, getattr(later, name)) for name in self.__struct_fields__)
        return msgspec.structs.replace(self, **{name: value for name, value in fields if value})

    def __add__(self, other: "Measurements") -> "Measurements":
        """Return the sums over two steps."""
        names = self.__struct_fields__
        return Measurements(*(_sum(getattr(self, name), getattr(other, name)) for name in names))


class Progress(Struct):
    """The number of objects that a step has compiled, and will compile; 0 for unknown."""

    objects: Count = 0
    total: Count = 0


def _sum(left: Any, right: Any) -> Any:  # noqa: ANN401 (two of the classes above, or None)
    """Add two measurements field by field."""
    if left is None or right is None:
        return right if left is None else left
    pairs = zip(msgspec.structs.astuple(left), msgspec.structs.astuple(right), strict=True)
    return type(left)(*(first + second for first, second in pairs))


def read_measurements(line: str) -> tuple[Measurements, str]:
    """Read a `#measure` line.

    Returns:
        The measurements, and the error in the line; empty if the line is valid.
    """
    text = line.removeprefix(MEASURE)
    try:
        measurements = msgspec.json.decode(text, type=Measurements)
        printed: dict[str, Any] = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return Measurements(), f"malformed measurement ({error})"
    unknown = []
    for name, values in printed.items():
        if name not in measurements.__struct_fields__:
            unknown.append(name)
        elif values:
            fields = getattr(measurements, name).__struct_fields__
            unknown += [f"{name}.{field}" for field in values if field not in fields]
    return measurements, f"unknown measurement {', '.join(unknown)}" if unknown else ""


def read_progress(line: str) -> Progress | None:
    """Read a `#progress` line; None if it is malformed."""
    try:
        return msgspec.json.decode(line.removeprefix(PROGRESS), type=Progress)
    except (msgspec.MsgspecError, RecursionError):
        return None
