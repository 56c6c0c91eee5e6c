"""Tests of the options that each verb accepts."""

import pytest

from scripts.cli.options import parse
from scripts.core.console import UserError


def test_verb_accepts_the_options_of_all_sessions() -> None:
    """Each verb accepts the options of all sessions, as nox passes them to each of its sessions."""
    sessions = ("engine", "build-cpu", "verify-images")
    arguments = ["cpu", "--data-root", "/d", "--libvmaf", "/v", "--require", "all"]
    for verb in ("engine", "build", "verify"):
        options = parse([verb, *arguments], sessions)
        assert (options.images, options.data_root, options.libvmaf) == (["cpu"], "/d", "/v")
        assert options.require == "all"
        assert options.sessions == sessions


@pytest.mark.parametrize(
    "arguments", [["--quick"], ["--libvmav", "x"], ["--lib", "x"], ["--older-than", "7d"]]
)
def test_unknown_option_is_answered_with_the_list(arguments: list[str]) -> None:
    """A misspelt or abbreviated option, or one of another verb, is refused with the list."""
    with pytest.raises(UserError, match="cannot read the options") as caught:
        parse(["build", *arguments], ("build-cpu",))
    assert "nox -s build-cpu -- [options]" in caught.value.todo
    assert "--libvmaf" in caught.value.todo
    assert "--quick" not in caught.value.todo
