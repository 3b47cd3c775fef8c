r"""Python as far as it sets a run up: a cell of a notebook, a block of an issue, a script or configuration of the run.

    args = TrainingArguments("out", learning_rate=2e-4, fp16=not is_bfloat16_supported(), optim="adamw_8bit")
    model = AutoModelForCausalLM.from_pretrained("gpt2", torch_dtype=torch.float16)
    os.environ["NCCL_P2P_DISABLE"] = "1"
    loss = losses.MultipleNegativesRankingLoss(model)

A file of assignments alone is a configuration (nanoGPT, mmengine): there each name is a setting.

Nothing is run. A value counts when it is written out, or is a name that was given such a value before; what only a
program could tell is left out. All of it was meant, none of it measured.
"""

import ast
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import field

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import LimitError
from forensics.formats.flatten import flatten, scalar
from forensics.model import Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._arguments import TRAINING, told
from forensics.readers._environment import LINE, read_head

_ARGUMENTS = expression(
    r"(?:Arguments|Args|(?:SFT|DPO|GRPO|PPO|ORPO|KTO|CPO|RLOO|Reward|PRM|BCO|XPO|OnlineDPO|NashMD|GKD|Online|Iterative)Config"
    r"|Trainer|Accelerator|TrainerConfig)$"
)
_PREFIXES = {"LoraConfig": "adapter", "BitsAndBytesConfig": "model.quantization_config", "get_peft_model": "adapter"}
_MODELS = expression(r"^from_(?:pretrained|config)$")
_OF_A_MODEL = frozenset(
    {
        "torch_dtype",
        "dtype",
        "attn_implementation",
        "load_in_4bit",
        "load_in_8bit",
        "device_map",
        "use_cache",
        "use_flash_attention_2",
        "max_seq_length",
    }
)
_ENGINE = frozenset({"zero_optimization", "train_micro_batch_size_per_gpu", "zero_allow_untested_optimizer"})
_OPTIMIZERS = expression(
    r"^(?:Adam\w{0,12}|SGD|RMSprop|Adagrad|Adadelta|Lion|Lamb|LAMB|[NR]Adam|adamw?|sgd|lion|lamb|rmsprop|adafactor)$"
)
"""Optimizers of torch, Keras, optax. Their rate is called `lr` here: a schedule may begin below or go above it."""
_LOSS = expression(r"^[A-Z]\w*Loss$")
_PLAIN = (ast.Assign, ast.Expr, ast.Import, ast.ImportFrom, ast.With)
"""What a configuration is made of: assignments, a word on them, `with read_base():` of mmengine."""
MOST_CHARACTERS, MOST_SIGNS = 1 << 19, 50_000
"""Characters of a program, and the marks among them; `ast` builds up to 1.8 kB for each. The longest file of
transformers 5, `modeling_utils.py`, has 279,000 characters and 14,000 marks."""
_SIGNS = ";,\n.([{+-*/"


@dataclass(slots=True)
class _Program:
    """The names that were given written-out values so far."""

    artifact: Artifact
    known: dict[str, object] = field(default_factory=dict)

    def told(self, name: str, value: object, line: int) -> Iterator[Setting]:
        source = self.artifact.at(LINE, line)
        try:
            for dotted, held in flatten(value, name):
                yield Setting("setting", dotted, held, source, Standing.INTENDED)
        except LimitError:
            return

    def value(self, node: ast.expr) -> object:
        """Return what an expression spells; raises `ValueError` when only a program could tell."""
        if isinstance(node, ast.Name) and node.id in self.known:
            return self.known[node.id]
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"torch", "tf", "jnp"}
        ):
            return node.attr
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.value(each) for each in node.elts]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict" and not node.args:
            return {each.arg: self.value(each.value) for each in node.keywords if each.arg}
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return {str(self.value(key)): self.value(held) for key, held in pairs if key is not None}
        try:
            return ast.literal_eval(node)
        except (TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None


@reader(
    "python-source",
    match=(r"/block\.py$", r"/cell\.py$", r"\.ipynb/\d+/[^/]+\.py$", r"^(?:[^/]+/)?[^/]+\.py$"),
)
def python_source(artifact: Artifact) -> Iterator[Fact]:
    """Python in notebooks, issues and beside a log: TrainingArguments and their kin, models, losses, plain settings."""
    text = read_head(artifact).decode("utf-8", "replace")[:MOST_CHARACTERS]
    if sum(map(text.count, _SIGNS)) > MOST_SIGNS:
        yield Skip(artifact.path, f"a program of more than {MOST_SIGNS:,} marks; it was not read")
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    program = _Program(artifact)
    if all(isinstance(node, _PLAIN) for node in tree.body):
        yield from _configuration(program, tree)
    for node in _statements(tree):
        if isinstance(node, ast.Assign):
            yield from _assigned(program, node)
        elif isinstance(node, ast.Call):
            yield from _called(program, node)


def _configuration(program: _Program, tree: ast.Module) -> Iterator[Setting]:
    """Yield the names that a file of assignments sets, where any of them is one of a training configuration."""
    held: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            with contextlib.suppress(ValueError, LimitError):
                held[node.targets[0].id] = program.known[node.targets[0].id] = program.value(node.value)
    found = list(told(program.artifact, held, Standing.CONFIGURED))
    if any(setting.name in TRAINING for setting in found):
        yield from found


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield assignments and calls in the order in which they are written."""
    found = (node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.Call)))
    return iter(sorted(found, key=lambda node: (node.lineno, node.col_offset)))


def _assigned(program: _Program, node: ast.Assign) -> Iterator[Setting]:
    try:
        value = program.value(node.value)
    except ValueError:
        return
    for target in node.targets:
        if isinstance(target, ast.Name):
            program.known[target.id] = value
            if isinstance(value, Mapping) and not _ENGINE.isdisjoint(value):
                yield from _engine(program, value, node.lineno)
        elif isinstance(target, ast.Subscript) and ast.unparse(target.value) in {"os.environ", "environ"}:
            yield from _variable(program, target.slice, value, node.lineno)


def _engine(program: _Program, value: Mapping[str, object], line: int) -> Iterator[Setting]:
    source = program.artifact.at(LINE, line)
    for dotted, held in flatten(value):
        yield Setting("setting", dotted, held, source, Standing.CONFIGURED)


def _variable(program: _Program, name: ast.expr, value: object, line: int) -> Iterator[Setting]:
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and isinstance(value, (str, int, float)):
        source = program.artifact.at(LINE, line)
        yield Setting("variable", name.value, scalar(name.value, value), source, Standing.INTENDED)


def _called(program: _Program, node: ast.Call) -> Iterator[Setting]:
    """Yield the written-out keywords of a call that makes arguments, an adapter or a model."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if _LOSS.match(name):
        yield from program.told("loss_function", name, node.lineno)
        return
    if _OPTIMIZERS.match(name):
        for keyword in node.keywords:
            if keyword.arg in {"lr", "learning_rate"}:
                with contextlib.suppress(ValueError):
                    yield from program.told("lr", program.value(keyword.value), keyword.value.lineno)
        return
    prefix = _PREFIXES.get(name, "")
    model = bool(_MODELS.match(name))
    if not prefix and not model and not _ARGUMENTS.search(name):
        return
    for keyword in node.keywords:
        if keyword.arg is None or (model and keyword.arg not in _OF_A_MODEL):
            continue
        try:
            value = program.value(keyword.value)
        except ValueError:
            continue
        if model and value is None:
            continue
        dotted = (
            f"{prefix}.{keyword.arg}" if prefix else "torch_dtype" if model and keyword.arg == "dtype" else keyword.arg
        )
        yield from program.told(dotted, value, keyword.value.lineno)
