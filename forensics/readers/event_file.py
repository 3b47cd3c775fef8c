"""TensorBoard event files, of any writer: `events.out.tfevents.1714557600.node01.4242.0`.

    event 1   file_version "brain.Event:2"
    event 2   step 0   args/text_summary            {"output_dir": "out", "learning_rate": 2e-05, ...}
    event 3   step 0   model_config/text_summary    {"model_type": "llama", "transformers_version": "4.57.1", ...}
    event 4   step 10  train/loss                   1.9342000484466553

The Trainer writes `args` and `model_config` once and each log under `train/`, `eval/` or `test/`
(`integrations/integration_utils.py`, `TensorBoardCallback`, `rewrite_logs`). It never asks for a purge, so that
steps trained again after a resume are there twice; every point is kept. DeepSpeed's monitor counts samples
instead of steps (`runtime/engine.py`, `_write_monitor`). Megatron writes each metric over iterations and again over
samples (`lm loss vs samples`; `training.py`, `training_log`), its BigScience fork over tokens and floating point
operations as well: the tag says what its steps count. Events are counted from 1.
"""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.formats.event_columns import Points
from forensics.formats.event_file import Announced, Contents, Stated, read_events
from forensics.formats.event_frames import length_at
from forensics.formats.event_proto import decode_hparams
from forensics.formats.flatten import flatten, scalar
from forensics.formats.lenient_json import parse
from forensics.formats.placeholder import HEAD_BYTES, recognise
from forensics.model import Artifact, Axis, Events, Fact, Samples, Scalar, Setting, Skip, Standing
from forensics.names import ALIASES, Kind, canonical
from forensics.plugin import reader
from forensics.readers._environment import package
from forensics.storage.file import File

EVENT = "event {}"
ARGUMENTS, MODEL = "args/text_summary", "model_config/text_summary"
MAX_FIRST_RECORD = 1 << 20
"""A file is taken for an event file when its first record is this short at most and its length has a good CRC."""

_GZIP = b"\x1f\x8b"
_OVER = expression(r"(?P<metric>.*\S)(?:[ _-](?:vs|by)[ _-]| over )(?P<counted>[A-Za-z][\w ()-]{0,60})$")
_COUNTED: dict[str, Axis] = {
    **dict.fromkeys(("step", "steps", "iteration", "iterations", "iters", "updates"), "step"),
    **dict.fromkeys(("samples", "consumed samples", "examples"), "samples"),
    **dict.fromkeys(("tokens", "consumed tokens"), "tokens"),
    **dict.fromkeys(("seconds", "time", "wall time", "walltime"), "seconds"),
    **dict.fromkeys(("epoch", "epochs"), "epoch"),
    **dict.fromkeys(("entry", "entries"), "entry"),
}
"""What a tag may say that its steps count; "over entries" and the like are written by `timeline -f tensorboard`."""
_OTHERS = ("flop", "flos", "byte", "hour", "day")
"""Words of axes that tell no place of a run. Whatever else stands behind "vs" belongs to the name of the metric."""
_MONITOR = ("Train/Samples/", "Train/Eigenvalues/")
_MEGATRON_FOLDERS = ("lm-loss-training/", "lm-loss-validation/", "learning-rate/", "grad-norm/", "loss-scale/")
"""Folders that Megatron-DeepSpeed puts before Megatron-LM's tags."""
_EVALUATION = {"eval": "eval/", "val": "eval/", "valid": "eval/", "validation": "eval/", "test": "test/"}
MAX_TAGS = 20_000
"""Tags that a file may have; a norm for each parameter of a large model makes a few thousand."""
_SESSIONS = {1: Kind.RESUMED, 3: Kind.CHECKPOINT_SAVED}


def _sniff(head: bytes) -> bool:
    length = length_at(np.frombuffer(head[:16], np.uint8))
    return length is not None and length <= MAX_FIRST_RECORD


@reader(
    "tensorboard",
    match=(r"(^|/)[^/]*tfevents\.",),
    sniff=_sniff,
    binary=True,
    tested="torch 2.13.0, tensorboardX 2.6.5, lightning 2.6.6",
)
def event_file(artifact: Artifact) -> Iterator[Fact]:
    """TensorBoard event files: all points of all scalars, CRCs checked; arguments, model, hyper-parameters."""
    with File(artifact.location) as file:
        head = file.head(HEAD_BYTES)
        wrong = "compressed (gzip): unpack it first" if head.startswith(_GZIP) else recognise(head, file.size)
        if wrong is not None:
            yield Skip(artifact.path, f"is {wrong}")
            return
        contents = read_events(file, artifact.limits)
    yield from _skips(artifact, contents)
    for text in contents.texts:
        yield from _settings_of_text(artifact, text)
    for stated in contents.hparams:
        yield from _settings_of_hparams(artifact, stated)
    yield from _events(artifact, contents.sessions)
    scalars = [points for points in contents.points if not _over_another_axis(points.tag)]
    if len(scalars) > MAX_TAGS:
        yield Skip(artifact.path, f"{len(scalars) - MAX_TAGS:,} tags beyond the first {MAX_TAGS:,} were left out")
        scalars = sorted(scalars, key=lambda points: int(points.records[0]))[:MAX_TAGS]
    for points in scalars:
        yield _samples(artifact, points)


def _skips(artifact: Artifact, contents: Contents) -> Iterator[Skip]:
    for damage in contents.damage:
        yield Skip(artifact.path, damage)
    if not contents.events and not contents.damage:
        yield Skip(artifact.path, f"holds no event: {artifact.size} bytes of header, then the writer ended")
    others_axes = sum(_over_another_axis(points.tag) for points in contents.points)
    if others_axes:
        yield Skip(artifact.path, f"tags over floating point operations and the like were not examined: {others_axes}")
    others = dict(contents.passed_over)
    texts = sum(text.tag not in {ARGUMENTS, MODEL} for text in contents.texts)
    if texts:
        others["text"] = others.get("text", 0) + texts
    others.pop("nothing", None)
    if others:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        yield Skip(artifact.path, f"values other than scalars were not examined: {told}")


def _settings_of_text(artifact: Artifact, text: Stated) -> Iterator[Fact]:
    """Yield the arguments bare, those that configure DeepSpeed by its own keys, the model under `model.`."""
    if text.tag not in {ARGUMENTS, MODEL}:
        return
    source = artifact.at(EVENT, text.record)
    try:
        found = parse(text.value.text.encode("utf-8", "surrogatepass"), artifact.limits).value
        named = list(_named(found, "model" if text.tag == MODEL else ""))
    except MalformedError as error:
        yield Skip(f"{artifact.path}:{source.place}", f"{text.tag}: {error}")
        return
    for name, value in named:
        if name == "model.transformers_version" and isinstance(value, str):
            yield from package("transformers", value, source, Standing.RECORDED)
        yield Setting("setting", name, value, source, Standing.RECORDED)


def _named(found: object, prefix: str) -> Iterator[tuple[str, Scalar]]:
    if not isinstance(found, dict):
        raise MalformedError("is no JSON object")
    deepspeed = None if prefix else found.get("deepspeed")
    if isinstance(deepspeed, dict):
        yield from flatten(found | {"deepspeed": "<given as a dictionary>"})
        yield from flatten(deepspeed)
    else:
        yield from flatten(found, prefix)


def _settings_of_hparams(artifact: Artifact, stated: Stated) -> Iterator[Fact]:
    """Yield what `add_hparams` was given; the Trainer gave all its arguments up to transformers 4.29."""
    source = artifact.at(EVENT, stated.record)
    try:
        for name, value in decode_hparams(stated.value.content):
            yield Setting("setting", name, _plain(name, value), source, Standing.RECORDED)
    except MalformedError as error:
        yield Skip(f"{artifact.path}:{source.place}", f"{stated.tag}: {error}")


def _plain(name: str, value: Scalar) -> Scalar:
    """Undo what the writer did: integers were stored as doubles, None as its name (`to_sanitized_dict`)."""
    if value == "None":
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return scalar(name, int(value))
    return scalar(name, value)


def _events(artifact: Artifact, sessions: tuple[Announced, ...]) -> Iterator[Events]:
    """Yield session starts and checkpoints. A start after step 0 makes TensorBoard hide later steps before it."""
    for status, kind in _SESSIONS.items():
        told = [s for s in sessions if s.status == status and (status != 1 or s.step > 0)]
        if told:
            first = told[0]
            start = f"SessionLog START at step {first.step}: TensorBoard hides what was written for it before"
            yield Events(
                kind=kind,
                steps=np.array([s.step for s in told], np.int64),
                values=np.full(len(told), np.nan),
                records=np.array([s.record for s in told], np.int64),
                path=artifact.path,
                place=EVENT,
                text=start if status == 1 else f"SessionLog CHECKPOINT {first.checkpoint}",
            )


def _samples(artifact: Artifact, points: Points) -> Samples:
    name, axis = metric_of(points.tag, artifact.path)
    return Samples(
        name=name,
        steps=points.steps,
        values=points.values,
        records=points.records,
        path=artifact.path,
        place=EVENT,
        precision=points.precision,
        wall_times=points.wall_times,
        axis=axis,
    )


def _over_another_axis(tag: str) -> bool:
    over = _OVER.match(tag)
    return over is not None and any(word in over["counted"].lower() for word in _OTHERS)


def _of_a_set(tag: str) -> str:
    """Return the name of a metric that Megatron-DeepSpeed may write for each validation set: `valid/lm loss`."""
    held, _, metric = tag.rpartition("/")
    name = canonical(metric)
    if not held:
        return name
    return f"eval_{'' if held in _EVALUATION else f'{held}_'}{name.removeprefix('eval_')}"


def metric_of(tag: str, path: str) -> tuple[str, Axis]:
    """Return the canonical name of a tag and what its steps count.

    The folder counts where the writer put the difference there: `add_scalars("loss", {"val": ...})` writes tag
    `loss` to `loss_val/` (torch) or `loss/val/` (tensorboardX), Keras writes to `validation/`.

    >>> metric_of("Train/Samples/lr", "a"), metric_of("lm loss vs samples", "a"), metric_of("loss", "loss_val/a")
    (('learning_rate', 'samples'), ('loss', 'samples'), ('eval_loss', 'step'))
    """
    if tag.startswith(_MONITOR):
        return (canonical(tag) if tag in ALIASES else tag.split("/", 2)[2]), "samples"
    axis: Axis = "step"
    over = _OVER.match(tag)
    counted = _COUNTED.get(over["counted"].lower().replace("_", " ")) if over is not None else None
    if over is not None and counted is not None:
        tag, axis = over["metric"], counted
    above, _, folder = path.rpartition("/")[0].rpartition("/")
    joined = tag.replace("/", "_") + "_"
    if folder.startswith(joined) and len(folder) > len(joined):
        return canonical(f"{folder[len(joined) :]}/{tag}"), axis
    if f"/{above}".endswith(f"/{tag}"):
        return canonical(f"{folder}/{tag}"), axis
    if folder in _EVALUATION and not tag.startswith(("eval", "val", "test", "train")):
        return canonical(_EVALUATION[folder] + tag), axis
    for prefix in _MEGATRON_FOLDERS:
        if tag.startswith(prefix):
            return _of_a_set(tag.removeprefix(prefix)), axis
    return canonical(tag), axis
