"""A figure that a bench measures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """A number, and the samples whose median it is."""

    name: str
    value: float
    unit: str = ""
    samples: Sequence[float] = field(default_factory=tuple)

    def __str__(self) -> str:
        """Return one line, with the range of the samples."""
        spread = f" ({min(self.samples):.4g} to {max(self.samples):.4g})" if self.samples else ""
        return f"{self.name}: {self.value:.4g} {self.unit}".rstrip() + spread


def middle(name: str, samples: Sequence[float], unit: str = "") -> Figure:
    """Return the median of samples as a figure."""
    return Figure(name, median(samples), unit, tuple(samples))


def ratio(name: str, numerators: Sequence[float], denominators: Sequence[float]) -> Figure:
    """Return the median ratio of samples that were measured in pairs, one after the other."""
    return middle(name, [a / b for a, b in zip(numerators, denominators, strict=True)])
