r"""The script that started the run: `train.sh`, `finetune.slurm`.

    export NCCL_P2P_DISABLE=1
    LR=2e-6
    torchrun --nnodes 2 --nproc_per_node=8 train.py \
        --deepspeed zero2.json \
        --learning_rate $LR \
        --bf16 True

What a script says was meant, not measured: everything is INTENDED.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import field

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.flatten import REDACTED, is_secret, scalar
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Scalar, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import EXACT, LINE, package, read_lines, too_long
from forensics.readers._images import IMAGE, image_settings
from forensics.readers._shell import Command, find_commands

_LAUNCHER = expression(
    r"(?:^|/)(?:torchrun|deepspeed|accelerate|python[\d.]*|llamafactory-cli|swift|megatron|axolotl|tune|xtuner|nemo|composer"
    r"|srun|mpirun|mpiexec|horovodrun|colossalai|fairseq-(?:hydra-)?train|onmt_train|t2t-trainer|sockeye-train)$"
)
_SHELL = expression(rb"^#!\s?\S{0,80}\b(?:ba|z|da)?sh\b")
_SCRIPT = expression(r"\.(?:py|ya?ml)$")
_OF_A_FILE = expression(r"^--?\w[\w-]*(?:config|file)$")
"""An argument of a launcher whose value is no script, whatever it ends with."""
_LAUNCH_MODULES = frozenset({"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"})
_PLACES = frozenset({"launch", "train", "sft", "pt", "rlhf", "run", "export", "eval"})
"""Words that may stand between a launcher and its script: `accelerate launch`, `swift rlhf`."""
_PER_NODE = ("nproc_per_node", "num_gpus")
_NODES = ("nnodes", "num_nodes")


@dataclass(slots=True)
class _Call:
    """The arguments of a launcher, and those of the script that it starts."""

    launcher: dict[str, Scalar] = field(default_factory=dict)
    script: dict[str, Scalar] = field(default_factory=dict)


@reader("launch-script", match=(r"\.(sh|bash|slurm|sbatch)$",), sniff=lambda head: _SHELL.match(head) is not None)
def launch_script(artifact: Artifact) -> Iterator[Fact]:
    """Shell scripts that start training: arguments, exported variables, number of processes."""
    yield from too_long(artifact, "commands")
    for command in find_commands(list(read_lines(artifact))):
        source = artifact.at(LINE, command.number)
        index = _launcher_index(command.words)
        if command.exported or index is not None:
            for name, value in command.assigned:
                yield Setting("variable", name, scalar(name, value), source, Standing.INTENDED)
        if index is not None:
            yield from _read_call(command, index, source)
        if "install" in command.words or "docker" in command.words:
            yield from _installed(command.words, source)


def _installed(words: Sequence[str], source: Source) -> Iterator[Setting]:
    """Yield exact versions that a command installs (pip, uv, conda), and the image in which `docker run` starts one."""
    for word in words:
        if "install" in words and (match := EXACT.search(word)):
            yield from package(match[1], match[2], source, Standing.INTENDED)
        elif "docker" in words and (image := IMAGE.fullmatch(word)):
            yield from image_settings(image[1], source)


def _launcher_index(words: Sequence[str]) -> int | None:
    for index, word in enumerate(words[:200]):
        if _LAUNCHER.search(word):
            return index
    return None


def _read_call(command: Command, index: int, source: Source) -> Iterator[Setting]:
    call = _parse(command.words[index:])
    if not call.script and not call.launcher:
        return
    yield Setting("command", "launch", _told(command.words), source, Standing.INTENDED)
    size = _world_size({**_of_environment(command.assigned), **call.launcher})
    if size is not None:
        yield Setting("setting", "world_size", size, source, Standing.INTENDED)
    for name in ("mixed_precision", "zero_stage", "num_processes", "num_machines"):
        if name in call.launcher:
            yield Setting("setting", f"accelerate.{name}", call.launcher[name], source, Standing.INTENDED)
    for name, value in call.script.items():
        yield Setting("setting", name, value, source, Standing.INTENDED)


def _of_environment(assigned: Sequence[tuple[str, str]]) -> dict[str, Scalar]:
    """Return what ms-swift and others take from variables set before the command: NPROC_PER_NODE=8 swift sft."""
    known = {name: plain(value) for name, value in assigned if name in {"NPROC_PER_NODE", "NNODES"}}
    return {name.lower(): value for name, value in known.items() if isinstance(value, int)}


def _parse(words: Sequence[str]) -> _Call:
    """Sort arguments: before the script they are the launcher's, after it the script's own."""
    call = _Call()
    started = not re.search(
        r"(?:torchrun|deepspeed|accelerate|python[\d.]*|srun|mpirun|mpiexec|horovodrun|colossalai)$", words[0]
    )
    position = 1
    while position < len(words):
        word = words[position]
        position += 1
        if word == "-m" and position < len(words):
            started = started or words[position] not in _LAUNCH_MODULES
            position += 1
        elif word.startswith("-") and not _is_number(word):
            taken, values = _values(words, position, started=started, names_a_file=_OF_A_FILE.search(word) is not None)
            position += taken
            _keep(call.script if started else call.launcher, word, values)
        elif _SCRIPT.search(word):
            started = True
        elif "=" in word and started and re.fullmatch(r"[+~]{0,2}[\w.]{1,200}=.*", word, re.DOTALL):
            name, _, value = word.lstrip("+~").partition("=")  # Hydra: trainer.lr=1e-6
            call.script[name] = scalar(name, plain(value))
    return call


def _values(words: Sequence[str], position: int, *, started: bool, names_a_file: bool) -> tuple[int, list[str]]:
    values: list[str] = []
    for word in words[position : position + 100]:
        is_script = (
            not started and not names_a_file and (_SCRIPT.search(word) or _LAUNCHER.search(word) or word in _PLACES)
        )
        if (word.startswith("-") and not _is_number(word)) or is_script:
            break
        values.append(word)
        if not started:  # a launcher's argument has one value
            break
    return len(values), values


def _keep(arguments: dict[str, Scalar], word: str, values: Sequence[str]) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    name = name.replace("-", "_")[:200]
    given = [value] if equals else list(values)
    if re.fullmatch(r"[A-Za-z]\w*(?:\.\w+)*", name):
        held: object = True if not given else plain(given[0]) if len(given) == 1 else given
        arguments[name] = scalar(name, held)


def _is_number(word: str) -> bool:
    return isinstance(plain(word), (int, float))


def _world_size(launcher: dict[str, Scalar]) -> int | None:
    total = launcher.get("num_processes")
    if type(total) is int and total > 0:
        return total
    per_node = next((launcher[name] for name in _PER_NODE if name in launcher), None)
    nodes = next((launcher[name] for name in _NODES if name in launcher), 1)
    if type(per_node) is int and type(nodes) is int and 0 < per_node < 1 << 20 and 0 < nodes < 1 << 20:
        return per_node * nodes
    return None


def _told(words: Sequence[str]) -> Scalar:
    """Return the command as text without the values of secret arguments."""
    told: list[str] = []
    hide = False
    for word in words[:500]:
        name, equals, _ = word.partition("=")
        secret = is_secret(name.lstrip("-").replace("-", "_"))
        if hide and not word.startswith("-"):
            told.append(REDACTED)
        else:
            told.append(f"{name}={REDACTED}" if secret and equals else word)
        hide = secret and not equals and word.startswith("-")
    return scalar("launch", " ".join(told))
