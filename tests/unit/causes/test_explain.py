"""The causes of the steps that ran, on recorded builds."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from scripts.buildkit import records
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import CONTEXT, Build
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.causes import store
from scripts.causes.explain import Explanation, explain
from tests.support.builds import BUILDER, STARTED
from tests.support.history import LABELS, TREE, History, Sources

FIXTURES = Path(__file__).parent / "fixtures"
AFTER_LIBVMAF = {"final 1/2": "after libvmaf 1/1", "final 2/2": "after libvmaf 1/1"}


def explained(history: History) -> Explanation:
    """Return why the steps of the last build ran."""
    explanation = explain(history.builds[-1], history.builds)
    assert explanation
    return explanation


def causes(history: History) -> dict[str, str]:
    """Return the causes of each step that ran in the last build, or the step that it follows."""
    return {
        step.label: f"after {step.after}"
        if step.after
        else " | ".join(f"{cause.kind} {cause.name}".strip() for cause in step.causes)
        for step in explained(history).again
    }


@pytest.fixture(name="history")
def _history() -> History:
    """Return a history with a first build, in which everything ran."""
    history = History()
    history.build(Sources(), *LABELS)
    return history


def from_rawjson(name: str, inputs: str, minute: int) -> BuildRecord:
    """Return the record of a build whose output is in a fixture."""
    build = Build()
    for line in (FIXTURES / name).read_text().splitlines():
        build.feed(line)
    build.close()
    started = STARTED + timedelta(minutes=minute)
    outcome = Outcome(build, 0, started, 1.0, Path("x.log"))
    recorded = records.record(outcome, targets=["image"], options={}, namespace="", sizes={})
    recorded.inputs = inputs
    return recorded


def test_real_builds_before_and_after_an_edit(history: History) -> None:
    """The output of two real builds, with an edited file of the tree, gives the file and the rest.

    BuildKit shows the FROM of the image, which is no step that ran.
    """
    edited = Sources()
    edited.tree["src/picture.c"] = "644 2"
    digests = [history.builds[0].inputs, history.build(edited).inputs]
    names = ("before.jsonl", "after.jsonl")
    history.builds = [
        from_rawjson(name, digest, minute)
        for minute, (name, digest) in enumerate(zip(names, digests, strict=True))
    ]
    explanation = explained(history)
    assert causes(history) == {"libvmaf 1/1": "file src/picture.c", **AFTER_LIBVMAF}
    assert explanation.cached == 2
    assert explanation.stages() == {"libvmaf": "src/picture.c", "final": "after libvmaf"}


def test_first_recorded_build(history: History) -> None:
    """In the first build with recorded inputs, the steps are new, and nothing is compared."""
    assert set(causes(history).values()) == {"new image"}
    assert not explained(history).compared


def test_older_records_cannot_be_explained(history: History) -> None:
    """A record without inputs gives no explanation, and is no base of a comparison."""
    history.forget_inputs()
    assert explain(history.builds[0], []) is None
    history.build(Sources(), *LABELS)
    assert set(causes(history).values()) == {"new image"}


def test_inputs_that_were_removed_cannot_be_explained(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build whose inputs are no longer in the store gives no explanation."""
    build = replace(history.builds[0], inputs="0" * 64)
    assert explain(build, []) is None
    sources = Sources(dockerfile="FROM scratch AS final\nCOPY a /\n")
    build = history.build(sources)
    monkeypatch.setattr(store, "RECORDS", tmp_path / "empty")
    assert explain(replace(build, inputs="1" * 64), history.builds) is None


def test_unchanged_build_has_no_causes(history: History) -> None:
    """A build in which nothing ran has no causes, and counts the cached steps."""
    history.build(Sources())
    assert not causes(history)
    assert explained(history).cached == len(LABELS)


def test_file_of_the_checkout(history: History) -> None:
    """A step is caused by the file that it mounts, not by another one."""
    sources = Sources()
    sources.files |= {"docker/libvmaf.sh": "644 2", "docker/other.sh": "644 2"}
    history.build(sources, "libvmaf 1/1")
    assert causes(history) == {"libvmaf 1/1": "file docker/libvmaf.sh"}


@pytest.mark.parametrize(
    ("changes", "names", "details", "short"),
    [
        ({"src/picture.c": "644 2"}, ["src/picture.c"], [""], "src/picture.c"),
        ({"src/a.c": "644 1"}, ["src/a.c"], ["added"], "src/a.c"),
        ({"src/score.c": None}, ["src/score.c"], ["removed"], "src/score.c"),
        ({"src/score.c": "755 1"}, ["src/score.c"], ["mode 644 to 755"], "src/score.c"),
        (
            {"src/score.c": "644 2", "src/picture.c": "644 2", "a.c": "644 1"},
            ["a.c", "src/picture.c", "src/score.c"],
            ["added", "", ""],
            "a.c +2 files",
        ),
        ({"source.json": "644 2"}, ["source.json"], [""], "source.json"),
        (
            {"source.json": "644 2", "src/score.c": "644 2"},
            ["src/score.c"],
            [""],
            "src/score.c",
        ),
    ],
)
def test_files_of_a_tree(
    changes: dict[str, str | None], names: list[str], details: list[str], short: str
) -> None:
    """Files of a tree are named with what happened; its description only if it alone differs."""
    history, before, after = History(), Sources(), Sources()
    before.tree["source.json"] = after.tree["source.json"] = "644 1"
    after.tree = {k: v for k, v in {**after.tree, **changes}.items() if v is not None}
    history.build(before, *LABELS)
    history.build(after, "libvmaf 1/1")
    (step,) = explained(history).again
    assert [cause.name for cause in step.causes] == names
    assert [cause.detail for cause in step.causes] == details
    assert {cause.context for cause in step.causes} == {"libvmaf-source"}
    assert explained(history).stages() == {"libvmaf": short}


def test_build_argument(history: History) -> None:
    """A build argument is the cause of a step in its scope, with both values."""
    history.build(Sources(arguments={"LEVEL": "2"}), "ffmpeg 1/1", "final 2/2")
    assert causes(history) == {"ffmpeg 1/1": "argument LEVEL", "final 2/2": "after ffmpeg 1/1"}
    assert explained(history).steps[0].causes[0].detail == "1 to 2"
    history.build(Sources(arguments={}), "ffmpeg 1/1")
    assert explained(history).steps[0].causes[0].detail == "2 before, not set now"
    history.build(Sources(), "ffmpeg 1/1")
    assert explained(history).steps[0].causes[0].detail == "not set before, now 1"


def test_argument_out_of_scope_is_not_a_cause(history: History) -> None:
    """A step that cannot read an argument is not caused by it."""
    history.build(Sources(arguments={"LEVEL": "2"}), "libvmaf 1/1")
    assert causes(history) == {"libvmaf 1/1": "cache"}


def test_setting_of_a_stage(history: History) -> None:
    """An ENV is the cause of each step that follows it, named once for all of them."""
    sources = Sources()
    sources.dockerfile = sources.dockerfile.replace(
        "gcc nasm\n", "gcc nasm\nENV SIZE=4\nUSER 1000\n"
    )
    history.build(sources, "libvmaf 1/1", "ffmpeg 1/1")
    both = dict.fromkeys(("libvmaf 1/1", "ffmpeg 1/1"), "setting SIZE | setting USER")
    assert causes(history) == both


@pytest.mark.parametrize(
    ("instruction", "kind", "short"),
    [
        ("RUN : install gcc meson nasm", "packages", "+meson"),
        ("RUN : install gcc yasm", "packages", "+yasm -nasm"),
        ("RUN : install gcc nasm || true", "instruction", "instruction"),
        ("RUN : install  gcc nasm", "instruction", "instruction"),
        ("RUN : purge gcc nasm", "instruction", "instruction"),
    ],
)
def test_text_of_an_instruction(instruction: str, kind: str, short: str, history: History) -> None:
    """An edited list of packages is told apart from other edits, and its words are named."""
    sources = Sources()
    sources.dockerfile = sources.dockerfile.replace("RUN : install gcc nasm", instruction)
    history.build(sources, *LABELS)
    rest = dict.fromkeys(LABELS[1:], "after toolchain 1/1")
    assert causes(history) == {"toolchain 1/1": f"{kind} Dockerfile:7", **rest}
    assert explained(history).stages()["toolchain"] == short
    assert explained(history).stages()["final"] == "after toolchain"


def test_comments_and_moved_lines_are_not_causes(history: History) -> None:
    """A comment and a line number are not part of a step."""
    sources = Sources()
    sources.dockerfile = f"# a comment\n\n{sources.dockerfile}"
    history.build(sources, "toolchain 1/1")
    assert causes(history) == {"toolchain 1/1": "cache"}


def test_added_and_removed_instructions(history: History) -> None:
    """An added step is the cause of those after it; a removed one of the step after it."""
    added = Sources()
    added.dockerfile = added.dockerfile.replace("RUN : install", "RUN true\nRUN : install")
    history.build(added, "toolchain 1/2", "toolchain 2/2")
    assert causes(history) == {
        "toolchain 1/2": "instruction Dockerfile:7",
        "toolchain 2/2": "after toolchain 1/2",
    }
    assert explained(history).steps[0].causes[0].detail == "added"
    history.build(Sources(), "toolchain 1/1")
    (step,) = explained(history).again
    assert step.causes[0].detail == "a step before it was removed"


def test_base_image(history: History) -> None:
    """A new base image is the cause of all steps, although its FROM is no step that ran."""
    history.build(Sources(base="sha256:2"), *LABELS)
    assert causes(history) == dict.fromkeys(LABELS, "after base 1/1")
    root = explained(history).steps[0]
    assert (root.causes[0].kind, root.causes[0].name) == ("base", "vmaf-why-test:parent")
    assert set(explained(history).stages().values()) == {"after base"}
    history.build(Sources(base=""), "libvmaf 1/1")
    assert causes(history) == {"libvmaf 1/1": "cache"}


def test_context_that_replaces_a_stage(history: History) -> None:
    """A tree in the place of a stage is one cause; its files are not."""
    history.build(Sources(contexts={}), "libvmaf 1/1", "libvmaf-source 1/1")
    assert causes(history)["libvmaf 1/1"] == "context libvmaf-source"
    history.build(Sources(), "libvmaf 1/1")
    (step,) = explained(history).again
    assert [cause.detail for cause in step.causes] == ["stage libvmaf-source to directory"]


def test_other_from(history: History) -> None:
    """A stage that begins with another one names its FROM."""
    sources = Sources()
    sources.dockerfile = sources.dockerfile.replace(
        "FROM toolchain AS ffmpeg", "FROM base AS ffmpeg"
    )
    history.build(sources, "ffmpeg 1/1")
    assert causes(history) == {"ffmpeg 1/1": "from"}
    assert explained(history).stages() == {"ffmpeg": "FROM"}


def test_stage_that_was_not_needed_before(history: History) -> None:
    """A stage that no earlier build used is needed now, which is not a change of its inputs."""
    history.build(Sources(contexts={}), "libvmaf 1/1", "libvmaf-source 1/1")
    assert causes(history)["libvmaf-source 1/1"] == "needed"


def test_step_that_a_cached_build_did_not_start() -> None:
    """A step that BuildKit did not start, as its result was cached, has the inputs of then."""
    history = History()
    history.build(Sources(), skipped=LABELS)
    history.build(Sources(arguments={"LEVEL": "2"}), "libvmaf 1/1", "ffmpeg 1/1", "final 2/2")
    assert causes(history) == {
        "libvmaf 1/1": "needed",
        "ffmpeg 1/1": "argument LEVEL",
        "final 2/2": "after ffmpeg 1/1",
    }


def test_own_changes_come_before_those_of_parents(history: History) -> None:
    """A step whose own input and whose parent changed names its own input."""
    sources = Sources()
    sources.dockerfile = sources.dockerfile.replace("gcc nasm", "gcc")
    sources.files["docker/libvmaf.sh"] = "644 2"
    history.build(sources, *LABELS)
    assert causes(history) == {
        "toolchain 1/1": "packages Dockerfile:7",
        "libvmaf 1/1": "file docker/libvmaf.sh",
        "ffmpeg 1/1": "after toolchain 1/1",
        **AFTER_LIBVMAF,
    }


def test_change_of_a_cached_step_is_the_cause(history: History) -> None:
    """A step that changed back to a cached result is the cause of the steps that ran after it."""
    sources = Sources()
    sources.dockerfile = sources.dockerfile.replace("gcc nasm", "gcc")
    history.build(sources, "ffmpeg 1/1")
    assert causes(history) == {"ffmpeg 1/1": "after toolchain 1/1"}
    root = explained(history).steps[0]
    assert (root.label, root.ran, root.causes[0].kind) == ("toolchain 1/1", False, "packages")


def test_lost_result(history: History) -> None:
    """A step that ran although nothing changed is out of the cache; later steps follow it."""
    history.build(Sources(), "libvmaf 1/1", "final 1/2", "final 2/2")
    assert causes(history) == {"libvmaf 1/1": "cache", **AFTER_LIBVMAF}


def test_lost_cache_mounts_are_mentioned(history: History) -> None:
    """If the compiler cache is newer than the build before, the loss is of the whole cache."""
    created = STARTED + timedelta(seconds=5)
    history.build(Sources(), "libvmaf 1/1", builder=replace(BUILDER, cache_created=created))
    assert "is new as well" in explained(history).steps[0].causes[0].detail


def test_other_builder(history: History) -> None:
    """A step that ran on another builder, with equal inputs, is caused by the builder."""
    history.build(Sources(), *LABELS, builder=replace(BUILDER, name="worker", state="2"))
    assert causes(history)["toolchain 1/1"] == "builder worker"
    assert causes(history)["libvmaf 1/1"] == "after toolchain 1/1"


def test_failed_and_skipped_steps_are_compared_with_an_older_build(history: History) -> None:
    """A step that failed or was not reached is compared with the build in which it ended."""
    broken = Sources()
    broken.files["docker/libvmaf.sh"] = "644 2"
    broken.arguments["LEVEL"] = "2"
    history.build(broken, failed="libvmaf 1/1", skipped=("ffmpeg 1/1", "final 1/2", "final 2/2"))
    repaired = Sources(arguments={"LEVEL": "2"})
    repaired.files["docker/libvmaf.sh"] = "644 3"
    history.build(repaired, "libvmaf 1/1", "ffmpeg 1/1")
    assert causes(history) == {
        "libvmaf 1/1": "file docker/libvmaf.sh",
        "ffmpeg 1/1": "argument LEVEL",
    }


def test_step_that_never_ended() -> None:
    """A step that failed in the first build is told apart from one that was not reached."""
    history = History()
    history.build(Sources(), failed="libvmaf 1/1", skipped=("final 1/2", "final 2/2"))
    history.build(Sources(), "libvmaf 1/1", "final 1/2")
    assert causes(history) == {"libvmaf 1/1": "failed", "final 1/2": "needed"}


def test_step_of_another_target(history: History) -> None:
    """In a new target, a shared step is compared with the builds of other targets."""
    sources = Sources()
    sources.files["docker/libvmaf.sh"] = "644 2"
    history.build(sources, "libvmaf 1/1", target="other")
    assert causes(history) == {"libvmaf 1/1": "file docker/libvmaf.sh"}


def test_step_of_a_build_at_the_same_time(history: History) -> None:
    """A step that ended before this build loaded its Dockerfile was run by another build."""
    build = history.build(Sources(), "libvmaf 1/1", "ffmpeg 1/1")
    minute = timedelta(minutes=1)
    load = StepRecord(0.1, cached=False, spans=[(build.started, build.started + minute)])
    build.stages.append(StageRecord(CONTEXT, steps={"load build definition": load}))
    for stage in build.stages:
        for step in stage.steps.values():
            if stage.name == "libvmaf":
                step.spans = [(build.started - minute, build.started - minute / 2)]
            elif stage.name == "ffmpeg":
                step.spans = [(build.started - minute, build.started + minute / 2)]
    assert causes(history) == {"ffmpeg 1/1": "cache"}


def test_tree_at_another_path_is_compared_by_its_files(history: History) -> None:
    """The path of a tree is not an input."""
    sources = Sources()
    inputs = sources.inputs()
    inputs.targets["image"].contexts["libvmaf-source"] = "/cache/libvmaf-2"
    inputs.contexts["/cache/libvmaf-2"] = inputs.contexts.pop(TREE)
    build = history.build(sources, "libvmaf 1/1")
    build.inputs = store.put(msgspec.json.encode(inputs))
    assert causes(history) == {"libvmaf 1/1": "cache"}
