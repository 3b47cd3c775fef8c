"""The configuration that loops of one's own print before they train, and `config.json` of such loops."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.investigate import investigate, read
from forensics.readers.json_config import json_config
from forensics.readers.model_config import model_config
from forensics.readers.printed_configuration import printed_configuration
from readers.reading import facts_of, settings_of, skips_of, survives

PRINTED = {
    "a block": (
        "========== arguments ==========\n  algo: reinforce\n  learning_rate: 0.0\n  episodes: 125\n",
        {"algo": "reinforce", "learning_rate": 0.0, "episodes": 125},
    ),
    "aligned columns": (
        "Hyperparameters\nLearning rate  | 0.5  |\nBatch size     | 32   |\nOptimizer      | adam |\n",
        {"learning_rate": 0.5, "batch_size": 32, "optimizer": "adam"},
    ),
    "dots": ("lr .......... 0.1\nepochs ...... 20\nname ........ b\n", {"lr": 0.1, "epochs": 20, "name": "b"}),
    "behind a logger's stamp": (
        (
            "2026-01-05 10:00:00,123 - INFO - run - lr: 0.1\n2026-01-05 10:00:00,123 - INFO - run - epochs: 20\n"
            "2026-01-05 10:00:00,124 - INFO - run - model: mlp\n"
        ),
        {"lr": 0.1, "epochs": 20, "model": "mlp"},
    ),
    "one line": (
        "args: algo=ppo, lr=0.0, updates=40, optimizer='adam', betas=(0.9, 0.95)\n",
        {"algo": "ppo", "lr": 0.0, "updates": 40, "optimizer": "adam"},
    ),
    "a dictionary": (
        "config = {'lr': 0.01, 'batch_size': 32, 'layers': [64, 64]}\n",
        {"lr": 0.01, "batch_size": 32, "layers": "64, 64"},
    ),
    "JSON over lines": (
        'Config: {\n  "lr": 0.01,\n  "batch_size": 32,\n  "model": "mlp"\n}\n',
        {"lr": 0.01, "batch_size": 32, "model": "mlp"},
    ),
}


@pytest.mark.parametrize(("text", "expected"), PRINTED.values(), ids=list(PRINTED))
def test_what_a_loop_prints_of_its_configuration_is_recorded(
    tmp_path: Path, text: str, expected: dict[str, object]
) -> None:
    log = f"Using cpu device\n{text}epoch 1 loss 0.5 acc 0.25\n"
    found = settings_of(facts_of(printed_configuration, tmp_path, "train.log", log))

    assert printed_configuration.sniff is not None
    assert printed_configuration.sniff(log.encode())
    assert {name: value for _, name, value, _, _ in found if name in expected} == expected
    assert {standing for *_, standing in found} == {"RECORDED"}
    assert not any(name in {"loss", "acc"} for _, name, *_ in found)


MEASURED = [
    "--- Epoch 3/30 ---\n  learning_rate: 0.001\n  loss: 0.5\n  batch_size: 32\n",
    "lr=0.01, epochs=3, loss=0.5\n",
    "  lr: 0.1\n  epochs: 20\n",
    "accuracy: 0.5\nlr: 0.1\nseconds: 3\n",
    "epoch: 3, lr: 0.1, reward: 10\n",
    "config = {'lr': 0.01, 'batch_size': \n",
    "config = {'lr', 'batch_size'} # lr: 0.1, optimizer\n",
]


@pytest.mark.parametrize("text", MEASURED)
def test_what_was_measured_is_no_configuration(tmp_path: Path, text: str) -> None:
    """A loss that has a number, two lines only, no word of a training beside the rate."""
    assert settings_of(facts_of(printed_configuration, tmp_path, "train.log", text)) == []


def test_files_that_have_readers_of_their_own_are_left_to_them(tmp_path: Path) -> None:
    assert settings_of(facts_of(printed_configuration, tmp_path, "a.yaml", "lr: 0.1\nepochs: 20\nname: b\n")) == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_prefix_is_read(tmp_path: Path, data: st.DataObject) -> None:
    whole = "".join(text for text, _ in PRINTED.values()).encode()
    survives(printed_configuration, tmp_path, "train.log", whole[: data.draw(st.integers(0, len(whole)))])


def test_config_json_of_a_loop_of_ones_own_holds_its_arguments(tmp_path: Path) -> None:
    """No key of a model, but a rate and an optimizer, in a section of their own."""
    text = json.dumps({"name": "x", "train": {"lr": 0.5, "optimizer": "adam"}})
    found = settings_of(facts_of(model_config, tmp_path, "config.json", text))

    assert {name: value for _, name, value, *_ in found} == {
        "name": "x",
        "train.lr": 0.5,
        "train.optimizer": "adam",
        "learning_rate": 0.5,
    }
    text = '{"lr": 0.5, "port": 80}'
    assert skips_of(facts_of(model_config, tmp_path, "config.json", text)) == [
        ("config.json", "is not the configuration of a Hugging Face model")
    ]


def test_a_loss_that_is_chosen_is_no_result(tmp_path: Path) -> None:
    text = '{"loss": "triplet", "lr": 0.5, "epochs": 3}'

    assert json_config.sniff is not None
    assert json_config.sniff(text.encode())
    assert not json_config.sniff(b'{"loss": 0.5, "lr": 0.5, "epochs": 3}')


def test_a_rate_of_zero_is_told_of_a_run_that_learned_nothing(tmp_path: Path) -> None:
    """The rate is not logged; with a loss that fell somebody else sets it."""
    head = "args: lr=0.0, epochs=12, model=mlp\n"
    (tmp_path / "train.log").write_text(head + "".join(f"epoch {i} loss 2.{300 + i % 3}\n" for i in range(1, 13)))
    report = investigate(tmp_path)

    assert read(tmp_path).environment.number("learning_rate") == 0
    assert next((f.symptom, f.severity) for f in report.findings) == ("lr-zero", "error")
    assert report.hypotheses[0].cause == "lr-zero-config"
    assert report.hypotheses[0].verdict == "established"

    (tmp_path / "train.log").write_text(head + "".join(f"epoch {i} loss {2 / i:.4f}\n" for i in range(1, 13)))
    assert investigate(tmp_path).verdict == "healthy"
    (tmp_path / "train.log").write_text(
        head + "".join(f"epoch {i} loss 2.{300 + i % 3} accuracy 0.{10 + 5 * i}\n" for i in range(1, 13))
    )
    assert not any(f.symptom == "lr-zero" for f in investigate(tmp_path).findings)


def test_a_policy_at_a_rate_of_zero_learns_nothing_whatever_its_reward_does(tmp_path: Path) -> None:
    lines = "".join(f"update {i} reward {10 + 4 * (i % 7)} policy_loss 0.0 entropy 0.69\n" for i in range(1, 13))
    (tmp_path / "train.log").write_text("args: lr=0.0, updates=12, gamma=0.99\n" + lines)

    assert investigate(tmp_path).hypotheses[0].cause == "lr-zero-config"
