"""Rows of template tokens: which are read, how long they are, and what keeps quiet about them."""

import json
from pathlib import Path
from typing import Any

import pytest

from forensics.model import Checkpoint, TokenRows
from forensics.weights import examine_checkpoints
from weights.checkpoint_files import checkpoints_in

torch = pytest.importorskip("torch")
save_file: Any = pytest.importorskip("safetensors.torch").save_file

NAME = "model.embed_tokens.weight"
ADDED = {"98": {"content": "<|im_start|>"}, "99": {"content": "<|im_end|>"}, "97": {"content": "<|unused|>"}}
TEMPLATE = "{{ '<|im_start|>' + role + '<|im_end|>' }}"


def saved(folder: Path, table: Any, **config: object) -> Checkpoint:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({NAME: table, "model.norm.weight": torch.ones(4)}, folder / "model.safetensors")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (checkpoint,) = examine_checkpoints(folder, checkpoints_in(folder))[0]
    return checkpoint


def rows_of(checkpoint: Checkpoint) -> TokenRows:
    assert checkpoint.token_rows is not None
    return checkpoint.token_rows


def table(dtype: Any = torch.float32) -> Any:
    rows = torch.ones(100, 4, dtype=dtype)
    rows[98] = 0.0
    return rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_rows_of_tokens_that_the_template_writes_are_measured(tmp_path: Path, dtype: Any) -> None:
    """A special token that the template does not use is none of its own, whatever its row."""
    rows = rows_of(saved(tmp_path, table(dtype), added_tokens_decoder=ADDED, chat_template=TEMPLATE))

    assert rows == TokenRows(NAME, ("<|im_start|>", "<|im_end|>"), (0.0, 2.0), 2.0)


def test_a_row_that_is_no_number_is_measured_as_such(tmp_path: Path) -> None:
    """And the median of the others stays a number, where one of them holds NaN."""
    rows = table()
    rows[0], rows[98] = float("nan"), float("nan")
    found = rows_of(saved(tmp_path, rows, added_tokens_decoder=ADDED, chat_template=TEMPLATE))

    assert (str(found.norms[0]), found.norms[1], found.usual) == ("nan", 2.0, 2.0)


def test_templates_lie_in_the_configuration_by_name_or_in_a_file_of_their_own(tmp_path: Path) -> None:
    named = [{"name": "default", "template": TEMPLATE}, {"name": "tools", "template": "{{ '<|unused|>' }}"}]
    both = rows_of(saved(tmp_path / "a", table(), added_tokens_decoder=ADDED, chat_template=named))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/chat_template.jinja").write_text("{{ '<|im_end|>' }}")
    own = rows_of(saved(tmp_path / "b", table(), added_tokens_decoder=ADDED))

    assert both.tokens == ("<|unused|>", "<|im_start|>", "<|im_end|>")
    assert own.tokens == ("<|im_end|>",)


def test_added_tokens_lie_in_a_file_of_their_own_in_older_saves(tmp_path: Path) -> None:
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_start|>": 98, "<|im_end|>": "x", "<|unused|>": 97}))
    rows = rows_of(saved(tmp_path, table(), chat_template=TEMPLATE))

    assert (rows.tokens, rows.norms) == (("<|im_start|>",), (0.0,))


@pytest.mark.parametrize(
    ("made", "config"),
    [
        (table(), {"added_tokens_decoder": ADDED}),
        (table(), {"chat_template": TEMPLATE}),
        (table(), {"added_tokens_decoder": {"x": {"content": "<|im_start|>"}, "98": 3}, "chat_template": TEMPLATE}),
        (table(), {"added_tokens_decoder": {"100": {"content": "<|im_start|>"}}, "chat_template": TEMPLATE}),
        (table()[:20].clone(), {"added_tokens_decoder": {"2": ADDED["98"]}, "chat_template": TEMPLATE}),
        (torch.ones(100, 4, dtype=torch.int8), {"added_tokens_decoder": ADDED, "chat_template": TEMPLATE}),
        (torch.ones(100), {"added_tokens_decoder": ADDED, "chat_template": TEMPLATE}),
    ],
    ids=["no template", "no tokens", "no ids", "beyond the table", "few rows", "packed", "a vector"],
)
def test_nothing_is_measured_without_a_template_and_a_plain_table(tmp_path: Path, made: Any, config: Any) -> None:
    assert saved(tmp_path, made, **config).token_rows is None


def test_nothing_is_measured_of_a_file_that_went_away(tmp_path: Path) -> None:
    saved(tmp_path, table(), added_tokens_decoder=ADDED, chat_template=TEMPLATE)
    checkpoints = checkpoints_in(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (checkpoint,) = examine_checkpoints(tmp_path, checkpoints)[0]

    assert checkpoint.token_rows is None
