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

COLUMNS = ["step", "metric", "value", "wall_time", "source", "rank", "segment"]


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
    assert set(frame["segment"]) <= {-1, 0}


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
        (["-f", "parquet"], "name a file with -o"),
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
