"""`medforensics timeline`: the merged series and every sample, in every form."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import forensics
from forensics.cli import main
from runs import FOUNDING

COLUMNS = ["step", "entry", "metric", "value", "wall_time", "source", "rank", "segment"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["timeline", str(FOUNDING.run), *arguments])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_frame_has_these_columns_and_every_sample() -> None:
    read = forensics.read(FOUNDING.run)
    frame = read.frame()
    blocks = read.timeline.samples

    assert list(frame.columns) == COLUMNS
    assert len(frame) == sum(len(block.steps) for block in blocks) > 400
    assert frame["value"].tolist() == pytest.approx(
        np.concatenate([b.values for b in blocks]).tolist(), rel=0, abs=0, nan_ok=True
    )
    assert set(frame["segment"].dropna()) == {0}
    assert frame["rank"].isna().all()


def test_csv_holds_the_merged_series() -> None:
    series = forensics.read(FOUNDING.run).timeline["loss"]
    rows = rows_of(run("-m", "loss", "-f", "csv").stdout)

    assert [int(row["step"]) for row in rows] == series.steps.tolist()
    assert [float(row["value"]) for row in rows] == series.values.tolist()
    assert rows[0]["source"] == str(series.source_at(0))


def test_json_holds_nonfinite_numbers_as_texts() -> None:
    found = json.loads(run("-m", "eval_loss", "-f", "json").stdout)

    assert "nan" in found["eval_loss"]["values"]
    assert found["eval_loss"]["steps"][0] == 6


def test_samples_are_every_row_of_the_frame() -> None:
    frame = forensics.read(FOUNDING.run).frame()
    table = rows_of(run("--samples", "-f", "csv").stdout)
    columns = json.loads(run("--samples", "-f", "json").stdout)

    assert list(table[0]) == list(columns) == COLUMNS
    assert len(table) == len(columns["step"]) == len(frame)
    assert [row["source"] for row in table] == frame["source"].tolist()


@pytest.mark.parametrize("samples", [False, True])
def test_parquet_equals_csv(samples: bool, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    more = ["--samples"] if samples else []
    target = tmp_path / "made.parquet"
    done = run(*more, "-f", "parquet", "-o", str(target))
    table = rows_of(run(*more, "-f", "csv").stdout)
    found = pandas.read_parquet(target)

    assert done.exit_code == 0, done.output
    assert list(found.columns) == list(table[0])
    assert found["step"].tolist() == [int(row["step"]) for row in table]
    assert found["value"].tolist() == pytest.approx([float(row["value"]) for row in table], nan_ok=True)


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    done = run("-f", "parquet", "-o", str(tmp_path / "x.parquet"))

    assert done.exit_code == 2
    assert "pip install pyarrow" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "parquet"], "parquet is no text; name a file with -o"),
        (["-f", "tensorboard"], "tensorboard is no text; name a folder with -o"),
        (["-f", "tensorboard", "--samples", "-o", "x"], "one value a step"),
        (["-f", "tensorboard", "-o", str(FOUNDING.run / "x")], "nothing is written into the run directory"),
        (["-f", "tensorboard", "-o", str(FOUNDING.run / "train.log")], "nothing is written into the run directory"),
        (["-f", "parquet", "-o", str(FOUNDING.run / "x.parquet")], "nothing is written into the run directory"),
        (["--samples"], "--samples are many"),
        (["--plot", "-f", "csv"], "--plot draws the merged series"),
        (["-m", "lost"], "the run has no metric 'lost'; it has "),
        (["-m", "lost", "--samples", "-f", "csv"], "the run has no metric 'lost'"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(arguments: list[str], message: str) -> None:
    done = run(*arguments)

    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_plot_shows_the_metric_and_its_last_step() -> None:
    text = run("-m", "loss", "--plot").stdout
    lines = text.splitlines()

    assert lines[0].startswith("loss, 0 to ")
    assert lines[-1].split() == ["step", "1", "36"]
    assert sum(line.count("●") + line.count("o") for line in lines[1:8]) >= 30
    assert max(map(len, lines)) <= 80


def test_secrets_do_not_pass(tmp_path: Path) -> None:
    """A metric or a file that is named after a token is masked in the samples too."""
    token = "hf_" + "abcdefghijklmnopqrstuvwxyz012345"
    (tmp_path / f"{token}.csv").write_text(f"step,loss,{token}\n1,2.0,1\n2,1.9,1\n3,1.8,1\n")
    for arguments in (["--samples", "-f", "csv"], ["-f", "csv"], ["--plot"]):
        text = CliRunner().invoke(main, ["timeline", str(tmp_path), *arguments]).output
        assert "loss" in text
        assert token not in text


def events_of(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Read a folder as TensorBoard does: step, wall time and value of every event by tag."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.wall_time, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_reads_what_the_timeline_holds(tmp_path: Path) -> None:
    """Steps and wall times are kept as they are, values as float32, NaN too."""
    done = run("-f", "tensorboard", "-o", str(tmp_path / "new" / "board"))
    series = forensics.read(FOUNDING.run).timeline.series
    found = events_of(tmp_path / "new" / "board")

    assert done.exit_code == 0, done.output
    assert done.output == ""
    assert found.keys() == series.keys()
    for name, one in series.items():
        assert [step for step, _, _ in found[name]] == one.steps.tolist()
        assert [wall for _, wall, _ in found[name]] == np.nan_to_num(one.wall_times).tolist()
        np.testing.assert_array_equal([value for _, _, value in found[name]], one.values.astype(np.float32))
    assert any(np.isnan(one.values).any() for one in series.values())


def test_a_log_alone_opens_in_tensorboard(tmp_path: Path) -> None:
    """No wall times are in it; what is read back from the event file is the timeline of the log."""
    log = tmp_path / "train.log"
    log.write_text("".join(f"{{'loss': {2 / step:.4f}, 'step': {step}}}\n" for step in range(1, 9)))
    board = tmp_path / "board"
    done = CliRunner().invoke(main, ["timeline", str(log), "-f", "tensorboard", "-o", str(board)])
    first, again = forensics.read(log).timeline["loss"], forensics.read(board).timeline["loss"]

    assert done.exit_code == 0, done.output
    assert again.steps.tolist() == first.steps.tolist()
    assert again.values.tolist() == pytest.approx(first.values.tolist(), rel=1e-6)
    assert {wall for _, wall, _ in events_of(board)["loss"]} == {0.0}


def test_only_the_metrics_asked_for_are_written(tmp_path: Path) -> None:
    run("-f", "tensorboard", "-m", "loss", "-o", str(tmp_path))

    assert events_of(tmp_path).keys() == {"loss"}


def test_the_same_run_gives_the_same_event_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("-f", "tensorboard", "-o", str(tmp_path / name))
    (one,), (other,) = (list((tmp_path / name).iterdir()) for name in ("a", "b"))

    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_two_event_files_are_not_mixed_in_one_folder(tmp_path: Path) -> None:
    arguments = ("-f", "tensorboard", "-o", str(tmp_path))
    first, second = run(*arguments), run(*arguments)

    assert (first.exit_code, second.exit_code) == (0, 2)
    assert "holds an event file already" in second.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_no_folder_for_an_event_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    done = run("-f", "tensorboard", "-o", str(tmp_path / "taken"))

    assert done.exit_code == 2
    assert "cannot be made a folder" in done.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_run_without_values_has_nothing_for_tensorboard(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"model_type": "llama", "torch_dtype": "bfloat16"}')
    board = tmp_path / "board"
    done = CliRunner().invoke(main, ["timeline", str(tmp_path / "run"), "-f", "tensorboard", "-o", str(board)])

    assert done.exit_code == 2
    assert "no values over steps" in done.stderr
    assert not board.exists()
