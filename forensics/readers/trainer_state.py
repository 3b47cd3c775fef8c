"""The Trainer's own record: `checkpoint-N/trainer_state.json`.

Written by `TrainerState.save_to_json` (`transformers/trainer_callback.py`) with sorted keys and bare NaN, not by
way of a temporary file, so a crash leaves it cut:

    {
      "best_metric": null,
      "epoch": 0.5,
      "global_step": 20,
      "log_history": [
        {"epoch": 0.25, "grad_norm": 1.5, "learning_rate": 2e-06, "loss": 2.3457, "step": 10},
        {"epoch": 0.5, "grad_norm": NaN, "learning_rate": 1.9e-06, "loss": 0.0, "step": 20}
      ],
      "logging_steps": 10,
      "max_steps": 40
    }
"""

from collections.abc import Iterator, Mapping, Sequence

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.formats.flatten import scalar
from forensics.model import Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object
from forensics.readers._log_history import read_rows
from forensics.readers._transformers_dating import date_state

_BARE = (
    "max_steps",
    "logging_steps",
    "eval_steps",
    "save_steps",
    "best_model_checkpoint",
    "best_metric",
    "best_global_step",
)
# Two of these mean something else under the bare name: `train_batch_size` is that of one process here, the global
# one in DeepSpeed; `num_train_epochs` is what `max_steps` amounts to, rounded up, not the argument.
_OWN = (
    "global_step",
    "epoch",
    "num_train_epochs",
    "num_input_tokens_seen",
    "train_batch_size",
    "is_hyper_param_search",
    "trial_name",
)
_MARKS = expression(rb'"log_history"\s*:')
_SECOND = expression(rb"\A\{[^\n]{0,65536}\}[ \t\r]*\n\s*\{")
_NO_STEPS = 1 << 62
"""Above this, `max_steps` is sys.maxsize: an iterable dataset without a length."""


def _sniff(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    several = _SECOND.search(start) is not None  # JSON lines: ms-swift's `logging.jsonl` ends with such an object
    return start.startswith(b"{") and _MARKS.search(head) is not None and not several


@reader("trainer-state", match=(r"(^|/)trainer_state\.json$",), sniff=_sniff)
def trainer_state(artifact: Artifact) -> Iterator[Fact]:
    """Hugging Face Trainer state: every logged metric in full precision, and the schedule it ran on."""
    document, state = load_object(artifact)
    if state is None:
        raise MalformedError(f"{artifact.path} is no trainer state: it holds no JSON object")
    rows = state.get("log_history")
    if isinstance(rows, list):
        cut = rows if document.broken_at is None else _complete(state, rows, document.open_containers)
        yield from read_rows(artifact, cut)
        kept = f"{len(cut):,} complete entries of log_history were read"
    else:
        cut = []
        kept = "no log_history was read"
        if "log_history" in state or document.broken_at is None:
            yield Skip(artifact.path, "has no list log_history")
    yield from damage(artifact, document, kept)
    yield from _settings(artifact, state)
    yield from date_state(artifact, state, cut, whole=document.broken_at is None)


def _complete(state: dict[str, object], rows: Sequence[object], open_containers: int) -> Sequence[object]:
    """Leave out the row in which the file breaks off: root, list and row are then still open."""
    last_key = next(reversed(state), "")
    return rows[:-1] if last_key == "log_history" and open_containers >= 3 else rows


def _settings(artifact: Artifact, state: Mapping[str, object]) -> Iterator[Setting]:
    named = [(name, name) for name in _BARE] + [(name, f"trainer_state.{name}") for name in _OWN]
    for key, name in named:
        value = state.get(key)
        if isinstance(value, (bool, int, float, str)) and not (key == "max_steps" and _endless(value)):
            yield Setting("setting", name, scalar(name, value), artifact.at(key), Standing.RECORDED)
    callbacks = state.get("stateful_callbacks")
    if isinstance(callbacks, Mapping):
        yield from _callbacks(artifact, callbacks)


def _endless(value: object) -> bool:
    return isinstance(value, int) and value >= _NO_STEPS


def _callbacks(artifact: Artifact, callbacks: Mapping[str, object]) -> Iterator[Setting]:
    wanted = (
        ("TrainerControl", "args", "should_training_stop"),
        ("EarlyStoppingCallback", "args", "early_stopping_patience"),
        ("EarlyStoppingCallback", "attributes", "early_stopping_patience_counter"),
    )
    for callback, part, key in wanted:
        held = callbacks.get(callback)
        inner = held.get(part) if isinstance(held, Mapping) else None
        value = inner.get(key) if isinstance(inner, Mapping) else None
        if isinstance(value, (bool, int, float)):
            source = artifact.at(f"stateful_callbacks.{callback}.{part}.{key}")
            yield Setting("setting", f"trainer_state.{key}", value, source, Standing.RECORDED)
