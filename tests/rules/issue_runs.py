"""Runs in which one thing that a known issue looks at holds, or clearly does not."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from packaging.specifiers import SpecifierSet

from forensics.model import Checkpoint, Explained, Finding, Run, Source, TensorRecord, TokenRows
from forensics.names import Kind
from forensics.rules._known_issues import look, names_of
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import FALL, GOOD, GREW, NAN, STILL, WHOLE, bracket, broken_file

Row = TypeVar("Row")
Table = Mapping[str, Any]
Facts = dict[str, Any]
"""Arguments of `make_run`, and `onset`: the step at which the symptom begins (5 when left out)."""

STEADY = {"loss": [2.0, 2.1, 2.0, 2.1, 2.0, 2.1, 2.0], "grad_norm": [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0], "onset": 7}
LORA_B = "layers.0.q.lora_B.weight"
BUCKETS = {"zero_optimization.stage": 2, "zero_optimization.reduce_bucket_size": "auto"}
OVERLAP = "zero_optimization.overlap_comm"
MISSED = replace(
    make_events("file-missing", text="FileNotFoundError: [Errno 2] No such file or directory: 'a.json'"),
    records=np.array([9]),
)
RESTARTED = [9e-5, 6e-5, 3e-5, 1e-5, 9e-5, 8e-5]


def found_in(table: str, rows: Iterator[Row], wanted: object) -> Row:
    """Return the first row that fits; where a table of this file has none, say which one wants a row, and for what."""
    for row in rows:
        return row
    raise AssertionError(f"no row of {table} in tests/rules/issue_runs.py fits {wanted}: add one to the table")


def norms(*values: float) -> Facts:
    return {"grad_norm": list(values)}


def stage(number: int) -> Facts:
    return {"settings": {"zero_optimization.stage": number}}


def lora(zeros: int) -> list[Checkpoint]:
    return [make_checkpoint(6, make_table([LORA_B], zero={LORA_B: zeros}))]


def saved(**shapes: tuple[int, ...]) -> list[Checkpoint]:
    """Return a checkpoint that declares weights of these shapes; their bytes were not scanned."""
    records = tuple(TensorRecord(name, "weight", "F32", shape, ()) for name, shape in shapes.items())
    return [replace(make_checkpoint(6), records=records, table=None)]


def template(norm: float) -> list[Checkpoint]:
    """Return a checkpoint of which the row of the template's token has this norm, and others have 1."""
    rows = TokenRows("model.embed_tokens.weight", ("<|im_start|>", "<|im_end|>"), (norm, 1.0), 1.0)
    return [replace(make_checkpoint(6), token_rows=rows)]


RAISED = make_events(Kind.TRACEBACK, text="RuntimeError: odd")
TRIED = make_events(Kind.TRIED, text="I see that trl 0.9.6 works and trl 0.11.0 fails")
ATTENTION = make_events(Kind.TRIED, text="I see that ring attention gives NaN and sdpa works")
BOARDS = make_events(Kind.TRIED, text="I see NaN on an A40 but not on an A100")
ONE_WORKS = make_events(Kind.TRIED, text="I see NaN with 4 GPUs, and a single GPU works")
HANGS = make_events(Kind.REPORTED, text="My training hangs at step 4.")
OBSERVED: Mapping[str, tuple[Facts | None, Facts | None]] = {
    "another attention works": ({"events": [ATTENTION]}, None),
    "another device works": ({"events": [BOARDS]}, None),
    "one rank works": ({"events": [ONE_WORKS]}, None),
    "several ranks hang": ({"events": [HANGS], "settings": {"multi_gpu": True}}, None),
    "another release works": ({"events": [TRIED]}, None),
    "died before its first step": ({"events": [RAISED]}, {"events": [RAISED], "loss": [2.0] * 5}),
    "torch.compile is in use": ({"settings": {"torch_compile": True}}, {"settings": {"torch_compile": False}}),
    "norm is nonfinite": (norms(*GOOD, NAN, NAN, NAN), norms(*GOOD, 1.1, 0.9, 1.0)),
    "norm recovers": (norms(*GOOD, NAN, 1.0, 1.1), norms(*GOOD, 1.1, 0.9, 1.0)),
    "norm is zero": (norms(*[0.0] * 7), norms(*GOOD, 1.1, 0.9, 1.0)),
    "norm is positive": (norms(*GOOD, 1.1, 0.9, 1.0), norms(*[0.0] * 7)),
    "norm grew": (GREW, STEADY),
    "loss rose": (GREW, STEADY),
    "all progress was lost": (
        {"symptom": "resume-jump", "loss": [3.5, 3.1, 3.0, 1.8, 1.7, 1.7, 3.4, 3.3, 3.2], "onset": 7},
        {"symptom": "resume-jump", "loss": [3.5, 3.1, 3.0, 1.8, 1.7, 1.7, 2.4, 2.3, 2.2], "onset": 7},
    ),
    "loss of guessing": ({"symptom": "loss-uniform", "loss": [10.37] * 5, "onset": 1}, None),
    "loss falls": ({"loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "onset": 1}, {"loss": [2.0, 2.1] * 4, "onset": 1}),
    "loss fell": ({"loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0]}, {"loss": [2.0, 2.1] * 4}),
    "something was learnt": ({"loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0]}, norms(*[0.0] * 7)),
    "no gradient flows": (norms(*[0.0] * 7), norms(*GOOD, 1.1, 0.9, 1.0)),
    "loss finite beside": ({"loss": [2.0] * 7}, {"loss": FALL}),
    "rate too small for it": (
        {"loss": [1.9, 11.4, 11.4], "learning_rate": [1.4e-7] * 3, "onset": 2},
        {"loss": [1.9, 11.4, 11.4], "learning_rate": [1.4e-3] * 3, "onset": 2},
    ),
    "healthy before": ({"loss": FALL}, {"loss": [0.0] * 7}),
    "sudden": ({"loss": FALL}, {"loss": [2.0] * 7}),
    "rate stands though it should decay": (
        {"settings": {"lr_scheduler_type": "cosine"}, "learning_rate": [1e-5, *[2e-5] * 6]},
        {"settings": {"lr_scheduler_type": "constant"}, "learning_rate": [2e-5] * 7},
    ),
    "missed on the way": ({"events": [make_events(Kind.TRAINING_STARTED), MISSED]}, {"events": [MISSED]}),
    "a counter began anew": (
        {"learning_rate": RESTARTED},
        {"learning_rate": [1e-4, 9e-5, 8e-5, 7e-5, 6e-5, 5e-5]},
    ),
    "schedule restarted": ({"learning_rate": RESTARTED}, {"learning_rate": [1e-4, 9e-5, 8e-5, 7e-5, 6e-5, 5e-5]}),
    "from the start or a resume": ({"loss": [2.0] * 7, "onset": 1}, {"loss": FALL}),
    "from first entry": ({"loss": [2.0] * 7, "onset": 1}, {"loss": FALL}),
    "backward first": ({"loss": [2.0] * 7, **norms(*GOOD, NAN)}, {"loss": [0.0] * 7, **norms(*GOOD, NAN)}),
    "first norm bad": (norms(*[NAN] * 7), norms(*GOOD, NAN, NAN, NAN)),
    "eval is nan": ({"eval_loss": [2.0, 2.0, 2.0, 2.0, NAN, NAN]}, {"eval_loss": [2.0] * 6}),
    "weights poisoned": ({"checkpoints": WHOLE}, {"checkpoints": [make_checkpoint(6)]}),
    "weights unmoved": ({"checkpoints": STILL}, {"checkpoints": [make_checkpoint(6, make_table(same=3))]}),
    "lora_B is zero": ({"checkpoints": lora(64)}, {"checkpoints": lora(0)}),
    "rows of the template are small": ({"checkpoints": template(1e-6)}, {"checkpoints": template(0.9)}),
    "names bear a wrapper's prefix": (
        {"checkpoints": saved(**{"_orig_mod.norm.weight": (64,)})},
        {"checkpoints": saved(**{"model.norm.weight": (64,)})},
    ),
    "shapes with a 0": ({"checkpoints": saved(norm=(0,))}, {"checkpoints": saved(norm=(64,))}),
    "only saved modules are empty": (
        {"checkpoints": saved(lora_A=(8, 8), lm_head=(0,))},
        {"checkpoints": saved(lora_A=(0,), lm_head=(0,))},
    ),
    "adapter tensors are empty": (
        {"checkpoints": saved(lora_A=(0,), lora_B=(0,))},
        {"checkpoints": saved(lora_A=(8, 8), lm_head=(0,))},
    ),
    "a file is damaged": ({"checkpoints": broken_file("it is cut off")}, {"checkpoints": [make_checkpoint(6)]}),
    "one tensor only": (
        {"checkpoints": [make_checkpoint(6, make_table(nan={"model.norm.weight": 1}))]},
        {"checkpoints": WHOLE},
    ),
    "an exception": (
        {"events": [make_events(Kind.TRACEBACK, text="ValueError: no input_ids (/app/train.py:7)")]},
        {"events": [make_events(Kind.EVALUATED)]},
    ),
    "killed by signal 9": (
        {"events": [make_events(Kind.SIGNAL, [-1], [-9.0])]},
        {"events": [make_events(Kind.SIGNAL, [-1], [1.0])]},
    ),
    "killed by signal 24": (
        {"events": [make_events(Kind.SIGNAL, [-1], [-24.0])]},
        {"events": [make_events(Kind.SIGNAL, [-1], [1.0])]},
    ),
    "an AMD board or a ROCm build": (
        {"hardware": {"gpu": "AMD Instinct MI300"}},
        {"hardware": {"gpu": "NVIDIA A100"}},
    ),
    "Apple's MPS": ({"settings": {"device": "mps:0"}}, {"settings": {"device": "cuda"}}),
    "flash attention": (
        {"settings": {"attn_implementation": "flash_attention_2"}},
        {"settings": {"attn_implementation": "sdpa"}},
    ),
    "a native signal": (
        {"events": [make_events(Kind.SIGNAL, [-1], [-11.0], text="Segmentation fault")]},
        {"events": [make_events(Kind.SIGNAL, [-1], [-9.0])]},
    ),
    "stopped by its user": (
        {"events": [make_events(Kind.TRACEBACK, text="KeyboardInterrupt")]},
        {"events": [make_events(Kind.TRACEBACK, text="ValueError: no input_ids (/app/train.py:7)")]},
    ),
    "its session was closed": (
        {"events": [make_events(Kind.SIGNAL, [-1], [-1.0], text="received signal 1")]},
        {"events": [make_events(Kind.SIGNAL, [-1], [-9.0])]},
    ),
    "ROCm build": ({"packages": {"torch": "2.5.0+rocm6.2"}}, {"packages": {"torch": "2.5.0+cu124"}}),
    "several ranks in a collective": (
        {"events": [make_events(Kind.NCCL_TIMEOUT)]},
        {"settings": {"world_size": 1}},
    ),
    "several ranks": ({"settings": {"world_size": 8}}, {"settings": {"world_size": 1}}),
    "deepspeed": ({"settings": {"deepspeed": "ds.json"}}, {"settings": {"deepspeed": None}}),
    "pipeline engine": (
        {"events": [make_events(Kind.PIPELINE_ENGINE)]},
        {"settings": {"pipeline.stages": 1}},
    ),
    "another backend": ({"packages": {"torch-xla": "2.4.0"}}, {"events": [make_events(Kind.OVERFLOW)]}),
    "warm-up as long as the run": (
        {"settings": {"warmup_steps": 100, "max_steps": 60}},
        {"settings": {"warmup_steps": 10, "max_steps": 60}},
    ),
    "completions are all cut": (
        {"completions/clipped_ratio": [1.0, 0.99, 1.0, 1.0]},
        {"completions/clipped_ratio": [0.2, 0.99, 0.3, 0.1]},
    ),
    "the sampler differs": (
        {"sampling/sampling_logp_difference/mean": [0.01, 0.2, 0.4, 0.5]},
        {"sampling/sampling_logp_difference/mean": [0.01, 0.02, 0.012, 0.013]},
    ),
    "a policy is trained": ({"reward": [0.1, 0.2, 0.3]}, {"recon_loss": [4.1, 3.2, 2.9]}),
    "kl is not a number": ({"kl": [0.1, NAN, NAN]}, {"kl": [0.1, 0.2, 0.3]}),
    "overlap_comm": (
        {"settings": {OVERLAP: True}},
        {"settings": {OVERLAP: False}},
    ),
    "clipping left out": (
        {"settings": {**BUCKETS, "max_grad_norm": 1.0}},
        {"settings": {**BUCKETS, "gradient_clipping": "auto"}},
    ),
    "zero stage 0": (stage(0), stage(2)),
    "zero stage 1 or 2": (stage(2), stage(3)),
    "zero stage 2": (stage(2), stage(1)),
    "zero stage 3": (stage(3), stage(2)),
    "bf16": ({"settings": {"bf16": True}}, {"settings": {"fp16": True}}),
    "fp16": ({"settings": {"fp16": True}}, {"settings": {"bf16": True}}),
    "half precision": ({"settings": {"bf16": True}}, {"settings": {"bf16": False, "fp16": False}}),
    "no half precision": ({"settings": {"bf16": False, "fp16": False}}, {"settings": {"bf16": True}}),
}
"""For every observation that an entry may name: a run in which it holds, and one in which it does not."""

OTHER_LINES = ("KeyError: 'input_ids'", "AssertionError: {'id': 7, 'status': 'INFLIGHT'}")
OTHER_BOARDS = ("NVIDIA H100", "Tesla V100", "AMD Instinct MI300", "Ascend 910B")
"""What an entry may look for in vain."""


def facts_for(table: Table, fits: bool) -> Facts:
    """Return what a run must record so that the subject of `table` holds, or so that it does not."""
    subject = found_in("MAKERS", (name for name in MAKERS if name in table), table)
    return MAKERS[subject](table, fits)


def _observed(table: Table, fits: bool) -> Facts:
    made = OBSERVED[table["observation"]][0 if fits else 1]
    assert made is not None, f"{table['observation']} cannot be {'so' if fits else 'otherwise'}"
    return made


def _problem(table: Table, fits: bool) -> Facts:
    return {"checkpoints": broken_file(table["example"] if fits else "something else")}


MAKERS: Mapping[str, Callable[[Table, bool], Facts]] = {
    "observation": _observed,
    "event": lambda table, fits: {"events": [_event(table, fits)]},
    "metric": lambda table, fits: {table["metric"] if fits else "loss": [1.0]},
    "problem": _problem,
    "hardware": lambda table, fits: {
        "hardware": {"gpu": table["example"] if fits else unlike(table["hardware"], OTHER_BOARDS)}
    },
    "package": lambda table, fits: {"packages": {table["package"]: version_for(table["within"], fits)}},
    "setting": lambda table, fits: {"settings": {names_of(table)[0]: _value(table, fits)}},
}


def version_for(specifier: str, fits: bool) -> str:
    """Return a release inside (or outside) a range."""
    bounds = re.findall(r"[\d][\w.]*", specifier)
    near: list[str] = [
        *bounds,
        *(f"{bound}.1" for bound in bounds if bound.replace(".", "").isdigit()),
        "0.0.1.dev0",
        "9999",
    ]
    return found_in(
        "near versions", (v for v in near if SpecifierSet(specifier).contains(v, prereleases=True) is fits), specifier
    )


def _event(table: Table, fits: bool) -> Any:
    says = table.get("says")
    if says is None:
        return make_events(table["event"] if fits else Kind.EVALUATED)
    return make_events(table["event"], text=table["example"] if fits else unlike(says, OTHER_LINES))


def unlike(pattern: str, texts: Sequence[str]) -> str:
    """Return the first text that the pattern does not fit."""
    return found_in("other texts", (text for text in texts if not _search(pattern, text)), pattern)


def _search(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text, re.IGNORECASE)


def _value(table: Table, fits: bool) -> Any:
    if "is" in table:
        wanted = table["is"][0]
        return wanted if fits else {True: False, False: True}.get(wanted, "something else")
    if "matches" in table:
        return table["example"] if fits else "none of them"
    if "above" in table or "below" in table:
        inside = table.get("above", 0) + 1 if "above" in table else table["below"] / 2
        outside = table["above"] if "above" in table else table["below"] * 2
        return inside if fits else outside
    return "yes" if fits else ""


def run_of(facts: Facts) -> Run:
    return make_run(**{name: given for name, given in facts.items() if name not in {"onset", "symptom"}})


def explained_by(facts: Facts) -> Explained:
    step, symptom = facts.get("onset", 5), facts.get("symptom", "loss-to-zero")
    return Explained(symptom, Finding(symptom, "error", symptom, Source("log"), step, bracket(step)))


def fits_in(table: Table, facts: Facts, fits: bool = True) -> bool:
    """Tell whether the run of `facts` shows the subject of `table` as holding (or as not holding)."""
    seen = look(table, run_of(facts), explained_by(facts))
    return seen is not None and seen.holds is fits


def merged(*parts: Facts) -> Facts:
    """Put facts together; of two that contradict each other the later one stays."""
    both: Facts = {}
    for part in parts:
        for name, given in part.items():
            if isinstance(given, Mapping):
                both[name] = {**both.get(name, {}), **given}
            elif name in {"events", "checkpoints"}:
                both[name] = [*both.get(name, []), *given]
            else:
                both[name] = given
    return both


def together(tables: Sequence[Table], start: Facts, kept: Sequence[Table] = ()) -> Facts:
    """Add to `start`, in turn, what each table looks for, where that contradicts nothing added before."""
    facts, held = start, list(kept)
    for table in tables:
        tried = merged(facts, facts_for(table, fits=True))
        if all(fits_in(one, tried) for one in (*held, table)):
            facts = tried
            held.append(table)
    return facts
