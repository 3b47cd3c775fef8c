"""On what kind of board the run computed: AMD's, Apple's, others without CUDA."""

import re

from forensics.deferred.patterns import expression
from forensics.model import Run
from forensics.names import Kind
from forensics.rules._seen import Seen, first, held
from forensics.rules._setup import hardware_matches, package_within
from forensics.rules._told import happened, said

BACKENDS = (
    "torch-npu",
    "intel-extension-for-pytorch",
    "habana-torch-plugin",
    "torch-xla",
    "torch-mlu",
    "torch-musa",
    "torch-directml",
)
"""Packages that bring torch to a device that is neither NVIDIA's nor AMD's."""


def another_backend(run: Run) -> Seen | None:
    """Tell whether a package or a line of the log says that the run computed on a device without CUDA."""
    packages = (package_within(run, package, ">=0") for package in BACKENDS)
    return first(*(held(seen) for seen in packages), happened(run, Kind.NON_CUDA_DEVICE))


AMD = expression(r"MI[23]\d\d|gfx\d+|Radeon|Instinct", re.IGNORECASE)


def on_rocm(run: Run) -> Seen | None:
    """Tell whether the run computed on an AMD board, by its name or by the build of torch."""
    return first(hardware_matches(run, AMD, "an AMD board"), rocm_build(run))


def rocm_build(run: Run) -> Seen | None:
    """Tell whether torch was built for ROCm, by the tag of its version; None where that has no tag."""
    found = run.environment.best("torch", "package")
    if found is None or "+" not in str(found.value):
        return None
    built = "+rocm" in str(found.value)
    return Seen(built, f"torch is {found.value}, a build for {'ROCm' if built else 'others'}", found.source, "build")


APPLE = expression(r"\bmps\b|Apple M\d", re.IGNORECASE)
_MPS = expression(r"\bmps\b", re.IGNORECASE)


def on_apple(run: Run) -> Seen | None:
    """Tell whether the run computed on Apple's MPS, by its board, its setting of the device or a line that says so."""
    named = run.environment.best("device")
    set_ = None
    if named is not None and (_MPS.match(str(named.value)) or str(named.value).startswith("cuda")):
        set_ = Seen(_MPS.match(str(named.value)) is not None, f"device is {named.value}", named.source, "accelerator")
    line = said(run, Kind.NON_CUDA_DEVICE, _MPS)
    return first(set_, held(line), hardware_matches(run, APPLE, "of Apple"))
