"""Tests of what the builds of the faults compile, and of the processes that are watched."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.faults import victim
from scripts.faults.victim import Victim


def write_processes(directory: Path, processes: Mapping[int, tuple[str, int]]) -> None:
    """Write processes as in /proc: the name and the parent by id."""
    for pid, (name, parent) in processes.items():
        (directory / str(pid)).mkdir()
        (directory / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1")


def test_compilers_below_a_process(tmp_path: Path) -> None:
    """Compilers below the builder count, those of other builders and other programs do not."""
    write_processes(
        tmp_path,
        {
            1: ("init", 0),
            10: ("buildkitd", 1),
            11: ("runc", 10),
            12: ("sh (x) y", 11),
            13: ("cc1", 12),
            14: ("nasm", 12),
            15: ("gcc", 12),
            20: ("dockerd", 1),
            21: ("cc1", 20),
        },
    )
    (tmp_path / "30").mkdir()  # it has ended
    assert victim.compilers(10, tmp_path) == {13, 14}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Victim:
    """Return a victim with a source tree."""
    monkeypatch.setattr(victim, "DIRECTORY", tmp_path / "faults")
    source = tmp_path / "source" / "libvmaf" / "src"
    source.mkdir(parents=True)
    (source / "libvmaf.c").write_text("int a;\n")

    class _OfSource(Victim):
        def __init__(self) -> None:
            self.source = tmp_path / "source"

    return _OfSource()


def test_each_tree_is_compiled_again(built: Victim) -> None:
    """Each tree has a new file, and without an edit the same sources."""
    one, two = built.tree("", "one"), built.tree("", "two")
    assert one.name == two.name  # it is in versions.json
    new = [tree / "libvmaf" / "vmaf-faults.txt" for tree in (one, two)]
    assert new[0].read_text() != new[1].read_text()
    for tree in (one, two):
        assert (tree / victim.EDITED).read_text() == "int a;\n"


def test_edit_is_in_the_library(built: Victim) -> None:
    """An edit adds a name to the library, in the tree of this build only."""
    edited, other = built.tree("a", "one"), built.tree("b", "two")
    assert '[] = "vmaf_fault_a";' in (edited / victim.EDITED).read_text()
    assert "vmaf_fault_a" not in (other / victim.EDITED).read_text()
    assert (built.source / victim.EDITED).read_text() == "int a;\n"
    assert (built.tree("", "one") / victim.EDITED).read_text() == "int a;\n"


def test_layers_are_listed_without_what_keeps_the_mounts() -> None:
    """Layers are removed the latest first, but not mounts, their parents, and the keeper's step."""
    records = [
        ("base", "", "01", "regular", "[base 1/1] ADD rootfs.tar /"),
        ("layer*", "base", "03", "regular", "mount / from exec /bin/sh -c make"),
        ("directory", "", "02", "regular", "settings cache mount permissions"),
        ("mount*", "directory", "04", "exec.cachemount", "cached mount /ccache"),
        ("context", "", "05", "source.local", "local source for context"),
        ("step", "base", "06", "regular", f"mount / from exec /bin/sh -c : {victim.KEEPER}"),
    ]
    listing = "".join(
        f"ID:\t\t{name}\nParent:\t\t{parent}\nCreated at:\t{time}\nSize:\t\t1B\n"
        f"Description:\t{description}\nType:\t\t{kind}\n\n"
        for name, parent, time, kind, description in records
    )
    assert victim.layers(f"{listing}Reclaimable:\t1B\n") == ["context", "layer", "base"]
