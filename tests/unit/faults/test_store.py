"""Tests of the remote store that misbehaves."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from scripts.faults.store import Behaviour, Store


class Client:
    """A client of a store, with a connection for each request."""

    def __init__(self, store: Store) -> None:
        """Take the address of the store."""
        self.url = urlsplit(store.address)

    def ask(self, method: str, name: str, value: bytes = b"") -> tuple[int, bytes]:
        """Return the status and content of an answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.url.port, timeout=0.5)
        with closing(link):
            link.request(method, f"{self.url.path}/{name}", value)
            answer = link.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def stores() -> Iterator[list[Store]]:
    """Stop the stores of a test."""
    made: list[Store] = []
    yield made
    for store in made:
        store.stop()


def start(
    stores: list[Store], behaviour: Behaviour = "answers", after: int = 0
) -> tuple[Store, Client]:
    """Start a store; return it and a client."""
    stores.append(Store(behaviour, after))
    return stores[-1], Client(stores[-1])


def test_store_returns_what_was_stored(stores: list[Store]) -> None:
    """A value is returned, and a name that has none is not found."""
    _, client = start(stores)
    assert client.ask("GET", "a") == (404, b"")
    assert client.ask("PUT", "a", b"object")[0] == 201
    assert client.ask("GET", "a") == (200, b"object")
    assert client.ask("HEAD", "a")[0] == 200


def test_store_dies(stores: list[Store]) -> None:
    """After its requests, the store drops the connection and refuses further ones."""
    store, client = start(stores, "dies", 1)
    assert client.ask("PUT", "a", b"object")[0] == 201
    with pytest.raises((OSError, http.client.HTTPException)):
        client.ask("GET", "a")
    with pytest.raises(OSError):  # noqa: PT011
        client.ask("GET", "a")
    assert store.misbehaved == 1


def test_store_hangs(stores: list[Store]) -> None:
    """After its requests, the store accepts connections and does not answer."""
    store, client = start(stores, "hangs", 1)
    assert client.ask("GET", "a")[0] == 404
    for _ in range(2):
        with pytest.raises(TimeoutError):
            client.ask("GET", "a")
    assert store.misbehaved == 2


def test_values_are_poisoned(stores: list[Store]) -> None:
    """All values are damaged, and a damaged value that is returned is counted."""
    store, client = start(stores)
    for name in "abc":
        client.ask("PUT", name, b"object")
    assert store.poison() == 3
    returned = {client.ask("GET", name)[1] for name in "abc"}
    assert len(returned - {b"object"}) == 3
    client.ask("PUT", "a", b"again")
    assert client.ask("GET", "a") == (200, b"again")
    assert store.misbehaved == 3
