"""fp16 training of a model that was pretrained in bf16."""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import norms_grew
from forensics.rules._seen import Seen, first, held, holds, weigh_yes
from forensics.rules._setup import NO_BF16, fp16_told, fp16_used, hardware_matches, pretrained_in
from forensics.rules._told import happened

FAMILIES = expression(
    r"(?:code)?llama-?[23]?|qwen|glm-?4|baichuan2|gemma|mi[sx]tral|\byi-|\bu?m?t5|deepseek|internlm2"
    r"|vicuna|llava|zephyr|falcon|\bolmo|smollm|\bphi-?[34]|internvl",
    re.IGNORECASE,
)
"""Families reported to overflow in fp16 because they were pretrained in bf16 (see the sources of the rule), what was
made from them (Vicuna, LLaVA, Zephyr), and others whose own config.json says bfloat16."""
NAMED = ("model_name_or_path", "model._name_or_path", "_name_or_path", "model.model_type")


def model_family(run: Run) -> Seen | None:
    """Tell whether the model is of such a family: by its name, or by the type of what it was made from."""
    named: list[Seen] = []
    for name in NAMED:
        setting = run.environment.best(name)
        if setting is not None and isinstance(setting.value, str) and setting.value:
            known = FAMILIES.search(setting.value) is not None
            named.append(Seen(known, f"{name} is {setting.value}", setting.source, "family of the model"))
    return first(*(held(seen) for seen in named), *named)


@rule(
    "NUM011",
    "fp16-bf16-pretrained-model",
    explains=("overflow-steps-skipped", "nan-gradient-applied", "nan-loss-logged-as-zero", "loss-nan", "eval-nan"),
    helps=("fp16", "bf16", "model.torch_dtype", "events", "hardware gpu"),
    cases=12,
    references=(
        "https://github.com/hiyouga/LlamaFactory/issues/950",
        "https://github.com/hiyouga/LlamaFactory/issues/2234",
        "https://github.com/LIN-SHANG/InstructERC/issues/6",
        "https://github.com/huggingface/transformers/issues/9295",
        "https://github.com/hiyouga/LlamaFactory/issues/482",
        "https://github.com/Ucas-HaoranWei/GOT-OCR2.0/issues/79",
    ),
    requires=(
        Condition("fp16 was in use", lambda run, _: fp16_used(run)),
        Condition(
            "the model was pretrained in bf16",
            lambda run, _: held(pretrained_in(run, "bfloat16")) or held(model_family(run)),
        ),
    ),
)
def fp16_bf16_pretrained_model(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The model was pretrained in bf16 and is trained in fp16, whose largest number is 65504.

    ## What happens
    bf16 has the range of float32. A model pretrained in it may produce activations above 65504, which fp16
    turns into infinities. With a loss scaler each such step is skipped, the scale falls to its minimum, and
    nothing is learnt; with weights in fp16 themselves the loss becomes NaN at once.

    ## How to tell
    fp16 is on, the model's configuration says bfloat16, and the log shows OVERFLOW lines that do not stop,
    or grad_norm NaN beside a learning rate that stands still. Boards older than Ampere (V100, T4, 2080 Ti)
    invite it, as they have no bf16.

    ## What to do
    Train in bf16 on Ampere or newer; on older boards keep float32 weights with fp16 autocast, or choose a
    model that was pretrained in fp16. A smaller learning rate does not help.

    ## Sources
    LLaMA-Factory issues 950 (bf16 solved it), 482 and 2234; InstructERC issue 6; transformers issue 9295
    (T5).
    """
    used = fp16_used(run)
    if not holds(used):
        return
    pretrained = pretrained_in(run, "bfloat16")
    yield from weigh_yes(fp16_told(run), 2)
    yield from weigh_yes(pretrained, 4)
    if not holds(pretrained):
        # Llama-2's own configuration says float16, though it was pretrained in bf16.
        yield from weigh_yes(model_family(run), 4, "a family pretrained in bf16")
    yield from weigh_yes(hardware_matches(run, NO_BF16, "which has no bf16"), 1)
    yield from weigh_yes(happened(run, Kind.OVERFLOW), 2)
    yield from weigh_yes(happened(run, Kind.LOSS_SCALE_AT_MINIMUM), 3)
    yield from weigh_yes(norms_grew(run, explained), -1)
    yield Fix(
        "Compute in bf16 (Ampere or newer).",
        {"bf16": True, "fp16": False},
        "https://github.com/hiyouga/LlamaFactory/issues/950",
    )
    yield Fix("Where bf16 is missing, load the weights in float32 and use fp16 autocast.", {"torch_dtype": "float32"})
    yield Experiment("Run the first hundred steps in bf16, or in float32.", "no overflow, no NaN", 1)
