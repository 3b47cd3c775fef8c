"""Metric dictionaries of the Trainer and its kin: values, steps, lines."""

# ruff: noqa: E501, ISC004  (log lines stand here as they are written)

import math

import numpy as np
import pytest

from forensics.model import UNKNOWN_STEP, Precision, Standing
from forensics.names import Kind
from readers.text.log_reading import read_log

CLEAR = "\r" + " " * 40 + "\r"


def bar(n: int, total: int, description: str = "") -> str:
    lead = f"{description}: " if description else ""
    return f"\r{lead}{100 * n // total:3d}%|█▏        | {n}/{total} [00:12<23:47,  1.20s/it]"


def four(loss: str, epoch: str, norm: str = "1.2345678806304932") -> str:
    return f"{{'loss': {loss}, 'grad_norm': {norm}, 'learning_rate': 1.9e-05, 'epoch': {epoch}}}"


def five(loss: str, epoch: str, norm: str = "1.235") -> str:
    return f"{{'loss': '{loss}', 'grad_norm': '{norm}', 'learning_rate': '1.9e-05', 'epoch': '{epoch}'}}"


def run(entries: list[str], steps: list[int], total: int) -> str:
    """Lay out entries as a terminal capture does: the bar before is late, the one after is true."""
    text = bar(0, total)
    for entry, step in zip(entries, steps, strict=True):
        text += bar(max(step - 1, 0), total) + CLEAR + entry + "\n" + bar(step, total)
    return text + "\n"


def test_v4_values_steps_and_lines() -> None:
    """A v4 log gives full floats, the loss known to four decimals, steps from the bar that follows."""
    told = read_log(run([four("2.3457", "0.1"), four("0.0", "0.2", "nan"), four("nan", "0.3")], [10, 20, 30], 300))
    loss = told.samples("loss")

    assert told.points("loss")[:2] == [(10, 2.3457), (20, 0.0)]
    assert math.isnan(loss.values[2])
    assert loss.precision == Precision.FOUR_DECIMALS
    assert told.samples("grad_norm").precision == Precision.DOUBLE
    assert told.samples("grad_norm").values[0] == 1.2345678806304932
    assert math.isnan(told.samples("grad_norm").values[1])
    assert loss.records.tolist() == [1, 2, 3]
    assert loss.place == "line {}"
    assert loss.epochs is not None
    assert loss.epochs.tolist() == [0.1, 0.2, 0.3]
    (inferred,) = told.setting("inferred.transformers")
    assert (inferred.value, inferred.standing) == (">=4.38,<5", Standing.INFERRED)


def test_v5_quoted_values() -> None:
    """Quoted values have four digits and date the log to transformers >= 5, as an inference only."""
    told = read_log(run([five("5.299", "0.4545"), five("0", "0.4773", "nan")], [20, 21], 44))

    assert told.points("loss") == [(20, 5.299), (21, 0.0)]
    assert told.samples("loss").precision == Precision.FOUR_DIGITS
    assert math.isnan(told.samples("grad_norm").values[1])
    (inferred,) = told.setting("inferred.transformers")
    assert (inferred.group, inferred.value, inferred.standing) == ("setting", ">=5", Standing.INFERRED)


def test_old_v4_without_grad_norm() -> None:
    """Before 4.38 there is no gradient norm, so nothing but "<5" is inferred."""
    told = read_log("{'loss': 5.2985, 'learning_rate': 0.0015, 'epoch': 0.45}\n")

    assert told.names() == {"loss", "learning_rate"}
    assert told.samples("loss").steps.tolist() == [UNKNOWN_STEP]
    assert told.settings() == {"setting:inferred.transformers": "<5"}


def test_nested_bars_do_not_give_steps() -> None:
    """Bars of evaluation and of saving have other totals and are passed over, also when they come first."""
    evaluated = "{'eval_loss': '1.988', 'eval_runtime': '12.35', 'eval_samples_per_second': '81', 'epoch': '0.25'}"
    text = run([five("1.5", "0.125"), five("1.4", "0.25")], [4, 8], 32)
    text += "\n" + bar(0, 5) + "\x1b[A" + CLEAR + evaluated + "\n" + bar(5, 5) + "\n" + bar(8, 32) + "\n"
    text += bar(0, 1, "Writing model shards") + "\n" + run([five("1.3", "0.375")], [12], 32)
    told = read_log(text)

    assert told.points("loss") == [(4, 1.5), (8, 1.4), (12, 1.3)]
    assert told.points("eval_loss") == [(8, 1.988)]
    assert told.events(Kind.EVALUATED).steps.tolist() == [8]


def test_dictionary_glued_to_a_bar() -> None:
    """A dictionary may share its line with a bar, without any separator, and a literal ^M between."""
    text = "".join(f"{bar(n, 9)[1:]}^M   ^M{four('1.5', f'{n / 9:.2f}')}\n" for n in range(1, 6))

    assert [step for step, _ in read_log(text).points("loss")] == [1, 2, 3, 4, 5]


def test_summary_is_a_series_of_its_own() -> None:
    """The mean loss of the whole run is train_loss, never loss; it marks the end of training."""
    summary = "{'train_runtime': 3605.1, 'train_samples_per_second': 28.29, 'train_loss': 0.0063, 'epoch': 3.0}"
    told = read_log(run([four("1.5", "1.0"), four("1.4", "2.0"), summary], [10, 20, 30], 30))

    assert told.points("train_loss") == [(30, 0.0063)]
    assert told.points("loss") == [(10, 1.5), (20, 1.4)]
    assert told.events(Kind.TRAINING_FINISHED).steps.tolist() == [30]


def test_buffered_output_does_not_trust_bars() -> None:
    """Dictionaries that arrive in bursts have no bar of their own: no step is better than a wrong one."""
    bars = "".join(bar(n, 1000) for n in range(0, 220, 10))
    text = bars + "\n" + "".join(four("1.5", f"{n / 1000:.2f}") + "\n" for n in range(10, 210, 10)) + bar(230, 1000)

    assert read_log(text).samples("loss").steps.tolist() == [UNKNOWN_STEP] * 20


BLOCK = """***** Running training *****
  Num examples = 4,000
  Num Epochs = 4
  Instantaneous batch size per device = 4
  Total train batch size (w. parallel, distributed & accumulation) = 100
  Gradient Accumulation steps = 5
  Total optimization steps = 160
  Number of trainable parameters = 6,738,415,616
"""


def test_steps_from_epochs_and_schedule() -> None:
    """Without bars, epoch times steps per epoch gives the step where the printed epoch is fine enough."""
    told = read_log(BLOCK + "".join(four("1.5", f"{n / 40:.2f}") + "\n" for n in (10, 20, 37)))

    assert told.samples("loss").steps.tolist() == [10, 20, 37]
    assert told.settings()["setting:max_steps"] == 160
    assert told.settings()["setting:gradient_accumulation_steps"] == 5
    assert told.settings()["setting:num_trainable_parameters"] == 6_738_415_616
    assert told.setting("max_steps")[0].standing == Standing.EFFECTIVE
    assert told.setting("max_steps")[0].source.record == 1


def test_even_spacing_settles_coarse_epochs() -> None:
    """With 1,000 steps an epoch, 0.01 is ten steps: only the even spacing of the entries makes them sure."""
    block = BLOCK.replace("160", "4,000")
    told = read_log(block + "".join(four("1.5", f"{n / 1000:.2f}") + "\n" for n in range(50, 500, 50)))

    assert told.samples("loss").steps.tolist() == list(range(50, 500, 50))


def test_coarse_epochs_stay_unknown() -> None:
    """Where epochs leave a choice the step stays unknown, and the epochs are kept."""
    block = BLOCK.replace("160", "40,000")
    told = read_log(block + "".join(four("1.5", epoch) + "\n" for epoch in ("0.01", "0.03", "0.08")))
    loss = told.samples("loss")

    assert loss.steps.tolist() == [UNKNOWN_STEP] * 3
    assert loss.epochs is not None
    assert loss.epochs.tolist() == [0.01, 0.03, 0.08]


def test_ranks_are_folded() -> None:
    """The same dictionary from several ranks counts once, whichever came first; different ones are kept by rank."""
    rows = [f"{five('1.5', '0.1')}", f"{five('1.4', '0.2')}"]
    text = "".join(f"[default{rank}]:{row}\n" for row, order in zip(rows, ("10", "01"), strict=True) for rank in order)
    told = read_log(text + f"[rank1]: {five('9', '0.3')}\n")

    assert told.samples("loss", 0).values.tolist() == [1.5, 1.4]
    assert told.samples("loss", 1).values.tolist() == [9.0]


def test_equal_entries_of_one_process_are_kept() -> None:
    """Two NaN entries may print alike; without a rank they are two entries."""
    told = read_log(four("0.0", "0.53", "nan") + "\n" + four("0.0", "0.53", "nan") + "\n")

    assert told.samples("loss").records.tolist() == [1, 2]


def test_logger_echo_is_dropped() -> None:
    """LLaMA-Factory's callback prints each point a second time, with fewer keys: the Trainer's own line counts."""
    echo = "[INFO|2025-05-01 10:00:00] llamafactory.train.callbacks:143 >> {'loss': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}"
    told = read_log(f"{echo}\n{four('1.5001', '0.1')}\n")

    assert told.samples("loss").values.tolist() == [1.5001]
    assert read_log(f"{echo}\n").samples("loss").values.tolist() == [1.5]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("{'loss': 1.61643, 'token_acc': 0.61234, 'epoch': 0.01, 'global_step/max_steps': '10/1200', "
         "'percentage': '0.83%', 'elapsed_time': '1m 2s', 'memory(GiB)': 38.51, 'train_speed(iter/s)': 0.161}", 10),
        ('{"lm loss": 1.61643, "grad_norm": 0.9, "iteration": "10/1000", "elapsed_time": "1m 2s"}', 10),
        ('{"current_steps": 20, "total_steps": 1752, "loss": 1.61643, "lr": 4.3e-06, "epoch": 0.0114}', 20),
        ("✨ Global step 12: {'policy_loss': -0.01, 'loss': 1.61643, 'kl': 0.02}", 12),
        ('{"lr": 1.0e-05, "data_time": 0.01, "loss": 1.61643, "iter": 30, "step": 30}', 30),
    ],
)  # fmt: skip
def test_dictionaries_that_name_their_step(line: str, step: int) -> None:
    """ms-swift, Megatron-SWIFT, LLaMA-Factory, OpenRLHF and mmengine name the step themselves."""
    told = read_log(line + "\n")

    assert told.points("loss") == [(step, 1.61643)]
    assert not {"percentage", "elapsed_time", "step", "iter", "current_steps"} & told.names()


def test_trl_keys() -> None:
    """Keys with slashes become metrics of their own name."""
    told = read_log(
        "{'loss': 0.6931, 'grad_norm': 12.3, 'learning_rate': 5e-07, 'rewards/chosen': 0.0, "
        "'rewards/margins': -0.5, 'logps/chosen': -250.1, 'epoch': 0.0}\n"
    )

    assert told.points("rewards/margins") == [(UNKNOWN_STEP, -0.5)]
    assert told.samples("logps/chosen").values.tolist() == [-250.1]


def test_wrapped_numbers() -> None:
    """Tensors and numpy scalars are read; what is no number is absent from that entry only."""
    text = (
        "{'loss': tensor(1.5, device='cuda:0'), 'grad_norm': np.float64(0.25), 'epoch': 0.1}\n"
        "{'loss': 1.25, 'grad_norm': None, 'epoch': 0.2}\n{'loss': 1.0, 'grad_norm': 0.125, 'epoch': 0.3}\n"
    )
    told = read_log(text)

    assert told.samples("loss").values.tolist() == [1.5, 1.25, 1.0]
    assert told.samples("loss").records.tolist() == [1, 2, 3]
    assert told.samples("grad_norm").values.tolist() == [0.25, 0.125]
    assert told.samples("grad_norm").records.tolist() == [1, 3]


def test_configurations_are_no_metrics() -> None:
    """Dictionaries without loss, epoch or step are not taken for metrics."""
    text = "{'pad_token_id': 128004}\n{'localhost': [0, 1]}\n{'init_scale': 65536, 'scale_window': 1000}\n"

    assert read_log(text).facts == []


def test_many_layouts() -> None:
    """However many sets of keys there are in a file, every entry is read."""
    text = "".join(f"{{'loss': {n}.5, 'metric_{n}': {n}, 'epoch': {n}.0}}\n" for n in range(60))
    told = read_log(text)

    assert told.samples("loss").values.tolist() == [n + 0.5 for n in range(60)]
    assert np.array_equal(told.samples("loss").records, np.arange(1, 61))


def test_epochs_that_begin_anew() -> None:
    """A run resumed with ignore_data_skip counts epochs from 0 again while its steps go on."""
    first = run([five("1.5", f"{n / 40:.4g}") for n in range(1, 21)], list(range(1, 21)), 60)
    again = run([five("1.4", f"{(n - 20) / 40:.4g}") for n in range(21, 41)], list(range(21, 41)), 60)

    assert read_log(first + again).samples("loss").steps.tolist() == list(range(1, 41))


def test_epochs_that_print_as_zero() -> None:
    """Early in a long epoch the printed epoch is 0.0; the bar tells the step all the same."""
    told = read_log(
        run([four("1.5", f"{n / 100_000:.2f}") for n in range(100, 2100, 100)], list(range(100, 2100, 100)), 9000)
    )

    assert told.samples("loss").steps.tolist() == list(range(100, 2100, 100))


def test_the_last_entry_is_not_guessed_from_few() -> None:
    """When the log ends before the last bar, a ratio from three rounded epochs is too coarse to tell the step."""
    rows = [four("1.5", epoch) for epoch in ("0.02", "0.03", "0.05")]
    told = read_log(run(rows, [1, 2, 3], 60) + four("1.4", "0.07") + "\n")

    assert told.samples("loss").steps.tolist() == [1, 2, 3, UNKNOWN_STEP]


def test_late_bars_are_put_on_the_grid_of_logging_steps() -> None:
    """A bar drawn a step late does not move its entry away from the multiples of `logging_steps`."""
    late = {10, 25, 40}
    lines = []
    for step in range(5, 61, 5):
        entry = {"loss": 2.0 - step / 100, "grad_norm": 0.5 + step / 7, "epoch": round(step / 11.25, 2)}
        lines.append(f"{entry}\n {step}%|#  | {step + (step in late)}/60 [00:01<00:09,  1.00it/s]\n")
    told = read_log("".join(lines))

    assert [step for step, _ in told.points("grad_norm")] == list(range(5, 61, 5))


def test_entries_off_the_grid_stay_where_they_are() -> None:
    """Entries at distances of their own, as at the ends of epochs, are not moved."""
    steps = [1, 11, 22, 31, 42, 53, 61, 70]
    lines = [
        f"{{'loss': {2 - s / 100}, 'epoch': {s / 10}}}\n {s}%|#  | {s}/70 [00:01<00:09,  1.00it/s]\n" for s in steps
    ]
    told = read_log("".join(lines))

    assert [step for step, _ in told.points("loss")] == steps
