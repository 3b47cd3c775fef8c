"""Histories in one JSON document, counters of one's own, files that were packed, records by other names."""

import gzip
import json
import lzma
import math
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensics import catalog
from forensics.documents.notebook import notebook
from forensics.documents.packed_text import packed_text
from forensics.errors import MalformedError
from forensics.investigate import _parts
from forensics.model import Artifact, Events, Fact, Samples, Skip
from forensics.names import EVALUATION
from forensics.plugin import Piece
from forensics.readers.flight_recorder import flight_recorder
from forensics.readers.json_history import json_history, looks_like_history
from forensics.readers.metrics_csv import looks_like_table, metrics_csv
from forensics.readers.metrics_jsonl import looks_like_metrics, metrics_jsonl
from forensics.readers.results_json import results_json
from forensics.readers.text_log import text_log
from readers.reading import artifact_of, facts_of, samples_of, skips_of

NAN = math.nan


def test_a_list_of_entries(tmp_path: Path) -> None:
    """Names in camel case are told apart, an epoch is the place."""
    rows = [{"epoch": e, "trainLoss": 3.0 - e if e < 2 else NAN, "valLoss": 2.0} for e in range(3)]
    blocks = samples_of(facts_of(json_history, tmp_path, "history.json", json.dumps(rows)))

    assert blocks["loss"].values.tolist()[:2] == [3.0, 2.0]
    assert math.isnan(blocks["loss"].values[2])
    epochs = blocks["eval_loss"].epochs
    assert epochs is not None
    assert epochs.tolist() == [0, 1, 2]
    assert blocks["eval_loss"].place == "entry {}"


def test_lists_by_metric(tmp_path: Path) -> None:
    """Keras' history: the entries are told apart by their number alone, lists of other lengths are none of them."""
    history = {"loss": [2.5, 2.0, 1.5], "val_loss": [2.6, 2.2, 1.9], "layers": [1, 2]}
    blocks = samples_of(facts_of(json_history, tmp_path, "h.json", json.dumps(history)))

    assert sorted(blocks) == ["eval_loss", "loss"]
    assert blocks["loss"].values.tolist() == history["loss"]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('[{"epoch": 1, "loss": 2.0}]', True),
        ('{"lr": [1], "loss": [2.0]}', True),
        ('[{"prompt": "what is a loss?", "answer": 3}]', False),
        ('{"loss_weights": [1, 2]}', False),
        ("[1, 2, 3]", False),
        ('{"loss": 2.0}', False),
    ],
)
def test_what_is_a_history(text: str, taken: bool) -> None:
    assert json_history.sniff is not None
    assert json_history.sniff(text.encode()) is taken


_LOSSES = [3.0 - epoch / 8 for epoch in range(24)]
_ROWS = [{"epoch": epoch, "train": {"loss": loss}, "val": {"loss": 2.5}} for epoch, loss in enumerate(_LOSSES)]


@pytest.mark.parametrize(
    "document",
    [
        _ROWS,
        {"config": {"lr": 0.1}, "epochs": _ROWS},
        {f"epoch {epoch}": {"train_loss": loss, "val_loss": 2.5} for epoch, loss in enumerate(_LOSSES)},
        {str(epoch): {"train_loss": loss, "val_loss": 2.5} for epoch, loss in enumerate(_LOSSES)},
        {"train": {"loss": _LOSSES}, "val": {"loss": [2.5] * 24}},
        {"train_losses": _LOSSES, "val_losses": [2.5] * 24, "best_epoch": 3},
    ],
    ids=["a list", "a list within", "by epoch", "by number", "by part", "losses"],
)
def test_a_history_of_any_structure(tmp_path: Path, document: object) -> None:
    """Training and validation stay apart, and the reader of logs does not take it too."""
    text = json.dumps(document)
    blocks = samples_of(facts_of(json_history, tmp_path, "results.json", text))

    training = blocks["loss" if "loss" in blocks else "train_loss"]
    assert training.values.tolist() == _LOSSES
    assert blocks["eval_loss"].values.tolist() == [2.5] * 24
    assert text_log.sniff is not None
    assert not text_log.sniff(text.encode()[:4096])


@pytest.mark.parametrize(
    "document",
    [
        {"results": [{"model": name, "val_loss": 2.0} for name in "abcd"]},
        {str(fold): {"val_loss": 2.0 + fold} for fold in range(5)},
    ],
    ids=["models", "folds"],
)
def test_results_of_several_models_are_no_history(tmp_path: Path, document: object) -> None:
    """Neither a list without places nor a few numbered results is a curve."""
    assert not samples_of(facts_of(json_history, tmp_path, "results.json", json.dumps(document)))


def test_a_few_entries_are_no_history(tmp_path: Path) -> None:
    assert facts_of(json_history, tmp_path, "h.json", '[{"epoch": 1, "loss": 2.0}, 3]') == []
    assert facts_of(json_history, tmp_path, "h.json", '"loss"') == []


def test_a_counter_of_ones_own(tmp_path: Path) -> None:
    """A record with a loss is placed by whatever counts steps, the optimizer's before the iteration's."""
    lines = [json.dumps({"iter_num": 8 * i, "optimizer_step": i, "train_loss": 3.0 - i}) for i in range(1, 7)]
    assert looks_like_metrics("\n".join(lines).encode())
    block = samples_of(facts_of(metrics_jsonl, tmp_path, "m.jsonl", "\n".join(lines)))

    assert block["train_loss"].steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert "optimizer_step" not in block

    table = "update,train_nll,seconds\n10,2.5,1\n20,2.0,1\n"
    assert looks_like_table(table.encode())
    assert samples_of(facts_of(metrics_csv, tmp_path, "m.csv", table))["train_nll"].steps.tolist() == [10, 20]
    assert not looks_like_table(b"update,price\n1,2\n")
    assert not looks_like_metrics(b'{"iter_num": 1, "price": 2.5}\n')


def test_a_result_that_is_no_number(tmp_path: Path) -> None:
    """The evaluation of a run may be all that is left of it; a finite one is a setting, no point of a curve."""
    found = samples_of(
        facts_of(results_json, tmp_path, "eval_results.json", '{"epoch": 3.0, "eval_loss": NaN, "test_loss": 1.0}')
    )

    assert list(found) == ["eval_loss"]
    assert math.isnan(found["eval_loss"].values[0])


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("xz", lzma.compress)])
def test_a_packed_log(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    """A packed log is read as the file that it was, one stream behind the other; a cut one as far as it goes."""
    data = pack(b"step 1 loss 2.5\n") + pack(b"step 2 loss 2.0\n")
    artifact = artifact_of(tmp_path, f"train.log.1.{ending}", data)
    assert packed_text.takes(artifact, data[:64])
    assert [text_of(piece) for piece in packed_text.split(artifact)] == ["step 1 loss 2.5\nstep 2 loss 2.0\n"]
    facts, failures = told_of(artifact, data)
    assert samples_of(facts)["loss"].values.tolist() == [2.5, 2.0]
    assert {fact.path for fact in facts if isinstance(fact, Samples)} == {artifact.path}
    assert not failures

    cut = artifact_of(tmp_path, f"cut.log.{ending}", data[:-4])
    assert skips_of(list(packed_text.split(cut))) == [  # type: ignore[arg-type]  # skips and pieces
        (cut.path, "the end was not unpacked: it ends before its own end mark")
    ]


def test_a_packed_log_of_more_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.documents.packed_text.MOST_BYTES", 6)
    monkeypatch.setattr("forensics.storage.packed.READ_BYTES", 4)
    artifact = artifact_of(tmp_path, "a.log.gz", gzip.compress(b"step 1 loss 2.5"))
    skip, text = map(text_of, packed_text.split(artifact))

    assert (skip, text) == ("the end was not unpacked: no more than 6 bytes are unpacked", "step 1")
    with pytest.raises(MalformedError, match="cannot be unpacked"):
        list(packed_text.split(artifact_of(tmp_path, "b.log.gz", b"\x1f\x8bnothing")))


def test_a_packed_log_is_read_in_windows(tmp_path: Path) -> None:
    """What is held of it at once does not grow with what it unpacks to: a log ten times as long takes no more."""

    def held(lines: int) -> int:
        log = b"".join(b"step %d loss 2.5 %s\n" % (n, b"." * 4_000) for n in range(lines))
        artifact = artifact_of(tmp_path, "train.log.gz", gzip.compress(log))
        length = len(log)
        del log
        tracemalloc.start()
        pieces = [piece for piece in packed_text.split(artifact) if isinstance(piece, Piece)]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [piece.file and piece.file.size for piece in pieces] == [length]
        return most

    assert held(5_000) < 1.5 * held(500)


def test_what_is_not_unpacked(tmp_path: Path) -> None:
    data = gzip.compress(b"weights")
    assert not any(document.takes(_named("w.bin.gz"), data[:64]) for document in catalog.documents())
    assert not packed_text.takes(_named("train.log.gz"), b"step 1 loss 2\n")


def text_of(piece: Piece | Skip) -> str:
    """Return what a piece of a packed file holds, or why it was not read."""
    if isinstance(piece, Skip):
        return piece.reason
    assert piece.file is not None
    made = bytearray(piece.file.size)
    piece.file.read_into(0, memoryview(made))
    return made.decode()


def told_of(artifact: Artifact, head: bytes) -> tuple[list[Fact], list[str]]:
    """Return what the readers tell of a document, and the failures."""
    failures: list[str] = []
    (document,) = (each for each in catalog.documents() if each.takes(artifact, head))
    return list(_parts(document, artifact, failures)), failures


def _named(path: str) -> Artifact:
    return Artifact(Path(), path, 10, 0.0)


@pytest.mark.parametrize("name", ["fr_trace_1.json", "nccl_dump_1"])
def test_a_flight_recorder_of_any_name(tmp_path: Path, name: str) -> None:
    entry = {"record_id": 0, "collective_seq_id": 9, "profiling_name": "nccl:broadcast", "state": "started"}
    dump = {"version": "2.5", "entries": [entry], "pg_config": {}, "pg_status": {}}
    data = json.dumps(dump).encode() if name.endswith("json") else pickle.dumps(dump, protocol=2)
    assert flight_recorder.sniff is not None
    assert flight_recorder.sniff(data)
    (event,) = [fact for fact in facts_of(flight_recorder, tmp_path, name, data) if isinstance(fact, Events)]
    assert event.rank == 1
    assert "broadcast 9" in event.texts[0]


def test_the_history_of_keras_in_a_notebook(tmp_path: Path) -> None:
    """A DataFrame of it has no name for its index, which counts epochs."""
    rows = "".join(f"<tr><th>{e}</th><td>{2 - e}</td><td>{2.5 - e}</td></tr>" for e in range(2))
    page = f"<table><tr><th></th><th>loss</th><th>val_loss</th></tr>{rows}</table>"
    cell = {
        "cell_type": "code",
        "source": "",
        "outputs": [{"output_type": "execute_result", "data": {"text/html": page}}],
    }
    artifact = artifact_of(tmp_path, "k.ipynb", json.dumps({"cells": [cell], "nbformat": 4}))
    (piece,) = notebook.split(artifact)

    assert isinstance(piece, Piece)
    assert piece.text.split() == ["epoch,loss,val_loss", "0,2,2.5", "1,1,1.5"]


@pytest.mark.parametrize(
    ("name", "evaluates"),
    [("valLoss", True), ("testLoss", True), ("验证损失", True), ("VALUE", False), ("value", False)],
)
def test_names_of_an_evaluation(name: str, evaluates: bool) -> None:
    assert bool(EVALUATION.search(name)) is evaluates


def _entries(count: int, **more: object) -> list[dict[str, object]]:
    return [{"step": 10 * n, "loss": 3.0 - n / 8, **more} for n in range(1, count + 1)]


@pytest.mark.parametrize(
    "document",
    [
        {"run_info": {"lr": 0.1}, "train_info": {"status": "done", "metrics": _entries(4)}},
        {"current_stage": 0, "performance_history": _entries(4)},
        {"note": "x" * 5000, "curve of the run": _entries(4, tokens=[1])},
        _entries(2),
    ],
    ids=["two-mappings-deep", "under-any-name", "behind-a-long-text", "two-that-are-placed"],
)
def test_entries_are_found_wherever_a_document_holds_them(tmp_path: Path, document: object) -> None:
    """peft's `method_comparison/MetaMathQA/results` and curricula of one's own keep them deep within settings."""
    text = json.dumps(document, indent=1)
    held = json.loads(text)
    entries = held if isinstance(held, list) else next(_lists(held))

    assert looks_like_history(text.encode())
    blocks = samples_of(facts_of(json_history, tmp_path, "r.json", text))
    assert blocks["loss"].values.tolist() == [entry["loss"] for entry in entries]
    assert blocks["loss"].steps.tolist() == [entry["step"] for entry in entries]


def _lists(value: dict[str, object]) -> Iterator[list[dict[str, float]]]:
    for held in value.values():
        if isinstance(held, dict):
            yield from _lists(held)
        elif isinstance(held, list):
            yield held


def test_catboost_tells_a_list_of_one_number(tmp_path: Path) -> None:
    """`catboost_training.json`: `learn` and `test` hold one number for each metric."""
    rows = [{"learn": [0.7 - n / 100], "test": [0.71 - n / 200], "iteration": n} for n in range(4)]
    blocks = samples_of(facts_of(json_history, tmp_path, "c.json", json.dumps({"meta": {"n": 4}, "iterations": rows})))

    assert blocks["learn"].values.tolist() == [0.7 - n / 100 for n in range(4)]
    assert blocks["test"].steps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("document", "taken"),
    [
        ({"config": {"lr": 1}, "log": [{"epoch": 1, "train loss": 2.0}]}, True),
        ({"log_history": [{"step": 1, "loss": 2.0}]}, False),  # the Trainer's state has a reader of its own
        ({"episodes": [{"episode": 1, "reward": 2.0}]}, True),
        ({"players": [{"game": 1, "points": 2.0}]}, False),
    ],
)
def test_which_documents_hold_a_history(document: object, taken: bool) -> None:
    assert looks_like_history(json.dumps(document).encode()) is taken


def test_a_line_tells_its_episode_wherever_it_names_it(tmp_path: Path) -> None:
    """What was earned is counted by episodes; the steps of an episode are its length."""
    rows = [
        row
        for n in range(4)
        for row in (
            {"type": "gameplay", "episode": n, "reward": n + 0.5, "steps": 17 - n},
            {"type": "network", "episode": n, "actor_loss": 2.0 - n / 4},
        )
    ]
    text = "\n".join(map(json.dumps, rows))
    assert looks_like_metrics(text.encode())
    blocks = samples_of(facts_of(metrics_jsonl, tmp_path, "m.jsonl", text))
    assert blocks["reward"].values.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert blocks["reward"].steps.tolist() == blocks["actor_loss"].steps.tolist() == [0, 1, 2, 3]


def test_a_first_line_without_a_loss_counts_too(tmp_path: Path) -> None:
    """Stable-Baselines3's `progress.json`: before the first update there is a reward alone."""
    rows: list[dict[str, float]] = [{"rollout/ep_rew_mean": -5.5, "time/total_timesteps": 100}]
    rows += [
        {"train/actor_loss": 1.5, "rollout/ep_rew_mean": -4.5, "time/total_timesteps": 100 * n} for n in range(2, 9)
    ]
    blocks = samples_of(facts_of(metrics_jsonl, tmp_path, "progress.json", "\n".join(map(json.dumps, rows))))

    assert blocks["rollout/ep_rew_mean"].steps.tolist() == [100 * n for n in range(1, 9)]
