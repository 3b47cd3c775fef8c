"""What the tests of detectors share: one detector by name, all of them together, and healthy curves."""

from functools import cache

import numpy as np

import forensics.detectors
from forensics.model import Finding, Run
from forensics.plugin import Detector, collect

NAN = float("nan")
INF = float("inf")
ROOT_OF_TWO = 1.4142135381698608


@cache
def detectors() -> dict[str, Detector]:
    return {detector.name: detector for detector in collect(forensics.detectors, Detector)}


def applies(detector: Detector, run: Run) -> bool:
    asked = not detector.any_of or any(run.has(name) for name in detector.any_of)
    return asked and all(run.has(name) for name in detector.needs)


def find(name: str, run: Run) -> list[Finding]:
    """Return what one detector finds, nothing when the run does not record what it needs."""
    detector = detectors()[name]
    return list(detector.find(run)) if applies(detector, run) else []


def severities(name: str, run: Run) -> list[str]:
    return [finding.severity for finding in find(name, run)]


def everything(run: Run) -> list[Finding]:
    return [finding for name in detectors() for finding in find(name, run)]


def alarms(run: Run) -> list[tuple[str, str]]:
    """Return the errors and warnings of all detectors: none, on a healthy run."""
    return [(f.symptom, f.severity) for f in everything(run) if f.severity != "notice"]


def falling(size: int, start: float = 2.5, end: float = 0.8, noise: float = 0.03, seed: int = 0) -> list[float]:
    """Return a loss that falls exponentially, rounded to four decimals as transformers < 5 does."""
    steps = np.arange(size) / max(1, size)
    curve = end + (start - end) * np.exp(-4 * steps)
    noisy = curve * (1 + np.random.default_rng(seed).normal(0, noise, size))
    return [round(float(value), 4) for value in noisy]


def norms(size: int, seed: int = 1) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).lognormal(-0.5, 0.3, size)]


def linear(size: int, peak: float = 2e-5, warmup: int = 3) -> list[float]:
    """Return a linear schedule with a warm-up from 0, as transformers logs it since 4.49."""
    up = [peak * i / warmup for i in range(warmup)]
    down = size - warmup
    return (up + [peak * (1 - i / max(1, down - 1)) for i in range(down)])[:size]
