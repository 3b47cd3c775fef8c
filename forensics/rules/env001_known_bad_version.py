"""A recorded version is known to be bad, though nothing closer was found."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._deepspeed import deepspeed_used
from forensics.rules._seen import holds
from forensics.rules._versions import within, witness

KNOWN = (
    (
        "deepspeed",
        ">=0.12.4,<0.14.3",
        "ZeRO-1/2 gradient races",
        ">=0.18.5",
        "https://github.com/deepspeedai/DeepSpeed/issues/5242",
    ),
    (
        "deepspeed",
        "==0.14.3",
        "a report of grad_norm 0 under ZeRO-3",
        ">0.14.3",
        "https://github.com/deepspeedai/DeepSpeed/issues/5692",
    ),
    (
        "torch",
        "==2.5.0",
        "NaN in the cuDNN backward pass of attention",
        ">=2.5.1",
        "https://github.com/pytorch/pytorch/issues/139298",
    ),
    (
        "bitsandbytes",
        ">0.35.4,<0.41.1",
        "wrong 8-bit optimizer states",
        ">=0.41.1",
        "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/663",
    ),
    (
        "transformers",
        ">=4.46.0,<4.48.1",
        "wrong loss scale with gradient accumulation",
        ">=4.48.1",
        "https://github.com/huggingface/transformers/issues/35663",
    ),
    (
        "flash-attn",
        ">=2.0.0,<2.0.5",
        "NaN in dQ for short lengths",
        ">2.0.4",
        "https://github.com/Dao-AILab/flash-attention/issues/334",
    ),
)


@rule(
    "ENV001",
    "known-bad-version",
    explains=("nan-gradient-applied", "loss-scale-wrong", "loss-divergence"),
    helps=("package deepspeed", "package torch", "package transformers", "package bitsandbytes"),
    references=tuple(dict.fromkeys(row[4] for row in KNOWN)),
)
def known_bad_version(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """A package of the run has a release with known numeric faults.

    ## What happens
    Releases are listed here that broke runs of others. Whether the fault struck this run is for the closer
    rules to say; this one only points at the version.

    ## How to tell
    A recorded version lies in the range. An unknown version never does.

    ## What to do
    Install the release named, and run the same steps.

    ## Sources
    The issue of each entry, among the references.
    """
    del explained
    for package, affected, fault, fixed, url in KNOWN:
        found = witness(run, package)
        if found is None or not within(run, package, affected):
            continue
        if package == "deepspeed" and not holds(deepspeed_used(run)):
            continue
        yield Evidence(1, f"{package} {found.value} lies in {affected}: {fault}", found.source, f"version of {package}")
        yield Fix(f"Install {package}{fixed}: {fault} in this release.", {package: fixed}, url)
        yield Experiment(f"Pin {package}{fixed} and run the same steps.", "the symptom is gone", 1)
