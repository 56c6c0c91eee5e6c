"""The steps of a build and what they read."""

import msgspec
import pytest

from scripts.causes import store
from scripts.causes.graph import Graph, Node, files_below
from scripts.causes.inputs import Inputs, Target
from scripts.core.console import UserError

MANIFEST = {"a.c": "1", "b/a.c": "2", "b/a.sh": "3", "b/c/d.c": "4", "bc": "5"}


def graph(targets: dict[str, Target], **files: str) -> Graph:
    """Return the graph of targets whose Dockerfiles have these texts."""
    digests = {name: store.put(text.encode()) for name, text in files.items()}
    manifest = store.put(msgspec.json.encode(MANIFEST))
    return Graph(Inputs(targets, digests, {".": manifest, "tree": manifest}, {}))


def steps(text: str, **fields: dict[str, str]) -> list[Node]:
    """Return the steps of the last stage of a Dockerfile."""
    target = Target(dockerfile="D", **fields)  # type: ignore[arg-type]
    nodes = graph({"x": target}, D=text).nodes("x")
    return [node for node in nodes if node.stage == nodes[-1].stage]


def facts(node: Node, kind: str) -> dict[str, str]:
    """Return the facts of a kind by name."""
    return {fact.name: fact.value for fact in node.facts if fact.kind == kind}


def test_run_reads_what_is_in_its_scope() -> None:
    """A RUN reads the ARG and ENV above it, those of parent stages, and the given values."""
    first, last = steps(
        "ARG A=1 G\nFROM scratch AS base\nARG A B=2 C\nENV D=$B E=3\nFROM base\n"
        "RUN one\nARG F=$A G\nWORKDIR /x\nRUN two",
        args={"B": "given", "G": "g"},
    )[::2]
    assert facts(first, "argument") == {"A": "1", "B": "given"}
    assert facts(first, "setting") == {"D": "given", "E": "3"}
    assert facts(last, "argument") == {"A": "1", "B": "given", "F": "1", "G": "g"}
    assert facts(last, "setting")["WORKDIR"] == "/x"


def test_copy_reads_only_the_variables_that_it_names() -> None:
    """A COPY does not depend on a variable that it does not name."""
    (node,) = steps("FROM scratch\nARG A=a B=b\nENV C=c\nCOPY ${A}.c /\n")
    assert facts(node, "argument") == {"A": "a"}
    assert not facts(node, "setting")
    assert next(iter(facts(node, "files").values())).endswith(":a.c")


def test_settings_of_a_named_context_remain_and_arguments_do_not() -> None:
    """A stage on a target has the ENV of that target, as of an image, and not its ARG."""
    nodes = graph(
        {
            "x": Target(dockerfile="D", contexts={"base": "target:y"}),
            "y": Target(dockerfile="E", target="MIDDLE"),
        },
        D="FROM scratch AS base\nFROM base\nRUN two\n",
        E="FROM scratch AS middle\nARG A=1\nENV B=2\nRUN one\nFROM middle\nRUN never",
    ).nodes("x")
    assert [(node.target, node.stage, node.text) for node in nodes] == [
        ("y", "middle", "RUN one"),
        ("x", "1", "RUN two"),
    ]
    assert nodes[1].parents == (nodes[0],)
    assert not facts(nodes[1], "argument")
    assert facts(nodes[1], "setting") == {"B": "2"}


def test_mounts_are_files_and_parents() -> None:
    """Bind mounts read files and other stages, in their order; cache mounts read nothing."""
    nodes = graph(
        {"x": Target(dockerfile="D", contexts={"given": "tree"})},
        D="FROM scratch AS one\nCOPY a.c /\nFROM scratch AS two\nCOPY a.c /\nFROM two\n"
        "RUN --mount=type=cache,target=/c --mount=from=one,target=/o"
        " --mount=from=given,source=/b,target=/g --mount=source=b/a.sh,target=/s make",
    ).nodes("x")
    last = nodes[-1]
    assert [parent.stage for parent in last.parents] == ["two", "one"]
    assert facts(last, "context") == {"one": "stage one", "given": "directory"}
    paths = [fact.value.partition(":")[2] for fact in last.facts if fact.kind == "files"]
    assert paths == ["/b", "b/a.sh"]


def test_steps_of_all_named_contexts_are_listed() -> None:
    """A target that only builds the frontend is part of the build."""
    targets = {
        "x": Target(dockerfile="D", contexts={"docker/dockerfile:1.7": "target:y"}),
        "y": Target(inline="FROM scratch\nCOPY a.c /"),
    }
    nodes = graph(targets, D="FROM scratch\nCOPY bc /").nodes("x")
    assert [node.text for node in nodes] == ["COPY bc /", "COPY a.c /"]


def test_sources_that_are_not_files_of_the_context() -> None:
    """URLs and here-documents are part of the text only."""
    (node,) = steps("FROM scratch\nADD https://a.test/b git@c.test:d /\n")
    assert not facts(node, "files")


def test_unknown_target_or_stage_has_no_steps() -> None:
    """A target that is not in the record, or a stage that the file lacks, has no steps."""
    built = graph({"x": Target(dockerfile="D", target="gone")}, D="FROM scratch\nCOPY a /\n")
    assert built.nodes("x") == built.nodes("y") == []


@pytest.mark.parametrize("files", [{}, {"D": "RUN before FROM\n"}])
def test_dockerfile_that_cannot_be_read(files: dict[str, str]) -> None:
    """A Dockerfile that is absent or has an error is a UserError."""
    with pytest.raises(UserError):
        graph({"x": Target(dockerfile="D")}, **files)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", set(MANIFEST)),
        (".", set(MANIFEST)),
        ("/b/", {"b/a.c", "b/a.sh", "b/c/d.c"}),
        ("./b/a.c", {"b/a.c"}),
        ("b/*.c", {"b/a.c", "b/c/d.c"}),
        ("b?", {"bc"}),
        ("gone", set()),
    ],
)
def test_files_below_a_path(path: str, expected: set[str]) -> None:
    """A path is a file, a directory or a pattern."""
    found = files_below(store.put(msgspec.json.encode(MANIFEST)), path)
    assert found is not None
    assert set(found) == expected


def test_manifest_that_was_removed() -> None:
    """A manifest that is no longer in the store is told apart from an empty one."""
    assert files_below("0" * 64, "") is None
    assert files_below(store.put(b"{}"), "") == {}
