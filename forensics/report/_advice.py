"""What to do, as lines to copy: packages to install, settings to change, the checkpoint to resume from."""

import json
import shlex
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Checkpoint, Fix, Report, Run, Scalar
from forensics.report._safe import clean

PACKAGES = frozenset(
    {
        "accelerate", "apex", "bitsandbytes", "datasets", "deepspeed", "flash-attn", "liger-kernel", "lightning",
        "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers", "triton", "trl", "unsloth", "vllm",
        "xformers",
    }
)  # fmt: skip
DEEPSPEED = frozenset(
    {
        "bf16", "communication_data_type", "data_types", "fp16", "gradient_clipping", "optimizer",
        "prescale_gradients", "scheduler", "wall_clock_breakdown", "zero_allow_untested_optimizer",
        "zero_optimization",
    }
)  # fmt: skip
NEEDED = frozenset({"weights", "trainer state"})
_VERSION = expression(r"(?:==|>=|<=|~=|!=|<|>)?\s{0,3}[0-9][0-9A-Za-z.+,<>=!~* -]{0,60}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line to copy, and where it belongs; nowhere in particular for a shell."""

    text: str
    where: str


def fix_lines(fix: Fix, run: Run) -> tuple[Line, ...]:
    """Return the change of a fix as lines to copy; none when the fix changes nothing by name."""
    return tuple(_lines(fix.change or {}, run))


def _lines(change: Mapping[str, Scalar], run: Run) -> Iterator[Line]:
    change = {name: value for name, value in change.items() if not _is_so_already(run, name, value)}
    packages = {n: str(v) for n, v in change.items() if _is_package(n, v)}
    if packages:
        yield Line(f"pip install {' '.join(_requirement(n, v) for n, v in packages.items())}", "")
    rest = {n: v for n, v in change.items() if n not in packages}
    for name in [n for n in rest if n.isupper()]:
        yield Line(f"export {name}={shlex.quote(str(rest.pop(name)))}", "")
    engine = {n: v for n, v in rest.items() if n.split(".")[0] in DEEPSPEED and ("." in n or _has(run, n))}
    if engine:
        yield Line(json.dumps(_nested(engine)), _engine_file(run))
    for name, value in rest.items():
        if name not in engine:
            yield Line(_assignment(name, value), "training arguments")


def _is_so_already(run: Run, name: str, value: Scalar) -> bool:
    """Tell whether a setting has the value that a fix asks for: no advice repeats what the run did."""
    known = run.environment.best(name)
    return known is not None and str(known.value).lower() == str(value).lower()


def _is_package(name: str, value: Scalar) -> bool:
    """Tell whether a change is of a release: a name of `PACKAGES`, or any that is asked for by a range."""
    version = isinstance(value, str) and _VERSION.fullmatch(value) is not None
    return version and (name in PACKAGES or str(value)[0] in "<>=~!")


def _requirement(name: str, version: str) -> str:
    return shlex.quote(f"{name}{version}") if version[:1] in "<>=~!" else f"{name}=={version}"


def _has(run: Run, name: str) -> bool:
    return run.environment.best(name) is not None and "deepspeed" in run.frameworks


def _nested(settings: Mapping[str, Scalar]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in settings.items():
        *folders, leaf = name.split(".")
        place = tree
        for folder in folders:
            deeper = place.setdefault(folder, {})
            assert isinstance(deeper, dict)
            place = deeper
        place[leaf] = value
    return tree


def _engine_file(run: Run) -> str:
    """Name the DeepSpeed configuration file of the run when it is there."""
    for setting in (s for name in ("stage", "overlap_comm") for s in _witnesses(run, f"zero_optimization.{name}")):
        if setting.endswith(".json"):
            return clean(setting, 80)
    return "DeepSpeed configuration"


def _witnesses(run: Run, name: str) -> Iterator[str]:
    return (setting.source.path for setting in run.environment.witnesses(name))


def _assignment(name: str, value: Scalar) -> str:
    head, *deeper = name.split(".")
    if not deeper:
        return f"{head}={value!r}"
    return f"{head}={_nested({'.'.join(deeper): value})!r}"


def resume_line(report: Report) -> Line | None:
    """Return how to go on from the last good checkpoint; None where no command would take it.

    The Trainer fails on a folder without weights or `trainer_state.json`, and under DeepSpeed on one without its
    states (transformers 4.57, `Trainer._load_from_checkpoint`, `deepspeed_load_checkpoint`).
    """
    good = report.run.last_good_checkpoint
    if good is None or report.verdict == "healthy" or not NEEDED.isdisjoint(good.lacks):
        return None
    path = _path(report.run, good)
    named = good.path.rpartition("/")[2].startswith("checkpoint-")
    if good.kind == "deepspeed" and not named:
        folder, _, tag = path.rpartition("/")
        return Line(f"engine.load_checkpoint({folder or '.'!r}, tag={tag!r})", "training script")
    if "deepspeed" in report.run.frameworks and good.lacks:
        return None
    if named and good.kind.startswith("huggingface"):
        return Line(f"--resume_from_checkpoint {shlex.quote(path)}", "")
    return None


def _path(run: Run, checkpoint: Checkpoint) -> str:
    return clean((run.root / checkpoint.path).as_posix(), 400)
