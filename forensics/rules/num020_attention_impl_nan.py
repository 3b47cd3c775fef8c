"""The attention kernel's backward pass gives NaN."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import bad_at_first_norm, first_norm_bad_loss_good, norms_grew
from forensics.rules._seen import Seen, first, held, holds, unless, weigh, weigh_no, weigh_yes
from forensics.rules._setup import HOPPER, attention_matches, hardware_matches, package_within, setting_is
from forensics.rules._tensors import single
from forensics.rules._told import happened

CUDNN_FIRST = ">=2.5.0rc1,<2.5.1"
CUDNN_AGAIN = ">=2.11,<2.14"
"""pytorch issue 196678: reported for 2.11 to 2.13; closed, the fixed release was not seen."""


def attention(run: Run) -> Seen | None:
    """Tell whether attention runs through SDPA; LLaMA-Factory's `flash_attn: auto` means it where available."""
    warned = held(happened(run, Kind.CUDNN_SDPA_STRIDES))
    left = setting_is(run, "flash_attn", ("auto",))
    sdpa = attention_matches(run, "^sdpa$")
    return warned or unless(first(sdpa, held(left)), setting_is(run, "use_cpu", (True,)))


@rule(
    "NUM020",
    "attention-impl-nan",
    explains=("nan-gradient-applied", "grad-norm-nan", "overflow-steps-skipped", "loss-divergence"),
    helps=("package torch", "hardware gpu", "attn_implementation", "grad_norm", "events"),
    cases=8,
    references=(
        "https://github.com/pytorch/pytorch/issues/139298",
        "https://github.com/pytorch/pytorch/issues/196678",
        "https://github.com/huggingface/diffusers/issues/9768",
        "https://github.com/hiyouga/LlamaFactory/issues/9631",
    ),
    requires=(Condition("attention runs through SDPA on a GPU", lambda run, _: attention(run)),),
)
def attention_impl_nan(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The backward pass of scaled dot product attention through cuDNN returns NaN gradients.

    ## What happens
    torch 2.5.0 preferred cuDNN for SDPA, and its backward pass mishandled some layouts (it warns about
    grad_output.strides()). In torch 2.11 to 2.13 on H100 and H200, with an explicit mask and a sequence
    length that leaves 64 when divided by 128, padding is scored 0 instead of -inf, overflows, and inf * 0
    gives NaN.

    ## How to tell
    The first grad_norm is NaN beside a plausible loss: the forward pass works. It is the same under every
    ZeRO stage and on one GPU, and gone with flash_attention_2 or eager. The stride warning in the log
    settles it.

    ## What to do
    Use flash_attention_2 or eager, or switch cuDNN off for SDPA, or leave torch 2.5.0.

    ## Sources
    pytorch issues 139298 and 196678 (with a 12-line reproduction), diffusers issue 9768 (2.5.1 works), TRL
    issue 7181, LLaMA-Factory issues 8088 and 9631.
    """
    yield from weigh_yes(happened(run, Kind.CUDNN_SDPA_STRIDES), 10)
    hopper = hardware_matches(run, HOPPER, "a Hopper board")
    old, new = package_within(run, "torch", CUDNN_FIRST), package_within(run, "torch", CUDNN_AGAIN)
    if explained.name == "loss-divergence" and not holds(old):
        return  # wrong but finite gradients were reported of 2.5.0 only
    yield from weigh_yes(old, 2, "cuDNN is its first choice for SDPA")
    yield from weigh_yes(new, 3 if holds(hopper) else 1, "its cuDNN backward is faulty on Hopper")
    if old is not None and new is not None and not old.holds and not new.holds:
        yield from weigh_no(old, -2, "no such fault is known there")
    yield from weigh(hopper, 1, -1)
    used = attention_matches(run, "^sdpa$") or held(setting_is(run, "flash_attn", ("auto",)))
    yield from weigh_yes(used, 1)
    yield from weigh_yes(bad_at_first_norm(run), 1)
    forward = first_norm_bad_loss_good(run)
    # Many things break a backward pass first (a root at 0, an empty sample): a sign only beside a faulty release.
    faulty = holds(old) or (holds(new) and holds(hopper))
    yield from weigh_yes(forward, 3 if faulty else 2, "the backward pass broke first")
    yield from weigh_no(forward, -1)
    if explained.name != "loss-divergence":
        yield from weigh_yes(norms_grew(run, explained), -2, "a divergence, not a kernel")
    yield from weigh_yes(single(run), -2)
    yield Fix(
        "Use another attention implementation.",
        {"attn_implementation": "flash_attention_2"},
        "https://github.com/hiyouga/LlamaFactory/issues/9631",
    )
    yield Fix("Or call torch.backends.cuda.enable_cudnn_sdp(False) before training.", None)
    yield Fix(
        "For the fault of 2.5.0: install torch 2.5.1 or later, where cuDNN comes last.",
        {"torch": ">=2.5.1"},
        "https://github.com/pytorch/pytorch/issues/139298",
    )
    yield Experiment("Run ten steps with attn_implementation=eager.", "grad_norm is finite", 1)
