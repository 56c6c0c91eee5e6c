"""The store of what builds were made from."""

import os

import pytest

from scripts.causes import store


def test_content_is_stored_once() -> None:
    """Equal contents have one file, whose digest returns the content."""
    digest = store.put(b"a")
    assert store.put(b"a") == digest
    assert store.put(b"b") != digest
    assert store.get(digest) == b"a"
    assert len(list(store.directory().iterdir())) == 2


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_absent_content(digest: str) -> None:
    """An empty or unknown digest returns nothing."""
    assert store.get(digest) is None


def test_contents_that_no_build_uses_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, the contents that were stored or used longest ago are removed."""
    monkeypatch.setattr(store, "KEPT", 2)
    old, used = store.put(b"old"), store.put(b"used")
    for digest in (old, used):
        os.utime(store.directory() / digest, (1, 1))
    store.put(b"used")
    new = store.put(b"new")
    assert [store.get(digest) for digest in (old, used, new)] == [None, b"used", b"new"]
