"""Metrics as comma-separated values."""

import math
from pathlib import Path

import pytest

from forensics.model import UNKNOWN_STEP, Artifact, Fact, Samples, Skip
from forensics.readers.metrics_csv import looks_like_table, metrics_csv

LIGHTNING = "epoch,grad_norm,lr-AdamW,step,train_loss,val_loss\n0,,,49,1.8312,\n0,1.5,2e-05,99,nan,\n0,,,99,,1.6902\n"


def read(tmp_path: Path, data: str, name: str = "metrics.csv") -> list[Fact]:
    path = tmp_path / name
    path.write_bytes(data.encode())
    return list(metrics_csv.read(Artifact(tmp_path, path.name, path.stat().st_size, 0.0)))


def block(facts: list[Fact], name: str) -> Samples:
    (found,) = [fact for fact in facts if isinstance(fact, Samples) and fact.name == name]
    return found


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lightning(tmp_path: Path, line_end: str) -> None:
    """Empty cells are absent, NaN is a value, training and validation stand on rows of their own."""
    facts = read(tmp_path, LIGHTNING.replace("\n", line_end))

    assert block(facts, "train_loss").steps.tolist() == [49, 99]
    assert math.isnan(block(facts, "train_loss").values[1])
    assert block(facts, "eval_loss").values.tolist() == [1.6902]
    assert block(facts, "eval_loss").records.tolist() == [4]
    assert block(facts, "grad_norm").steps.tolist() == [99]
    epochs = block(facts, "train_loss").epochs
    assert epochs is not None
    assert epochs.tolist() == [0.0, 0.0]


def test_deepspeed_monitor(tmp_path: Path) -> None:
    """The header comes again at every start; the steps count samples."""
    facts = read(tmp_path, "step,train_loss\n8,2.5\nstep,train_loss\n16,2.0\n", "Train_Samples_train_loss.csv")
    rates = read(tmp_path, "step,lr\n8,2e-05\n", "Train_Samples_lr.csv")

    assert block(facts, "loss").steps.tolist() == [8, 16]
    assert block(facts, "loss").axis == "samples"
    assert block(facts, "loss").records.tolist() == [2, 4]
    assert block(rates, "learning_rate").values.tolist() == [2e-05]


def test_quotes_and_times(tmp_path: Path) -> None:
    """TensorBoard's download has a wall time; cells may be quoted."""
    facts = read(tmp_path, '"Wall time","Step","Value"\n"1746093600.5","10","0.5"\n"1746093700.5","20","0.25"\n')

    assert block(facts, "Value").steps.tolist() == [10, 20]


def test_wall_times(tmp_path: Path) -> None:
    """A time column becomes the wall time of its row."""
    facts = read(tmp_path, "timestamp,step,loss\n1970-01-02 00:00:00,1,2.5\n")
    times = block(facts, "loss").wall_times

    assert times is not None
    assert times.tolist() == [86400.0]


def test_damage_costs_the_row(tmp_path: Path) -> None:
    """A row that does not fit the header is reported; a step that is no count is unknown, not guessed."""
    facts = read(tmp_path, 'step,epoch,loss\n1,0.1,2.5\n2,0.2\n1.5,0.3,2.0\n"3,0.4')

    assert block(facts, "loss").steps.tolist() == [1, UNKNOWN_STEP]
    (skip,) = [fact for fact in facts if isinstance(fact, Skip)]
    assert skip.reason == "2 lines do not fit the header, the first of them line 3"


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (LIGHTNING.encode(), True),
        (b"loss,val_loss\n0.5,0.6\n", True),
        (b",Loss,ValLoss\n0,0.5,0.6\n", True),
        (b"epoch;loss\n1;0,5\n", True),
        (b"prompt,answer\n1,2\n", False),
        (b"model,loss,val_loss\nsmall,0.5,0.6\n", False),
        (b"id,claims,loss\n1,2,0.5\n", False),
        (b"step\n1\n", False),
        (b"", False),
    ],
)
def test_sniffing(head: bytes, taken: bool) -> None:
    """A table of metrics has a step or an epoch beside something else."""
    assert looks_like_table(head) is taken


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (",Loss,ValLoss\n0,2.5,2.25\n1,2,1.75\n", "x.csv"),
        ("Unnamed: 0,train_acc,val_acc,loss,val_loss\n0,.1,.1,2.5,2.25\n1,.2,.2,2,1.75\n", "x.csv"),
        ("loss;val_loss;lr\n2,500;2,25;0,001\n2,000;1,75;0,001\n", "verlauf.csv"),
        ("loss\tval_loss\n2.5\t2.25\n2\t1.75\n", "history.tsv"),
    ],
)
def test_a_table_without_a_step_is_a_curve_of_entries(tmp_path: Path, text: str, name: str) -> None:
    """Keras' and pandas' histories have none: pandas' number of the row is no step, a comma is a decimal one."""
    facts = read(tmp_path, text, name)

    assert block(facts, "loss").values.tolist() == [2.5, 2.0]
    assert block(facts, "loss").steps.tolist() == [UNKNOWN_STEP] * 2
    assert block(facts, "eval_loss").values.tolist() == [2.25, 1.75]


def test_a_table_of_something_else_gives_nothing(tmp_path: Path) -> None:
    """Without a step, an epoch and a pair of columns no number is a metric."""
    assert not [fact for fact in read(tmp_path, "id,loss,lr\n1,0.5,1\n2,0.6,1\n") if isinstance(fact, Samples)]


def test_a_table_that_counts_by_i(tmp_path: Path) -> None:
    """A clock that begins anew is no time of day; `index` numbers rows, and an `i` beside no loss counts nothing."""
    text = "i,time,loss,similarity\n0,0.83,0.597,0.74\n100,11.09,0.532,0.81\n200,0.79,0.521,0.80\n"
    facts = read(tmp_path, text)

    assert looks_like_table(text.encode())
    assert block(facts, "loss").steps.tolist() == [0, 100, 200]
    assert block(facts, "loss").values.tolist() == [0.597, 0.532, 0.521]
    assert {fact.name for fact in facts if isinstance(fact, Samples)} == {"loss", "similarity"}
    assert not looks_like_table(b"i,price\n0,1.5\n1,2.5\n")
    assert not looks_like_table(b"index,loss\n0,1.5\n1,2.5\n")


def test_steps_of_an_environment_count(tmp_path: Path) -> None:
    """Stable-Baselines3 and its kin put what counts under a heading: `time/total_timesteps`."""
    rows = "\n".join(f"{n},{1000 * n},{n}.5,{5 - n}.25" for n in range(1, 5))
    facts = read(tmp_path, f"time/iterations,time/total_timesteps,rollout/ep_rew_mean,train/loss\n{rows}\n")

    assert block(facts, "loss").steps.tolist() == [1000, 2000, 3000, 4000]


def test_a_table_in_long_form(tmp_path: Path) -> None:
    """A column that names the metric tells the series apart."""
    facts = read(tmp_path, "step,metric,value\n10,loss,2.5\n10,lr,0.1\n20,loss,2.0\n20,lr,0.05\n")

    assert block(facts, "loss").values.tolist() == [2.5, 2.0]
    assert block(facts, "learning_rate").steps.tolist() == [10, 20]


@pytest.mark.parametrize(("first", "names"), [(3.0, {"loss", "eval_loss"}), (0.1, {"Train", "Val"})])
def test_columns_named_by_the_part_of_the_run(tmp_path: Path, first: float, names: set[str]) -> None:
    """`Epoch,Train,Val` are losses where training falls, scores where it rises."""
    rows = "".join(f"{n},{first + (n if first < 1 else -n) / 10},0.5\n" for n in range(6))
    facts = read(tmp_path, f"Epoch,Train,Val\n{rows}")

    assert {fact.name for fact in facts if isinstance(fact, Samples)} == names


@pytest.mark.parametrize(
    ("header", "row", "steps"),
    [
        ("Epoch,Batch,Gen Loss,Disc Loss", "{e},{b},{l},0.5", list(range(8))),
        ("epoch,batch_idx,train_loss", "{e},{b},{l}", list(range(8))),
        ("round,test_acc,test_loss,active_clients", "{n},0.5,{l},90", [UNKNOWN_STEP] * 8),
        ("Episode,Score,Total_Reward,Epsilon", "{n},700,{l},0.9", [UNKNOWN_STEP] * 8),
        ("d_adv_loss, f_slf_loss", "{l}, 0.5", [UNKNOWN_STEP] * 8),
        ("train/loss_critic,total/steps", "{l},{s}", [20 * n for n in range(8)]),
        ("timesteps,num_episodes,mean_episode_rewards", "{s}.0,7.0,{l}", [20 * n for n in range(8)]),
        ("episode_reward,frame,value", "{l},{s},0.5", [20 * n for n in range(8)]),
        ("episode,steps,reward", "{n},{e},{l}", [UNKNOWN_STEP] * 8),
    ],
)
def test_what_counts_the_rows(tmp_path: Path, header: str, row: str, steps: list[int]) -> None:
    """A batch beside its epoch is a step of it; rounds, episodes and nothing at all only number entries."""
    losses = [4.0 - n / 8 for n in range(8)]
    rows = [row.format(n=n, e=n // 4, b=n % 4, s=20 * n, l=loss) for n, loss in enumerate(losses)]
    found = [fact for fact in read(tmp_path, "\n".join([header, *rows]) + "\n") if isinstance(fact, Samples)]

    (kept,) = [each for each in found if each.values.tolist() == losses]
    assert not {"epoch", "batch", "batch_idx", "round", "episode", "total/steps"} & {
        each.name.lower() for each in found
    }
    assert (kept.steps + 4 * kept.epochs).tolist() == steps if kept.epochs is not None else kept.steps.tolist() == steps


@pytest.mark.parametrize(
    "header", ["id,loss,acc", "model,params,test_loss", "round,home,away", "episode,title,minutes"]
)
def test_other_tables_are_no_logs(tmp_path: Path, header: str) -> None:
    rows = [f"{n},{n / 8},{n / 16}" for n in range(8)]

    assert not [fact for fact in read(tmp_path, "\n".join([header, *rows]) + "\n") if isinstance(fact, Samples)]
    assert not looks_like_table("\n".join([header, *rows]).encode())


@pytest.mark.parametrize(
    ("name", "header", "taken"),
    [
        ("progress.csv", "agent acc,entropy loss,frac,loss,mean 100 episode reward", True),
        ("log.csv", "loss,ce,kl,logp,accuracy,prec", True),
        ("table.csv", "loss,ce,kl,logp,accuracy,prec", False),
        ("log.csv", "model,loss,accuracy,x", False),
        ("log.csv", "batch_size,loss,accuracy,x", False),
        ("log.csv", "loss,x,y,z", False),
    ],
)
def test_a_file_that_is_called_a_log_needs_no_counter(tmp_path: Path, name: str, header: str, taken: bool) -> None:
    """OpenAI baselines' `progress.csv`: several metrics, a loss among them, and nothing that was compared."""
    rows = [",".join(f"{n / 8 + at}" for at in range(header.count(",") + 1)) for n in range(8)]
    found = [fact for fact in read(tmp_path, "\n".join([header, *rows]) + "\n", name) if isinstance(fact, Samples)]

    assert ("loss" in {each.name for each in found}) is taken
    assert all((each.steps == UNKNOWN_STEP).all() and len(each.values) == 8 for each in found)


def test_source_code_in_cells_is_no_header(tmp_path: Path) -> None:
    """A data set of code: an argument that is called `epoch` heads no column, what is long is an example."""
    code = "def fit(self, epoch, loss, seed=0):\n  return a(1, 2, 3, 4)\n" * 3
    rows = f"prediction,reference\n{code}1,2,3,4\n2,3,4,5\n3,4,5,6\n"
    assert not [fact for fact in read(tmp_path, rows, "x.csv") if isinstance(fact, Samples)]

    long = "".join(f'{n},0.5,"{"word " * 60}"\n' for n in range(4))
    assert not [fact for fact in read(tmp_path, f"step,reward,completion\n{long}") if isinstance(fact, Samples)]
