"""What the origin of a part has now, in the same form for all origins."""

from collections.abc import Mapping
from dataclasses import dataclass

from debian.debian_support import Version


@dataclass(frozen=True)
class Offer:
    """A file that an origin has now."""

    version: str
    sha256: str
    path: str

    @property
    def order(self) -> Version:
        """A key by which versions are compared.

        It is the order of Debian. The indexes order the versions that are offered in the same way,
        as these are final releases.
        """
        return Version(self.version)


@dataclass(frozen=True)
class Offers:
    """What an origin has now of the files of a part."""

    source: str
    """The origin as messages name it, such as `testing`."""
    files: Mapping[str, Offer]
    """By the name of the file in the lock; a file that is not offered is absent."""
    gone: str = ""
    """Which files are not offered, and what the origin has in their place; empty if all are."""
    notes: tuple[str, ...] = ()
    """What a person may want to know, such as a new release."""
