"""Edit text files for mutants."""


def replace_once(text: str, old: str, new: str) -> str:
    """Return the text with `old` replaced by `new`.

    Raises:
        AssertionError: `old` does not occur exactly once, so the text has changed and the
            mutant needs an update.
    """
    count = text.count(old)
    assert count == 1, f"expected exactly once, but found {count} times: {old!r}"
    return text.replace(old, new)
