"""The plan for the update of the lock."""

from collections.abc import Mapping

import pytest

from scripts.lock.offers import Offers
from scripts.lock.plan import Finding, Plan, compare, plan
from tests.unit.lock.samples import LOCK, NEW, offer, offers

ARCHIVE = "20261205T235959Z"


def finding(offered: Offers, part: str = "hip6") -> Finding:
    """Return the finding for a part."""
    return compare(LOCK.parts[part], offered, LOCK.archive)


def versions(found: Finding) -> dict[str, str]:
    """Return the new versions by the short name of the file."""
    return {new.short: new.version for _, new in found.changes}


def test_part_that_is_current_stays() -> None:
    """A part that its origin has unchanged has neither changes nor a problem."""
    found = finding(offers("hip6"))
    assert not found.is_behind
    assert found.title == "hip6 6.4.3-5"


def test_newer_release_changes_version_digest_path_and_address() -> None:
    """The new line has the version in its path and its address, and the new digest."""
    found = finding(offers("ffmpeg9.0", **{"ffmpeg9.0": "9.0.3"}), "ffmpeg9.0")
    ((old, new),) = found.changes
    assert old == LOCK.files["ffmpeg9.0"]
    assert (new.version, new.sha256, new.origin) == ("9.0.3", NEW, "testing")
    assert new.path == "pool/main/f/ffmpeg/ffmpeg_9.0.3.orig.tar.xz"
    assert new.address == "https://ffmpeg.org/ffmpeg-9.0.3.tar.xz"
    assert found.is_behind
    assert found.message == "lock: ffmpeg 9.0.2 to 9.0.3"


def test_part_of_several_files_lists_them() -> None:
    """The subject has the versions that most files get; the body lists all changed files."""
    found = finding(offers("hip6", hipcc="7.0.3-1", libhip_6="6.4.4-1", libhip_d="6.4.4-1"))
    assert found.message.splitlines() == [
        "lock: hip6 6.4.3-5 to 6.4.4-1",
        "",
        "hipcc 7.0.2+dfsg-3 to 7.0.3-1",
        "libhip-6 6.4.3-5 to 6.4.4-1",
        "libhip-d 6.4.3-5 to 6.4.4-1",
    ]
    assert versions(finding(offers("hip6", hipcc="7.0.3-1"))) == {"hipcc": "7.0.3-1"}


def test_subject_is_short() -> None:
    """Long versions are in the body only, as the subject has less than 72 characters."""
    found = finding(offers("cuda13", nvcc="13.6." + "1" * 60), "cuda13")
    assert found.message.splitlines()[0] == "lock: cuda13"
    assert found.message.splitlines()[2].endswith("1" * 60)


def test_part_stays_if_one_of_its_files_is_gone() -> None:
    """Newer files of a part are not taken if another has left the suite; the report says why."""
    found = finding(offers("hip6", "libhip-6", hipcc="7.2.0-1", libhip_d="7.2.0-1"))
    assert not found.changes
    assert found.is_behind
    assert found.problem == (
        "testing no longer has libhip-6; a person must decide, and until then the locked files"
        " are taken from Debian's archive of 2026-11-27"
    )
    upstream = finding(offers("ffmpeg9.0", "ffmpeg9.0"), "ffmpeg9.0").problem
    assert "taken from upstream or Debian's archive of 2026-11-27" in upstream


def test_part_stays_if_the_files_of_a_source_are_torn() -> None:
    """A package that its source no longer builds has an old version; the part then stays."""
    found = finding(offers("hip6", libhip_d="7.2.0-1"))
    assert not found.changes
    assert "libhip-6 6.4.3-5 and, from the same source, libhip-d 7.2.0-1" in found.problem
    rebuilt = finding(offers("hip6", libhip_d="6.4.3-5+b1"))
    assert versions(rebuilt) == {"libhip-d": "6.4.3-5+b1"}


def test_older_release_is_not_taken() -> None:
    """An origin with an older release, as of a mirror that lags, does not change the part."""
    found = finding(offers("ffmpeg9.0", **{"ffmpeg9.0": "9.0.1"}), "ffmpeg9.0")
    assert not found.changes
    assert found.problem == "testing has ffmpeg9.0 9.0.1, which is older than the locked one"


def test_other_content_of_the_same_version_is_not_taken() -> None:
    """Another digest of the locked version needs a person; the report has the digest."""
    file = LOCK.files["libvmaf"]
    offered = Offers("crates.io", {"libvmaf": offer(file, sha256=NEW)})
    found = finding(offered, "libvmaf")
    assert not found.changes
    assert f"another file as libvmaf 0.2.0: sha256:{NEW}" in found.problem


def planned(changed: Mapping[str, Offers], *parts: str) -> Plan:
    """Return the plan for some parts, by default all, with the changed offers."""
    everything = {part: changed.get(part, offers(part)) for part in LOCK.parts}
    return plan(LOCK, everything, parts or list(LOCK.parts), ARCHIVE)


FFMPEG = offers("ffmpeg9.0", **{"ffmpeg9.0": "9.0.3"})
EXP = offers("exp", exp="1.0-1")
CUDA = offers("cuda13", nvcc="13.6.1")


def test_each_part_is_a_step() -> None:
    """Each step changes the lines of one part; the archive moves with the last of Debian."""
    steps = list(planned({"ffmpeg9.0": FFMPEG, "exp": EXP, "cuda13": CUDA}).steps())
    assert [message.splitlines()[0] for _, message in steps] == [
        "lock: cuda13 13.5.37 to 13.6.1",
        "lock: ffmpeg 9.0.2 to 9.0.3",
        "lock: exp 1.0-1~exp1 to 1.0-1",
    ]
    before = LOCK
    for (lock, _), part in zip(steps, ("cuda13", "ffmpeg9.0", "exp"), strict=True):
        changed = {name for name in lock.files if lock.files[name] != before.files[name]}
        assert {name.partition("/")[0] for name in changed} == {part}
        before = lock
    assert [lock.archive for lock, _ in steps] == [LOCK.archive, LOCK.archive, ARCHIVE]


def test_archive_stays_without_a_change_from_debian() -> None:
    """A new wheel does not move the time in Debian's archive."""
    ((lock, _),) = planned({"cuda13": CUDA}).steps()
    assert lock.archive == LOCK.archive
    assert not planned({"cuda13": CUDA}).holding


@pytest.mark.parametrize(
    ("held", "parts"), [(offers("hip6", "libhip-6"), ()), (offers("hip6", hipcc="8-1"), ("exp",))]
)
def test_archive_stays_for_a_part_that_the_suite_no_longer_has(
    held: Offers, parts: tuple[str, ...]
) -> None:
    """The archive of a later time may lack locked files: of a part that stays, or was not named."""
    made = planned({"hip6": held, "exp": EXP}, *parts)
    ((lock, message),) = made.steps()
    assert message == "lock: exp 1.0-1~exp1 to 1.0-1"
    assert lock.archive == LOCK.archive
    assert made.holding == ("hip6",)


def test_only_the_named_parts_are_updated() -> None:
    """A part that is newer and was not named is not in the plan."""
    made = planned({"ffmpeg9.0": FFMPEG, "cuda13": CUDA}, "cuda13")
    assert [found.part for found in made.findings] == ["cuda13"]
    assert len(list(made.steps())) == 1
