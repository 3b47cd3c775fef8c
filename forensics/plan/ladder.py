"""From a run's own settings to the rungs of a ladder: one process in float32 first, the whole run last.

Each rung is ten steps under the black box with the same seed, the same global batch and the same order of the data,
so that `medforensics compare` can hold it against the rung before: what fails on a rung was brought in by what that
rung adds.
"""

import shlex

from forensics.deferred.records import dataclass
from forensics.model import Run, Scalar
from forensics.rules._setup import whole_number

STEPS = 10
ARGUMENTS = "argument"
ENGINE = "DeepSpeed configuration"
UNSET = (None, "", "none", "null", False)


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of a rung: `where` it stands (an argument, or the DeepSpeed configuration), what it is in the run."""

    where: str
    name: str
    was: Scalar
    now: Scalar


@dataclass(frozen=True, slots=True)
class Rung:
    """One short run. `adds` is what it has that the rung before had not."""

    number: int
    title: str
    adds: str
    command: str
    expect: str
    if_it_fails: str
    changes: tuple[Change, ...] = ()
    compare: str = ""


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the ladder needs to know of the run."""

    run: Run
    ranks: int
    accumulation: int
    precision: str
    stage: int | None
    compiled: bool

    def value(self, name: str) -> Scalar:
        return self.run.environment.value(name)


def ladder(run: Run) -> tuple[Rung, ...]:
    """Return the rungs, cheapest first; one that would be the same as the rung before is left out."""
    setup = _setup(run)
    rungs = [_small(setup)]
    if setup.precision != "float32" or setup.compiled:
        rungs.append(_precise(setup, len(rungs) + 1))
    if setup.ranks > 1:
        rungs.append(_ranked(setup, len(rungs) + 1))
    rungs.append(_full(setup, len(rungs) + 1))
    return tuple(rungs)


def _setup(run: Run) -> _Setup:
    flags = {name: run.environment.flag(name) or run.environment.flag(f"{name}.enabled") for name in ("bf16", "fp16")}
    precision = next((name for name, on in flags.items() if on), "float32")
    return _Setup(
        run=run,
        ranks=whole_number(run, "world_size") or 1,
        accumulation=whole_number(run, "gradient_accumulation_steps") or 1,
        precision=precision,
        stage=whole_number(run, "zero_optimization.stage"),
        compiled=bool(run.environment.flag("torch_compile")),
    )


def _fixed(setup: _Setup, number: int) -> list[Change]:
    """Return what all rungs share: ten steps, seeds, one order of the data, no saving, a folder of their own."""
    seed = setup.value("seed")
    wanted: dict[str, Scalar] = {
        "max_steps": STEPS,
        "seed": 42 if seed is None else seed,
        "data_seed": 42 if seed is None else seed,
        "dataloader_num_workers": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "output_dir": f"rungs/{number}",
    }
    return [Change(ARGUMENTS, name, setup.value(name), value) for name, value in wanted.items()]


def _alone(setup: _Setup) -> list[Change]:
    """Return the changes that make one process see the global batch of all ranks."""
    wanted: dict[str, Scalar] = {"gradient_accumulation_steps": setup.accumulation * setup.ranks}
    if setup.stage is not None or setup.value("deepspeed") not in UNSET:
        wanted["deepspeed"] = None
    if setup.value("fsdp") not in UNSET:
        wanted["fsdp"] = ""
    return [Change(ARGUMENTS, name, setup.value(name), value) for name, value in wanted.items()]


def _own(setup: _Setup, *parts: str) -> list[Change]:
    """Return arguments that a rung keeps as they are in the run, so that its launch line says them."""
    wanted: dict[str, Scalar] = {}
    if "precision" in parts and setup.precision != "float32":
        wanted[setup.precision] = True
    if "deepspeed" in parts and setup.value("deepspeed") not in UNSET:
        wanted["deepspeed"] = setup.value("deepspeed")
    return [Change(ARGUMENTS, name, value, value) for name, value in wanted.items()]


def _small(setup: _Setup) -> Rung:
    wanted: dict[str, Scalar] = {"bf16": False, "fp16": False, "torch_compile": False, "attn_implementation": "eager"}
    plain = [Change(ARGUMENTS, name, setup.value(name), value) for name, value in wanted.items()]
    changes = [*_fixed(setup, 1), *_alone(setup), *plain]
    return Rung(
        number=1,
        title="one process, float32, eager attention, no compilation",
        adds="model, data and optimizer alone",
        command=_command(setup, changes, 1),
        expect="finite gradients in every tensor, none of them exactly 0, weights that move, a loss that falls or"
        " wavers around its first value",
        if_it_fails="the model, its data or labels, or the learning rate; nothing of precision or communication is"
        " involved",
        changes=_differing(changes),
    )


def _precise(setup: _Setup, number: int) -> Rung:
    changes = [*_fixed(setup, number), *_alone(setup), *_own(setup, "precision")]
    added = " and ".join(x for x in (setup.precision, "torch.compile" if setup.compiled else "") if x)
    return Rung(
        number=number,
        title=f"one process in the run's own precision and kernels ({added})",
        adds=f"{added}, and the attention kernel of the run",
        command=_command(setup, changes, 1),
        expect="local gradients within 2 % of the rung before in step 1; most weights move (a bfloat16 weight stands"
        " still under a small learning rate)",
        if_it_fails="precision or a kernel: the tensor that parts first, in backward order, says where",
        changes=_differing(changes),
        compare=_compare(number),
    )


def _ranked(setup: _Setup, number: int) -> Rung:
    engine: dict[str, Scalar] = {}
    if setup.stage is not None:
        engine = {
            "zero_optimization.overlap_comm": False,
            "zero_optimization.zero_hpz_partition_size": 1,
            "zero_optimization.zero_quantized_weights": False,
            "zero_optimization.zero_quantized_gradients": False,
        }
    changes = [
        *_fixed(setup, number),
        *_own(setup, "precision", "deepspeed"),
        *(Change(ENGINE, name, setup.value(name), value) for name, value in engine.items()),
    ]
    overlap = " without overlapping communication" if setup.stage is not None else ""
    return Rung(
        number=number,
        title=f"its {setup.ranks} ranks{overlap}",
        adds=f"the reduction over {setup.ranks} ranks",
        command=_command(setup, changes, setup.ranks),
        expect="the reduced gradients are those that one process accumulated (relative difference under 2 % in"
        " step 1), the ranks' weights stay equal to the last bit",
        if_it_fails="communication or the sharding of the optimizer: local gradients that are finite and reduced ones"
        " that are not prove it",
        changes=_differing(changes),
        compare=_compare(number),
    )


def _full(setup: _Setup, number: int) -> Rung:
    changes = [*_fixed(setup, number), *_own(setup, "precision", "deepspeed")]
    overlapped = setup.ranks > 1 and setup.stage is not None
    return Rung(
        number=number,
        title="the run as it was, for ten steps" if number > 1 else "the run as it was",
        adds="overlapping communication, and whatever else was left out"
        if overlapped
        else "whatever else was left out",
        command=_command(setup, changes, setup.ranks),
        expect="the same as the rung before, to the last digits",
        if_it_fails="what this rung adds; when it holds, record the whole run with stop_on='nonfinite'",
        changes=_differing(changes),
        compare=_compare(number),
    )


def _compare(number: int) -> str:
    return f"medforensics compare rungs/{number - 1} rungs/{number}"


def _differing(changes: list[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if str(change.was).lower() != str(change.now).lower())


def _command(setup: _Setup, changes: list[Change], ranks: int) -> str:
    """Return the launch line: the run's own script and arguments, with the arguments of the rung in their place."""
    script, kept = _launched(setup.run)
    wanted = {change.name: change.now for change in changes if change.where == ARGUMENTS}
    words = [script, *(word for name, word in kept if name not in wanted)]
    words += [f"--{name}={_text(value)}" for name, value in wanted.items() if value is not None and value != ""]
    start = ["python"] if ranks == 1 else ["torchrun", "--nproc_per_node", str(ranks)]
    return shlex.join([*start, *words])


def _text(value: Scalar) -> str:
    return str(value)


SCRIPT = "train.py"


def _launched(run: Run) -> tuple[str, list[tuple[str, str]]]:
    """Return script and arguments as recorded, each with its name; a stand-in where no command was recorded."""
    recorded = next((str(setting.value) for setting in run.environment.of("command") if setting.name != "launcher"), "")
    try:
        words = shlex.split(recorded)
    except ValueError:
        words = recorded.split()
    at = next((i for i, word in enumerate(words) if word.endswith(".py")), None)
    if at is None:
        return SCRIPT, []
    kept: list[tuple[str, str]] = []
    name = ""
    for word in words[at + 1 :]:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("-", "_")
        kept.append((name, word))
    return words[at], kept
