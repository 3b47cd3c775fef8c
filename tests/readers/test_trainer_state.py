"""trainer_state.json of all generations and damages."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import MalformedError, PlaceholderError
from forensics.model import Fact, Precision, Standing
from forensics.readers.trainer_state import trainer_state
from readers.reading import facts_of, samples_of, settings_of, skips_of, survives

STATE = """{
  "best_metric": null,
  "best_model_checkpoint": "./out/checkpoint-10",
  "epoch": 0.5,
  "eval_steps": 10,
  "global_step": 20,
  "is_hyper_param_search": false,
  "log_history": [
    {
      "epoch": 0.25,
      "grad_norm": 1.5,
      "learning_rate": 2e-06,
      "loss": 2.3457,
      "step": 10
    },
    {
      "epoch": 0.25,
      "eval_loss": 1.98765432,
      "step": 10
    },
    {
      "epoch": 0.5,
      "grad_norm": NaN,
      "learning_rate": 1.9e-06,
      "loss": 0.0,
      "step": 20
    }
  ],
  "logging_steps": 10,
  "max_steps": 40,
  "num_train_epochs": 1,
  "save_steps": 10,
  "stateful_callbacks": {
    "TrainerControl": {"args": {"should_training_stop": false}, "attributes": {}}
  },
  "total_flos": 1.0,
  "train_batch_size": 4
}
"""
PATH = "checkpoint-20/trainer_state.json"


def read_rows(root: Path, rows: list[Any], **state: object) -> list[Fact]:
    return facts_of(trainer_state, root, PATH, json.dumps({"global_step": 1, "log_history": rows, **state}))


def test_every_metric_is_one_block_with_its_places(tmp_path: Path) -> None:
    """Samples keep value, step, epoch and the index of their row; NaN stays NaN."""
    samples = samples_of(facts_of(trainer_state, tmp_path, PATH, STATE))

    assert sorted(samples) == ["eval_loss", "grad_norm", "learning_rate", "loss"]
    loss, norm = samples["loss"], samples["grad_norm"]
    assert (loss.steps.tolist(), loss.values.tolist(), loss.records.tolist()) == ([10, 20], [2.3457, 0.0], [0, 2])
    assert loss.epochs is not None
    assert loss.epochs.tolist() == [0.25, 0.5]
    assert (loss.path, loss.place) == (PATH, "log_history[{}]")
    assert norm.values[0] == 1.5
    assert math.isnan(norm.values[1])
    assert samples["eval_loss"].records.tolist() == [1]


def test_only_a_loss_of_four_decimals_is_marked_as_rounded(tmp_path: Path) -> None:
    """transformers before 5.0 rounds the loss and nothing else."""
    rounded = samples_of(facts_of(trainer_state, tmp_path, PATH, STATE))
    full = samples_of(read_rows(tmp_path, [{"loss": 2.345678901, "step": 1}, {"loss": 0.0, "step": 2}]))

    assert rounded["loss"].precision is Precision.FOUR_DECIMALS
    assert rounded["grad_norm"].precision is Precision.DOUBLE
    assert full["loss"].precision is Precision.DOUBLE


def test_the_schedule_becomes_settings(tmp_path: Path) -> None:
    """Fields of the state are recorded under their own names; null ones are absent."""
    assert settings_of(facts_of(trainer_state, tmp_path, PATH, STATE)) == [
        ("setting", "max_steps", 40, "max_steps", "RECORDED"),
        ("setting", "logging_steps", 10, "logging_steps", "RECORDED"),
        ("setting", "eval_steps", 10, "eval_steps", "RECORDED"),
        ("setting", "save_steps", 10, "save_steps", "RECORDED"),
        ("setting", "best_model_checkpoint", "./out/checkpoint-10", "best_model_checkpoint", "RECORDED"),
        ("setting", "trainer_state.global_step", 20, "global_step", "RECORDED"),
        ("setting", "trainer_state.epoch", 0.5, "epoch", "RECORDED"),
        ("setting", "trainer_state.num_train_epochs", 1, "num_train_epochs", "RECORDED"),
        ("setting", "trainer_state.train_batch_size", 4, "train_batch_size", "RECORDED"),
        ("setting", "trainer_state.is_hyper_param_search", False, "is_hyper_param_search", "RECORDED"),
        (
            "setting",
            "trainer_state.should_training_stop",
            False,
            "stateful_callbacks.TrainerControl.args.should_training_stop",
            "RECORDED",
        ),
        ("setting", "inferred.transformers", ">4.40.2,<4.51.3", "stateful_callbacks", "INFERRED"),
    ]


@pytest.mark.parametrize(
    ("rows", "fields", "range_"),
    [
        ([{"loss": 1.25, "step": 1}], {}, None),
        ([{"loss": 1.25, "grad_norm": 1.0, "step": 1}], {}, ">4.36.2"),
        ([{"loss": 1.25, "step": 1}], {"logging_steps": 5}, ">4.30.2,<4.36.2"),
        ([{"loss": 1.25, "step": 1}], {"logging_steps": 5, "train_batch_size": 1}, ">4.33.3,<4.41.2"),
        ([{"loss": 1.2345678, "step": 1}, {"loss": 1.1234567, "step": 2}], {"best_global_step": 1}, ">=5.0"),
    ],
)
def test_the_release_is_inferred_from_fields(
    tmp_path: Path, rows: list[Any], fields: dict[str, object], range_: str | None
) -> None:
    """Fields date the writer, always as inferred."""
    found = [s for s in settings_of(read_rows(tmp_path, rows, **fields)) if s[1] == "inferred.transformers"]

    assert [s[2] for s in found] == ([] if range_ is None else [range_])
    assert all(s[4] == Standing.INFERRED.name for s in found)


def test_texts_and_nulls_that_stand_for_numbers_are_read(tmp_path: Path) -> None:
    """Spelled NaN and infinity are values; null is NaN and told; other text is left out and told."""
    values = ["nan", "NaN", "about one", "Infinity", "-inf", None, True, "1.5", [1]]
    facts = read_rows(tmp_path, [{"loss": value, "step": i} for i, value in enumerate(values)])
    loss = samples_of(facts)["loss"]

    assert loss.steps.tolist() == [0, 1, 3, 4, 5, 7]
    assert loss.records.tolist() == [0, 1, 3, 4, 5, 7]
    assert repr(loss.values.tolist()) == "[nan, nan, inf, -inf, nan, 1.5]"
    assert skips_of(facts) == [
        (f"{PATH}:loss", "3 values of log_history are no numbers"),
        (f"{PATH}:loss", "1 values are null and were read as NaN"),
    ]


def test_extreme_values_and_names_are_kept(tmp_path: Path) -> None:
    """The largest doubles warn of nothing; a name with bytes that are no text can be written out."""
    rows = b'{"log_history": [{"loss": 1.7e308, "step": 1}, {"loss": -Infinity, "n\xff": 1e-320, "step": 2}]}'
    samples = samples_of(facts_of(trainer_state, tmp_path, PATH, rows))

    assert samples["loss"].values.tolist() == [1.7e308, -math.inf]
    assert samples["n?"].values.tolist() == [1e-320]


def test_rows_without_a_step_are_skipped_and_told(tmp_path: Path) -> None:
    """A row without a usable step, or that is no object, costs itself only."""
    facts = read_rows(tmp_path, [{"loss": 1.0}, {"loss": 2.0, "step": "20"}, {"loss": 3.0, "step": -1}, 7, None])

    assert samples_of(facts)["loss"].steps.tolist() == [20]
    assert skips_of(facts) == [
        (f"{PATH}:log_history[0]", "2 entries of log_history have no step that is a usable integer; this is the first"),
        (f"{PATH}:log_history[3]", "2 entries of log_history are no objects; this is the first"),
    ]


def test_a_cut_file_gives_its_complete_rows(tmp_path: Path) -> None:
    """A row that the cut goes through is left out as a whole, and the byte is told."""
    cut = STATE.index('"learning_rate": 1.9e-06') + 12
    facts = facts_of(trainer_state, tmp_path, PATH, STATE[:cut])
    samples = samples_of(facts)

    assert {name: block.steps.tolist() for name, block in samples.items()} == {
        "grad_norm": [10],
        "learning_rate": [10],
        "loss": [10],
        "eval_loss": [10],
    }
    broken = STATE.index('"learning_rate": 1.9e-06')
    where = f"breaks off at byte {broken:,} of {cut:,}"
    assert skips_of(facts) == [(PATH, f"{where}; 2 complete entries of log_history were read")]


@pytest.mark.parametrize("end", ["}", "},", "},\n    {"])
def test_a_row_that_was_written_whole_is_kept(tmp_path: Path, end: str) -> None:
    """A file that ends right behind a row has that row."""
    data = '{"log_history": [{"loss": 1.5, "step": 1}, {"loss": 2.5, "step": 2' + end

    assert samples_of(facts_of(trainer_state, tmp_path, PATH, data))["loss"].steps.tolist() == [1, 2]


def test_a_missing_field_dates_only_a_whole_file(tmp_path: Path) -> None:
    """What a cut file lacks may have stood behind the cut."""
    data = '{"logging_steps": 10, "log_history": []'
    ranges = [
        [s[2] for s in settings_of(facts_of(trainer_state, tmp_path, PATH, text)) if s[4] == "INFERRED"]
        for text in (data + "}", data)
    ]
    assert ranges == [[">4.30.2,<4.36.2"], [">4.30.2"]]


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_placeholder_is_named(tmp_path: Path, content: bytes) -> None:
    """Zeros, nothing and an LFS pointer are told apart from broken JSON."""
    with pytest.raises(PlaceholderError):
        facts_of(trainer_state, tmp_path, PATH, content)


def test_another_kind_of_json_is_malformed(tmp_path: Path) -> None:
    """A list is no trainer state."""
    with pytest.raises(MalformedError):
        facts_of(trainer_state, tmp_path, PATH, "[1, 2]")


def test_a_copy_under_another_name_is_recognised() -> None:
    """The keys tell a trainer state; those of a configuration do not."""
    assert trainer_state.sniff is not None
    assert trainer_state.sniff(b"\xef\xbb\xbf" + STATE.encode())
    assert not trainer_state.sniff(b'{"zero_optimization": {"stage": 2}}')


def test_many_rows_and_many_keys_stay_columns(tmp_path: Path) -> None:
    """A long history gives one block a key, in order."""
    rows = [{"loss": i / 8, "grad_norm": 1.0, "step": i} for i in range(20_000)]
    samples = samples_of(read_rows(tmp_path, rows))

    assert len(samples["loss"].values) == 20_000
    assert np.array_equal(samples["loss"].values, np.arange(20_000) / 8)


WRONG = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["step", "loss", "a"]), inner),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(list(json.loads(STATE.replace("NaN", "0")))), WRONG))
def test_wrong_types_never_crash(tmp_path: Path, state: dict[str, object]) -> None:
    """Any value may stand under any key."""
    assert survives(trainer_state, tmp_path, PATH, json.dumps(state).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, len(STATE)))
def test_any_prefix_gives_facts_or_a_typed_error(tmp_path: Path, cut: int) -> None:
    """A state that was cut anywhere after its first bracket is read."""
    assert survives(trainer_state, tmp_path, PATH, STATE.encode()[:cut]) == (cut > 0)
