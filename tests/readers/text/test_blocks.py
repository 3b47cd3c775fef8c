"""Blocks of one metric a line, between ruled lines or in two columns."""

import pytest

from forensics.model import Samples
from readers.text.log_reading import read_log

STEPS = [2048 * place for place in range(1, 41)]
REWARDS = [round(20 + place * 0.37, 2) for place in range(40)]


def _walled(place: int) -> str:
    rows = [("rollout/", ""), ("   ep_rew_mean", REWARDS[place]), ("   ep_len_mean", 200 - place), ("time/", "")]
    rows += [("   iterations", place + 1), ("   nupdates", place * 10 + 1), ("   total_timesteps", STEPS[place])]
    rows += [("   value_loss", round(50 / (place + 1), 3)), ("   policy_loss", round(0.1 - place / 500, 4))]
    rows += [("train/", ""), ("   entropy_of_ours", round(-0.7 + place / 100, 3))] if place else []
    return "-" * 34 + "\n" + "".join(f"| {name:<20} | {value!s:<8} |\n" for name, value in rows) + "-" * 34 + "\n"


def _aligned(place: int) -> str:
    rows = [("AverageReturn", REWARDS[place]), ("Total Timesteps", STEPS[place]), ("PolicyEntropy", -place / 7)]
    return "".join(f"{name:<24}  {value}\n" for name, value in rows) + "-" * 24 + "  " + "-" * 8 + "\nsaved\n"


@pytest.mark.parametrize("chunk_bytes", [512, 1000, 4096, 1 << 20])
def test_a_block_is_one_entry_of_all_its_numbers(chunk_bytes: int) -> None:
    walled = read_log("".join(map(_walled, range(40))), chunk_bytes=chunk_bytes)
    assert walled.points("ep_rew_mean") == list(zip(STEPS, REWARDS, strict=True))
    assert [step for step, _ in walled.points("value_loss")] == STEPS
    assert [step for step, _ in walled.points("entropy_of_ours")] == STEPS[1:]
    aligned = read_log("".join(map(_aligned, range(40))), chunk_bytes=chunk_bytes)
    assert aligned.points("AverageReturn") == list(zip(STEPS, REWARDS, strict=True))
    assert aligned.names() == {"AverageReturn", "PolicyEntropy"}


HEADED = (
    "----- iteration {n} -----\n    loss       {a}\n    learning_rate     {b}\n    tokens_seen    {n}000.5\n",
    "== Step {n}/400 ==\nloss: {a}\nlr: {b}\ntokens_seen: {n}000.5\n\n",
    "[step {n}]\n  - loss = {a}\n  - lr = {b}\n  - tokens_seen = {n}000.5\n",
    "# iteration {n}\n* loss\t{a}\n* lr\t{b}\n* tokens_seen\t{n}000.5\n",
)


@pytest.mark.parametrize("chunk_bytes", [512, 1 << 20])
@pytest.mark.parametrize("block", HEADED)
def test_a_block_has_the_place_that_the_line_above_it_counts(block: str, chunk_bytes: int) -> None:
    entries = [(10 * n, round(3 / n, 3), f"{1e-4 / n:.2e}") for n in range(1, 40)]
    read = read_log("".join(block.format(n=n, a=a, b=b) for n, a, b in entries), chunk_bytes=chunk_bytes)

    assert read.points("loss") == [(n, a) for n, a, _ in entries]
    assert read.points("learning_rate") == [(n, float(b)) for n, _, b in entries]
    assert read.points("tokens_seen") == [(n, n * 1000 + 0.5) for n, *_ in entries]


@pytest.mark.parametrize(
    "text",
    [
        "iteration 1 of the search begins with\nloss_weight: 0.5\nlr: 0.001\n\n" * 3,
        "Settings\nloss_weight: 0.5\nlr: 0.001\nsteps: 100\n",
        "Step 3\nlr: 0.001\nwarmup_steps: 100\nbatch_size: 32\n",
    ],
)
def test_a_heading_that_says_more_heads_no_block(text: str) -> None:
    assert "learning_rate" not in read_log(text).names()


@pytest.mark.parametrize(
    "text",
    [
        "| epochs | 100 |\n| batch_size | 32 |\n| dropout | 0.1 |\n| lr | 0.001 |\n",
        "| epochs | 100 |\n| batch_size | 32 |\n| dropout | 0.1 |\n\n" * 3,
        "| GPU | 0 |\n| Temp | 41.5 |\n| Power | 77.0 |\n\n| GPU | 0 |\n| Temp | 42.5 |\n| Power | 79.0 |\n",
        "epochs        10\nwidth         32\nheads         4\n",
    ],
)
def test_what_tells_no_place_twice_is_no_block(text: str) -> None:
    assert read_log(text).names() == set()


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (
            "--- Update {n} ---\n  mean_reward: {r}\n  approx_kl: 0.01{n}\n  entropy: 1.0{n}",
            ["approx_kl", "entropy", "mean_reward"],
        ),
        ("| ep_rew_mean | {r} |", ["ep_rew_mean"]),
        ("reward: {r}", ["reward"]),
    ],
    ids=["under a heading", "in a cell", "alone"],
)
def test_lines_that_tell_of_a_policy_need_no_loss(block: str, names: list[str]) -> None:
    """Each holds one number: its reward, its divergence, its entropy."""
    text = "\n".join(block.format(n=n, r=f"{10 + n / 2:.2f}") for n in range(12))
    found = [fact for fact in read_log(text).facts if isinstance(fact, Samples)]

    assert sorted(fact.name for fact in found) == names
    assert {len(fact.values) for fact in found} == {12}
