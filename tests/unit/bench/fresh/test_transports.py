"""Tests of scripts/bench/fresh/transports.py and copies.py, without builds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.bench.fresh import copies, transports
from scripts.bench.fresh.machine import Redis
from scripts.bench.fresh.results import NOTHING
from scripts.bench.fresh.transports import CONTENDERS, TRANSPORTS, Layers, Remote, Stores
from scripts.bench.registry import Registry
from scripts.buildkit.rawjson import EXPORT
from scripts.buildkit.records import StageRecord, StepRecord
from scripts.caches.mounts import DeclaredMount
from scripts.caches.program import Mount
from scripts.core.console import UserError
from scripts.dockerfile import parser
from scripts.images import remote_cache

OPTIONS = "type=cache,id=vmaf-ccache-$TARGETARCH,target=/ccache,sharing=locked,uid=1000,gid=1000"


def mount(options: str = OPTIONS) -> Mount:
    """Return a mount that a Dockerfile declares, for amd64."""
    text = f"FROM scratch AS one\nRUN --mount={options} true\n"
    (declared,) = parser.read(text, "Dockerfile").stages[0].instructions[0].mounts
    declaration = DeclaredMount(declared.options["id"], declared)
    return Mount(declaration, declaration.id.replace("$TARGETARCH", "amd64"))


def stores(directory: Path, redis: Redis | None = None) -> Stores:
    """Return stores without content."""

    def build(_variables: Mapping[str, str]) -> Sequence[StageRecord]:
        return []

    return Stores(Registry("127.0.0.1:5000"), redis, directory, build)


def steps(dockerfile: str) -> list[list[str]]:
    """Return the options of all mounts of each step of a Dockerfile."""
    return [
        [",".join(f"{k}={v}" for k, v in mount.options.items()) for mount in step.mounts]
        for stage in parser.read(dockerfile, "Dockerfile").stages
        for step in stage.instructions
        if step.name == "RUN"
    ]


def test_copies_have_the_options_of_the_declaration() -> None:
    """A copy mounts a cache as the project's steps do; other options would give an empty one."""
    expected = OPTIONS.replace("$TARGETARCH", "amd64")
    gomod = mount("type=cache,id=vmaf-gomod,target=/go/pkg/mod,sharing=locked")
    for text in (copies.out([mount(), gomod]), copies.back([mount(), gomod], "")):
        first, second = steps(text)
        assert first[0] == expected
        assert second[0] == gomod.declaration.options


def test_copies_run_in_each_build() -> None:
    """Each step that copies a mount has an argument that differs in each build."""
    for text in (copies.out([mount()]), copies.back([mount()], "image:tag")):
        assert text.index("ARG STAMP") < text.index("RUN")
        assert all("$STAMP" in line for line in text.splitlines() if line.startswith("RUN"))


def test_owner_is_restored_where_a_context_loses_it() -> None:
    """Files of a context belong to root in a build, and those of an image to their owner."""
    assert "chown -R 1000:1000 /ccache" in copies.back([mount()], "")
    assert "chown" not in copies.back([mount()], "image:tag")
    assert steps(copies.back([mount()], "image:tag"))[0][1] == (
        "type=bind,from=image:tag,source=/vmaf-ccache-amd64,target=/caches"
    )


def test_contenders_use_known_transports() -> None:
    """Only `nothing` has no transport, and every transport has a contender."""
    used = {name for contender in CONTENDERS.values() for name in contender.transports}
    assert used == set(TRANSPORTS)
    assert [one.name for one in CONTENDERS.values() if not one.transports] == [NOTHING]


def test_nothing_is_always_measured() -> None:
    """The chosen contenders include the one that all are compared with, in a fixed order."""
    assert [one.name for one in transports.choose(["redis", "dance"])] == [
        *(NOTHING, "dance", "redis"),
    ]
    assert [one.name for one in transports.choose([])] == list(CONTENDERS)
    with pytest.raises(UserError, match="`rsync`"):
        transports.choose(["rsync"])


def test_fresh_machines_do_not_write_to_stores(tmp_path: Path) -> None:
    """A measured build only reads: otherwise, it would change what the next one finds."""
    layers = Layers(stores(tmp_path))
    assert list(layers.variables) == ["VMAF_CACHE_FROM"]
    assert layers.writing["VMAF_CACHE_TO"].endswith(",mode=max")
    redis = Remote(stores(tmp_path, Redis(6379)))
    address = redis.variables[remote_cache.VARIABLE]
    assert address.endswith("?read-only")
    assert "read-only" not in redis.filling[remote_cache.VARIABLE]
    assert "read-only" in remote_cache.ATTRIBUTES
    assert remote_cache.secret(address, None)


def test_only_the_export_of_the_cache_counts_as_its_save() -> None:
    """The seconds in which the image is written, and those of other stages, do not count."""
    begin = datetime.now(UTC)

    def step(*spans: tuple[int, int]) -> StepRecord:
        times = [(begin + timedelta(seconds=a), begin + timedelta(seconds=b)) for a, b in spans]
        return StepRecord(1.0, cached=False, spans=times)

    steps = {
        "exporting cache to registry": step((2, 4), (3, 5)),
        "exporting to docker image format": step((0, 9)),
    }
    stages = [
        StageRecord(EXPORT, steps=steps),
        StageRecord("toolchain", steps={"1/2 RUN exporting cache": step((0, 7))}),
    ]
    assert transports.exported(stages) == 3
    assert transports.exported(stages[1:]) == 0
