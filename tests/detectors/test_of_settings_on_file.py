"""A rate on file that no optimizer bears, and policies and latents that are spent within a few entries."""

from pathlib import Path

import pytest

from forensics.investigate import investigate, read
from forensics.model import Report


def splits(text: str) -> list[str]:
    return text.split()


PLATEAU = splits("3.36 10.12 11.45 10.58 6.55 4.61 4.34 3.81 3.28 3.14 3.10 3.09 3.08 3.09 3.08 3.08 3.09")
"""A language model of 25 words at a rate of 0.5 under AdamW: thrown, and back at ln 25 for good."""
THROWN = splits("96454.7 318.8 83.4 17.1 6.92 5.18 3.60 2.81 2.56 2.10 2.04 1.92 1.98 1.67 1.36 1.21 1.02")
"""A diffusion model at a rate of 0.84: it ends at the variance of the noise that it is to name."""
HEALTHY = splits("3.36 2.51 1.83 1.42 1.12 0.95 0.83 0.78 0.75 0.74 0.73 0.73 0.72 0.73 0.72 0.72 0.72")


def told(folder: Path, losses: list[str], *settings: str) -> Report:
    lines = [f"epoch {i} loss {loss}" for i, loss in enumerate(losses, 1)]
    (folder / "train.log").write_text("\n".join([f"args: {', '.join(settings)}", *lines, ""]))
    return investigate(folder)


@pytest.mark.parametrize("losses", [PLATEAU, THROWN], ids=["back", "thrown"])
@pytest.mark.parametrize("settings", [("lr=0.84", "epochs=17"), ("lr=0.1", "epochs=17", "optimizer=adam")])
def test_a_loss_that_its_rate_threw_is_told(tmp_path: Path, losses: list[str], settings: tuple[str, ...]) -> None:
    report = told(tmp_path, losses, *settings)

    assert [(f.symptom, f.severity) for f in report.findings if f.severity != "notice"] == [("loss-plateau", "warning")]
    assert report.hypotheses[0].cause == "lr-too-high"


@pytest.mark.parametrize(
    ("losses", "settings"),
    [
        (HEALTHY, ("lr=0.84", "epochs=17")),
        (PLATEAU, ("lr=0.003", "epochs=17")),
        (PLATEAU, ("lr=0.3", "epochs=17")),
        (PLATEAU, ("lr=1.0", "epochs=17", "optimizer=prodigy")),
        (PLATEAU[:5], ("lr=0.84", "epochs=17")),
    ],
    ids=["learns", "usual", "plain", "a factor", "short"],
)
def test_a_rate_that_may_be_borne_tells_nothing(tmp_path: Path, losses: list[str], settings: tuple[str, ...]) -> None:
    assert not any("at a rate of" in f.statement for f in told(tmp_path, losses, *settings).findings)


def test_an_entropy_that_one_update_spent_is_told_within_ten_entries(tmp_path: Path) -> None:
    """REINFORCE on seven arms at a rate of 2.6 under Adam."""
    entropies, rewards = splits("1.929 0 0 0 0 0 0 0 0 0"), splits("0.17 0.11 0.16 0.13 0.14 0.11 0.15 0.14 0.12 0.13")
    rows = zip(entropies, rewards, strict=True)
    lines = [f"update {i} mean_reward {r} policy_loss 0.01 entropy {h}" for i, (h, r) in enumerate(rows, 1)]
    (tmp_path / "train.log").write_text("\n".join(["args: algo=reinforce, lr=2.6, episodes=125", *lines, ""]))
    report = investigate(tmp_path)

    assert report.findings[0].symptom == "reward-collapse"
    assert report.findings[0].step_range == (1, 2)
    assert report.hypotheses[0].cause == "lr-too-high"


def rebuilt(folder: Path, divergences: str) -> list[str]:
    lines = [f"epoch {i} loss {40 - i} recon_loss {39 - i} kl_loss {kl}" for i, kl in enumerate(divergences.split(), 1)]
    (folder / "train.log").write_text("\n".join([*lines, ""]))
    return [f.symptom for f in investigate(folder).findings if f.severity != "notice"]


def test_latents_that_follow_the_prior_are_spent(tmp_path: Path) -> None:
    assert rebuilt(tmp_path, "4.1 1.2 0.3 0.02 0.004 0.001 0.001 0.001 0.001") == ["diversity-collapse"]
    assert rebuilt(tmp_path, "0.001 0.3 1.2 2.4 4.1 5.0 5.2 5.3 5.4") == []
    assert rebuilt(tmp_path, "4.1 1.2 0.3 0.02 0.004 0.001 nan nan nan") != ["diversity-collapse"]
    assert rebuilt(tmp_path, "0.001 0.001 0.001 0.001") == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("neg_dist", "0.081 0.045 0.029 0.018 0.006 0.001 0.0007 0.0004 0.0002"),
        ("active_units", "8 6 3 1 0 0 0 0 0"),
        ("modes_covered", "4 5 3 1 1 1 1 1 1"),
        ("top_expert", "0.4 0.6 0.9 0.97 0.98 0.99 1.0 1.0 1.0"),
    ],
)
def test_what_is_spent_shows_in_nine_entries(tmp_path: Path, name: str, values: str) -> None:
    rows = [f'{{"step": {i}, "loss": {9 - 0.1 * i}, "{name}": {value}}}' for i, value in enumerate(values.split(), 1)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*rows, ""]))

    assert [f.symptom for f in investigate(tmp_path).findings if f.severity != "notice"] == ["diversity-collapse"]


def test_codes_that_were_never_in_use_are_spent_from_the_start(tmp_path: Path) -> None:
    rows = [f'{{"step": {i}, "loss": {9 - 0.1 * i}, "vq_loss": 0.1, "codebook_perplexity": 1.0}}' for i in range(9)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*rows, ""]))

    assert [f.symptom for f in investigate(tmp_path).findings if f.severity != "notice"] == ["diversity-collapse"]


BOX = """\
--------------------------------
| step            | {i}0       |
| ep_rew_mean     | 1{i}.5     |
| approx_kl       | 0.0{i}1    |
| entropy         | 0.6{i}     |
| clip_fraction   | 0.1{i}     |
| value_loss      | 1{i}.0     |
--------------------------------
"""


def test_lines_of_a_box_that_tell_of_a_policy_are_entries(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("".join(BOX.format(i=i) for i in range(1, 9)))
    series = read(tmp_path).timeline.series

    assert {name: len(each) for name, each in series.items()} == dict.fromkeys(
        ("ep_rew_mean", "approx_kl", "entropy", "clip_fraction", "loss"), 8
    )
    assert series["approx_kl"].steps.tolist() == [10 * i for i in range(1, 9)]


def test_rounds_count_records_of_metrics(tmp_path: Path) -> None:
    """A record that begins with its round; of an example that names one it is none."""
    rows = [f'{{"round": {i}, "total_loss": {2 / i:.3f}, "test accuracy": 0.{i}}}' for i in range(1, 9)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, ""]))

    assert read(tmp_path).timeline["loss"].steps.tolist() == list(range(1, 9))


def logged(folder: Path, **columns: str) -> Report:
    rows = zip(*(values.split() for values in columns.values()), strict=True)
    lines = [
        " ".join([f"update {i}", *map(": ".join, zip(columns, row, strict=True))]) for i, row in enumerate(rows, 1)
    ]
    (folder / "train.log").write_text("\n".join([*lines, ""]))
    return investigate(folder)


LOSSES = "0.01 0.02 0.01 -0.01 0.02 0.01 -0.02 0.01 0.01"


def test_a_reward_of_a_few_entries_that_only_falls_is_told(tmp_path: Path) -> None:
    """REINFORCE whose advantage has the wrong sign."""
    found = logged(tmp_path, policy_loss=LOSSES, reward="0.21 0.2 0.19 0.11 0.06 0.02 0.01 0 0").findings

    assert [(f.symptom, f.step_range) for f in found if f.severity != "notice"] == [("reward-collapse", (1, 4))]
    for healthy in ("0.21 0.2 0.19 0.11 0.06 0.22 0.31 0.4 0.5", "0.2 0.3 0.19 0.11 0.2 0.12 0.21 0.2 0.1"):
        assert not any(f.severity != "notice" for f in logged(tmp_path, policy_loss=LOSSES, reward=healthy).findings)


def test_groups_that_earn_the_same_are_told_and_are_the_cause(tmp_path: Path) -> None:
    report = logged(
        tmp_path, policy_loss=LOSSES, reward="0.2 0.2 0.3 0.2 0.1 0.2 0.3 0.2 0.2", group_std="0 0 0 0 0 0 0 0 0"
    )

    assert report.findings[0].symptom == "reward-collapse"
    assert report.hypotheses[0].cause == "grpo-no-reward-variance"
    rising = logged(
        tmp_path, policy_loss=LOSSES, reward="0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0", group_std="0 0 0 0 0 0 0 0 0"
    )
    assert not any("all answers of a group" in f.statement for f in rising.findings)


def test_a_return_of_nothing_is_told_in_eight_entries(tmp_path: Path) -> None:
    report = logged(tmp_path, actor_loss=LOSSES, episode_return="0 0 0 0 0 0 0 0 0")

    assert "nothing was ever earned" in report.findings[0].statement


@pytest.mark.parametrize(
    "counted",
    [
        "train samples: 0, val samples: 297",
        "Loaded 0 training examples and 297 validation examples",
        "dataset: 0 train / 297 val",
        "Training on 0 images",
        "Train on 0 samples, validate on 12 samples",
        "Training set size: 0",
    ],
)
def test_what_a_loop_counts_before_it_trains_is_the_cause_of_a_loss_of_zero(tmp_path: Path, counted: str) -> None:
    lines = [f"epoch {i} loss 0.0 val_loss 2.31" for i in range(1, 12)]
    (tmp_path / "train.log").write_text("\n".join([counted, *lines, ""]))

    assert investigate(tmp_path).hypotheses[0].cause == "data-set-empty"


@pytest.mark.parametrize("counted", ["val samples: 0", "epoch: 0 train loss 0.0", "train samples: 10", "step: 0 train"])
def test_other_counts_are_not(tmp_path: Path, counted: str) -> None:
    lines = [f"epoch {i} loss 0.0 val_loss 2.31" for i in range(1, 12)]
    (tmp_path / "train.log").write_text("\n".join([counted, *lines, ""]))

    assert "data-set-empty" not in {h.cause for h in investigate(tmp_path).hypotheses if h.score > 0}
