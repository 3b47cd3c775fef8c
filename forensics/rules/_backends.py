"""On what kind of board the run computed: AMD's, Apple's, others without CUDA."""

import re
from collections.abc import Iterator

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
    "torch-neuronx",
    "neuronx-distributed",
    "optimum-neuron",
    "optimum-habana",
    "libtpu",
    "libtpu-nightly",
    "tensorflow-metal",
)
"""Packages that bring a framework to a device that is neither NVIDIA's nor AMD's."""
VARIABLES = (
    ("PJRT_DEVICE", expression("TPU|NEURON", re.IGNORECASE)),
    ("XRT_TPU_CONFIG", expression(".")),
    ("ASCEND_RT_VISIBLE_DEVICES", expression(".")),
    ("HABANA_VISIBLE_MODULES", expression(".")),
    ("HABANA_VISIBLE_DEVICES", expression(".")),
    ("NEURON_RT_NUM_CORES", expression(".")),
    ("NEURON_RT_VISIBLE_CORES", expression(".")),
    ("MUSA_VISIBLE_DEVICES", expression(".")),
    ("MLU_VISIBLE_DEVICES", expression(".")),
    ("ZE_AFFINITY_MASK", expression(".")),
)
"""Variables that only the runtimes of such devices read, and values that ask for one."""


def another_backend(run: Run) -> Seen | None:
    """Tell whether a package, a variable or a line of the log says that the run computed on a device without CUDA."""
    packages = (package_within(run, package, ">=0") for package in BACKENDS)
    told = (*(held(seen) for seen in packages), *_variables(run))
    return first(*told, happened(run, Kind.NON_CUDA_DEVICE))


def _variables(run: Run) -> Iterator[Seen]:
    for name, asks in VARIABLES:
        setting = run.environment.best(name, "variable")
        if setting is not None and asks.search(str(setting.value)):
            yield Seen(True, f"{name} is {setting.value}", setting.source, "accelerator")


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
