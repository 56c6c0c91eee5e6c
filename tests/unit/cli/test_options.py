"""One set of options for all sessions."""

import pytest

from scripts.cli.options import parse
from scripts.core.console import UserError


def test_every_session_reads_the_same_words() -> None:
    """`nox -s engine build-cpu verify-images -- ...` hands each session all of them."""
    options = parse(["cpu", "--data-root", "/d", "--libvmaf", "/v", "--require", "all"])
    assert (options.targets, options.data_root, options.libvmaf) == (["cpu"], "/d", "/v")
    assert options.require == "all"


@pytest.mark.parametrize("words", [["--libvmav", "x"], ["--require", "some"], ["--lib", "x"]])
def test_an_unknown_word_is_answered_with_the_usage(words: list[str]) -> None:
    """The message carries the valid names, and abbreviations are no options."""
    with pytest.raises(UserError, match="--libvmaf") as caught:
        parse(words)
    assert "--data-root" in str(caught.value)
