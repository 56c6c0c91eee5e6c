"""Tests of scripts/bench/fresh/run.py and machine.py, without builds."""

import os
import socket
from pathlib import Path
from threading import Thread

import pytest

from scripts.bench import contenders, correctness
from scripts.bench.fresh import machine, results, run
from scripts.bench.fresh.results import BASES, NOTHING, Row, Run
from scripts.bench.fresh.run import Bench
from scripts.bench.scenarios import SCENARIOS
from scripts.core import git
from scripts.core.console import UserError
from tests.unit.bench.fresh.test_table import small_run


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a run without builds, whose files are in a temporary directory."""
    started = Run("2026-11-28T00:00:00Z", "abc", {}, "cpu", [NOTHING, "archive", "redis"])
    return Bench(started, tmp_path / "run.json", tmp_path, "bootstrap")


def test_scenarios_are_those_of_the_rebuild_bench() -> None:
    """A commit edits libvmaf on the base image of the first build; the other has a new base."""
    assert SCENARIOS["libvmaf-c"].project == "libvmaf"
    assert not SCENARIOS["base"].project
    assert set(BASES) <= set(SCENARIOS)
    assert len(set(BASES.values())) == len(BASES)


def test_only_missing_builds_are_measured(bench: Bench) -> None:
    """The build of `nothing` counts for both scenarios, and a resumed run repeats no build."""
    bench.run.rows = [
        Row(NOTHING, NOTHING, "cpu", [500.0]),
        Row("libvmaf-c", "archive", "cpu", [40.0]),
        Row("base", "archive", "cpu"),  # it failed
    ]
    assert run.pending(bench.run) == [
        *(("libvmaf-c", "redis"), ("base", "archive"), ("base", "redis")),
    ]


def test_failures_do_not_end_a_run(bench: Bench) -> None:
    """A contender that fails, or builds a wrong image, has no result, and the others go on."""
    bench.run.rows = [Row(NOTHING, NOTHING, "cpu", [500.0])]

    def one(scenario: str, name: str) -> Row:
        if (scenario, name) == ("base", "redis"):
            raise UserError("cannot build", "no space", "")
        note = "differs" if (scenario, name) == ("base", "archive") else ""
        return Row(scenario, name, "cpu", [40.0], note=note)

    assert run.measure_pending(bench, one) == [
        *("archive, base: differs", "redis, base: cannot build: no space"),
    ]
    stored = results.decode(bench.path)
    assert [(row.scenario, row.contender) for row in stored.rows[1:]] == [
        *(("libvmaf-c", "archive"), ("libvmaf-c", "redis")),
    ]
    assert run.pending(stored) == [("base", "archive"), ("base", "redis")]


def test_only_a_run_of_this_checkout_is_resumed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images have the commit of the checkout, so that those of another one would differ."""
    monkeypatch.setattr(git, "revision", lambda: "abc")
    monkeypatch.setattr(contenders, "digest", lambda: "1234")
    assert "removed" in run.obsolete(bench.run)
    bench.run.filled, bench.run.inputs = True, "1234"
    assert not run.obsolete(bench.run)
    bench.run.closed = True
    assert "removed" in run.obsolete(bench.run)
    bench.run.closed, bench.run.inputs = False, "5678"
    assert "no longer" in run.obsolete(bench.run)
    bench.run.inputs, bench.run.revision = "1234", "def"
    assert "no longer" in run.obsolete(bench.run)


def test_transports_save_once(bench: Bench) -> None:
    """Contenders that use the same transport share what it saved."""
    bench.run.contenders = [NOTHING, "archive+registry", "archive"]
    assert run.needed(bench.run) == ["registry", "archive"]


def test_edit_is_the_same_for_all_builds_of_a_run(bench: Bench) -> None:
    """The edit has a name that a run keeps and that other runs do not have."""
    again = Run(bench.run.when, "def", {}, "cpu", [])
    other = Run("2026-11-28T00:00:01Z", "abc", {}, "cpu", [])
    assert bench.run.nonce == again.nonce != other.nonce
    assert len(bench.run.nonce) == 12


def test_edit_is_in_a_copy(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scenario of a commit has the edit, and the original tree never has it."""
    monkeypatch.setattr(run, "FILES", tmp_path / "files")
    file = SCENARIOS["libvmaf-c"].file
    (bench.source / file).parent.mkdir(parents=True)
    (bench.source / file).write_text("int one;\n")
    assert bench.run.nonce in (bench.tree("libvmaf-c") / file).read_text()
    assert (bench.tree("base") / file).read_text() == "int one;\n"
    assert (bench.source / file).read_text() == "int one;\n"


@pytest.mark.parametrize(
    ("scenario", "present", "different", "message"),
    [
        ("libvmaf-c", True, [], ""),
        ("libvmaf-c", False, [], "libvmaf should contain vmaf_bench_"),
        ("base", True, [], "libvmaf should contain no edit"),
        ("base", False, ["/usr/local/bin/vmaf"], "fresh-nothing:cpu: /usr/local/bin/vmaf"),
        ("libvmaf-c", True, ["/usr/local/bin/vmaf"], "fresh-edited:cpu: /usr/local/bin/vmaf"),
    ],
)
def test_image_is_compared_with_a_build_of_the_same_inputs(  # noqa: PLR0913
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    *,
    scenario: str,
    present: bool,
    different: list[str],
    message: str,
) -> None:
    """An image must have the edit of its scenario, and the files of its counterpart."""
    markers = {"libvmaf": {f"vmaf_bench_{bench.run.nonce}"} if present else set[str]()}
    monkeypatch.setattr(correctness, "library_markers", lambda _image, _libraries: markers)
    monkeypatch.setattr(
        correctness, "differences", lambda a, _b: [f"{a}: {name}" for name in different]
    )
    found = run.check(bench, scenario, "image")
    assert message in found
    assert bool(found) == bool(message)


def test_variables_are_set_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build on a fresh machine has only the caches of its contender."""
    monkeypatch.setenv("VMAF_REMOTE_CACHE", "redis://elsewhere")
    monkeypatch.setenv("VMAF_CACHE_FROM", "type=local,src=x")
    monkeypatch.delenv("BUILDX_BUILDER", raising=False)
    with machine.variables({"VMAF_CACHE_FROM": "type=registry,ref=a/b"}):
        assert os.environ["VMAF_REMOTE_CACHE"] == ""
        assert os.environ["VMAF_CACHE_FROM"] == "type=registry,ref=a/b"
        assert os.environ["BUILDX_BUILDER"] == machine.BUILDER
    assert os.environ["VMAF_REMOTE_CACHE"] == "redis://elsewhere"
    assert os.environ["VMAF_CACHE_FROM"] == "type=local,src=x"
    assert "BUILDX_BUILDER" not in os.environ


def test_traffic_of_redis_is_read() -> None:
    """Redis counts the bytes that it received and sent, whatever the order of its statistics."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(
                    b"$99\r\n# Stats\r\ntotal_net_output_bytes:7\r\ntotal_net_input_bytes:5\r\n"
                    b"\r\n+OK\r\n"
                )

        thread = Thread(target=answer)
        thread.start()
        assert machine.Redis(server.getsockname()[1]).traffic() == (5, 7)
        thread.join()


def test_run_is_stored_and_read(bench: Bench) -> None:
    """A run is the same after it was written and read, so that it can be resumed."""
    bench.run = small_run()
    bench.write()
    assert results.decode(bench.path) == small_run()
    assert list(bench.directory.glob("*.part")) == []
