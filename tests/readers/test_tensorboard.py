"""TensorBoard event files as readers see them: written by real writers, compared with TensorBoard's own reader."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_records import VERSION, event, frame, message, scalar, tensor
from forensics.model import Artifact, Events, Fact, Precision, Samples
from forensics.names import Kind
from forensics.readers.event_file import MAX_TAGS, event_file, metric_of
from readers.reading import facts_of, samples_of, settings_of, skips_of

NAME = "events.out.tfevents.1714557600.node01.4242.0"
VALUES = [2.5, 1.0 / 3.0, float("nan"), float("inf"), -0.0, 2e-05]


def read_all(root: Path) -> dict[str, list[Fact]]:
    """Read every event file under `root`, by path in the order of names."""
    found = sorted(path for path in root.rglob("*tfevents*") if path.is_file())
    artifacts = [Artifact(root, path.relative_to(root).as_posix(), path.stat().st_size, 0.0) for path in found]
    return {artifact.path: list(event_file.read(artifact)) for artifact in artifacts}


def only(root: Path) -> list[Fact]:
    (facts,) = read_all(root).values()
    return facts


def test_torch_writer(tmp_path: Path) -> None:
    """What torch's SummaryWriter was given comes back at its step, in the precision it was written in."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        for step, value in enumerate(VALUES):
            writer.add_scalar("train/loss", value, 10 * step, walltime=1.7e9 + step)
            writer.add_scalar("eval/loss", value, 10 * step, new_style=True)
            writer.add_scalar("exact", value, 10 * step, new_style=True, double_precision=True)
        writer.add_histogram("weights", np.arange(10.0), 3)
    facts = only(tmp_path)
    samples = samples_of(facts)
    single = np.array(VALUES, np.float32).astype(np.float64)

    assert {"loss", "eval_loss", "exact"} == samples.keys()
    np.testing.assert_array_equal(single, samples["loss"].values)
    np.testing.assert_array_equal(single, samples["eval_loss"].values)
    np.testing.assert_array_equal(VALUES, samples["exact"].values)
    assert [0, 10, 20, 30, 40, 50] == samples["loss"].steps.tolist() == samples["exact"].steps.tolist()
    assert samples["loss"].records.tolist() == [2, 5, 8, 11, 14, 17]
    assert samples["loss"].wall_times is not None
    assert [1.7e9 + step for step in range(6)] == samples["loss"].wall_times.tolist()
    assert (samples["loss"].precision, samples["exact"].precision) == (Precision.SINGLE, Precision.DOUBLE)
    assert [reason for _, reason in skips_of(facts)] == ["values other than scalars were not examined: 1 histogram"]


def accumulated(root: Path) -> dict[str, tuple[list[int], list[float], list[float]]]:
    """Return steps, values and wall times of every tag as TensorBoard's EventAccumulator keeps them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loaded = accumulator.EventAccumulator(
        str(root), size_guidance={"scalars": 0, "tensors": 0}, purge_orphaned_data=False
    )
    loaded.Reload()
    found: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for tag in loaded.Tags()["scalars"]:
        events = loaded.Scalars(tag)
        found[tag] = ([e.step for e in events], [e.value for e in events], [e.wall_time for e in events])
    return found


def compare(root: Path) -> int:
    """Compare the samples of one event file with the EventAccumulator's; return the number of points."""
    facts = [fact for facts in read_all(root).values() for fact in facts if isinstance(fact, Samples)]
    expected = {metric_of(tag, "")[0]: points for tag, points in accumulated(root).items()}

    assert sorted(expected) == sorted(fact.name for fact in facts)
    for fact in facts:
        steps, values, walls = expected[fact.name]
        assert steps == fact.steps.tolist()
        np.testing.assert_array_equal(np.array(values), fact.values)
        assert fact.wall_times is not None
        assert walls == fact.wall_times.tolist()
    return sum(len(fact.steps) for fact in facts)


def test_against_event_accumulator_torch(tmp_path: Path) -> None:
    """All points of a file written by torch are those of TensorBoard's reader with nothing sampled away."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    pytest.importorskip("tensorboard")
    random = np.random.default_rng(3)
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        for step in range(400):
            for tag in ("train/loss", "train/grad_norm", "train/learning_rate", "rewards/margins"):
                writer.add_scalar(tag, random.normal(), step * 5)

    assert compare(tmp_path) == 1600


def test_against_event_accumulator_tensorboardx(tmp_path: Path) -> None:
    """All points of a file written by tensorboardX are those of TensorBoard's reader."""
    tensorboardx: Any = pytest.importorskip("tensorboardX")
    pytest.importorskip("tensorboard")
    with tensorboardx.SummaryWriter(str(tmp_path)) as writer:
        for step in range(120):
            writer.add_scalar("train/loss", 1.0 / (step + 1), step)
            writer.add_scalars("losses", {"one": step, "two": -step}, step)
    found = [f for facts in read_all(tmp_path).values() for f in facts if isinstance(f, Samples)]

    assert [(f.name, len(f.steps)) for f in found] == [("loss", 120), ("one/losses", 120), ("two/losses", 120)]
    shutil.rmtree(tmp_path / "losses")
    assert compare(tmp_path) == 120


def test_arguments_and_model(tmp_path: Path) -> None:
    """What the Trainer's callback writes at the start becomes settings and the version of Transformers."""
    arguments = {
        "learning_rate": 2e-5,
        "deepspeed": {"zero_optimization": {"stage": 2}},
    }
    model = {"model_type": "llama", "transformers_version": "4.57.1", "hidden_size": 8}
    made = [
        event([tensor(f"{tag}/text_summary", b"\x08\x07" + message(8, json.dumps(held).encode()), "text")])
        for tag, held in (("args", arguments), ("model_config", model))
    ]
    facts = facts_of(event_file, tmp_path, NAME, b"".join(map(frame, [VERSION, *made])))

    assert settings_of(facts) == [
        ("setting", "learning_rate", 2e-5, "event 2", "RECORDED"),
        ("setting", "deepspeed", "<given as a dictionary>", "event 2", "RECORDED"),
        ("setting", "zero_optimization.stage", 2, "event 2", "RECORDED"),
        ("setting", "model.model_type", "llama", "event 3", "RECORDED"),
        ("package", "transformers", "4.57.1", "event 3", "RECORDED"),
        ("setting", "model.transformers_version", "4.57.1", "event 3", "RECORDED"),
        ("setting", "model.hidden_size", 8, "event 3", "RECORDED"),
    ]


def test_arguments_that_are_no_json(tmp_path: Path) -> None:
    """Arguments in another form than the Trainer's are told; the scalars are read."""
    text = tensor("args/text_summary", b"\x08\x07" + message(8, b"lr = 1"), "text")
    facts = facts_of(event_file, tmp_path, NAME, frame(event([text])) + frame(event([scalar("loss", 1)], 1)))

    assert list(samples_of(facts)) == ["loss"]
    assert [f"{NAME}:event 1"] == [what for what, _ in skips_of(facts)]


def test_hparams(tmp_path: Path) -> None:
    """Hyper-parameters given to add_hparams become settings; whole numbers are whole again, "None" is None."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        writer.add_hparams({"lr": 0.1, "batch": 8, "optim": "adamw", "seed": "None"}, {"hparam/loss": 3.0})
    found = {name: value for facts in read_all(tmp_path).values() for _, name, value, _, _ in settings_of(facts)}

    assert found == {"lr": 0.1, "batch": 8, "optim": "adamw", "seed": None}
    assert isinstance(found["batch"], int)


def test_restart_with_purge(tmp_path: Path) -> None:
    """A writer that asks TensorBoard to hide points is told as a resume; every point of both files is kept."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    for purge, steps in ((None, range(5)), (3, range(3, 8))):
        with tensorboard.SummaryWriter(str(tmp_path), purge_step=purge) as writer:
            for step in steps:
                writer.add_scalar("train/loss", step, step)
    first, second = read_all(tmp_path).values()
    (resumed,) = [fact for fact in second if isinstance(fact, Events)]

    assert samples_of(first)["loss"].steps.tolist() == [0, 1, 2, 3, 4]
    assert samples_of(second)["loss"].steps.tolist() == [3, 4, 5, 6, 7]
    assert (resumed.kind, resumed.steps.tolist(), resumed.records.tolist()) == (Kind.RESUMED, [3], [3])


@pytest.mark.parametrize(
    ("tag", "path", "expected"),
    [
        ("train/loss", NAME, ("loss", "step")),
        ("eval/accuracy", NAME, ("eval_accuracy", "step")),
        ("Train/Samples/train_loss", NAME, ("loss", "samples")),
        ("Train/Samples/elapsed_time_ms_step", NAME, ("elapsed_time_ms_step", "samples")),
        ("lm loss", NAME, ("loss", "step")),
        ("lm loss vs samples", NAME, ("loss", "samples")),
        ("grad-norm/grad-norm vs samples", NAME, ("grad_norm", "samples")),
        ("lm-loss-validation/lm loss validation vs tokens", NAME, ("eval_loss", "tokens")),
        ("lm-loss-validation/valid/lm loss", NAME, ("eval_loss", "step")),
        ("lm-loss-validation/pile/lm loss validation", NAME, ("eval_pile_loss", "step")),
        ("loss-vs-tokens", NAME, ("loss", "tokens")),
        ("loss vs iterations", NAME, ("loss", "step")),
        ("loss vs wall time", NAME, ("loss", "seconds")),
        ("loss over entries", NAME, ("loss", "entry")),
        ("win rate vs baseline", NAME, ("win rate vs baseline", "step")),
        ("accuracy_over_time", NAME, ("accuracy_over_time", "step")),
        ("lm-loss-training/lm loss", NAME, ("loss", "step")),
        ("loss", f"runs/loss_val/{NAME}", ("eval_loss", "step")),
        ("loss", f"runs/loss_train/{NAME}", ("loss", "step")),
        ("loss", f"runs/loss/val/{NAME}", ("eval_loss", "step")),
        ("loss", f"runs/validation/{NAME}", ("eval_loss", "step")),
        ("eval/loss", f"runs/eval/{NAME}", ("eval_loss", "step")),
        ("train/loss", f"runs/eval/{NAME}", ("loss", "step")),
    ],
)
def test_names_and_axes(tag: str, path: str, expected: tuple[str, str]) -> None:
    """Tags of every trainer have the canonical name; DeepSpeed's monitor and Megatron's twins count samples."""
    assert expected == metric_of(tag, path)


def test_points_over_operations_are_told(tmp_path: Path) -> None:
    """The twins of Megatron-DeepSpeed's BigScience fork that count floating point operations are no place of a run."""
    made = [
        event([scalar("lm-loss-training/lm loss vs gigaflos (without embeddings)", 2)], 4096),
        event([scalar("lm loss", 2)], 1),
    ]
    facts = facts_of(event_file, tmp_path, NAME, b"".join(map(frame, made)))

    assert list(samples_of(facts)) == ["loss"]
    assert samples_of(facts)["loss"].steps.tolist() == [1]
    assert [reason for _, reason in skips_of(facts)] == [
        "tags over floating point operations and the like were not examined: 1"
    ]


def test_tags_without_end(tmp_path: Path) -> None:
    """The tags that a file names first are kept and the number of the others is told."""
    values = [scalar("train/loss", 2), *(scalar(f"a{number}", 1) for number in range(MAX_TAGS + 1))]
    made = [event(values[first : first + 1000], 1) for first in range(0, len(values), 1000)]
    facts = facts_of(event_file, tmp_path, NAME, b"".join(map(frame, made)))

    assert len(samples_of(facts)) == MAX_TAGS
    assert "loss" in samples_of(facts)
    assert [reason for _, reason in skips_of(facts)] == ["2 tags beyond the first 20,000 were left out"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12345\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (bytes(200), "is all zero bytes"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (frame(VERSION), "holds no event"),
        (b"", "is empty"),
        (b"not an event file at all", "the length of record 1 at byte 0 fails its CRC"),
    ],
)
def test_what_is_no_event_file(tmp_path: Path, content: bytes, reason: str) -> None:
    """Pointers, pages, zeros and stubs under the name of an event file are recognised and told."""
    facts = facts_of(event_file, tmp_path, NAME, content)

    assert 1 == len(facts) == len(skips_of(facts))
    assert reason in skips_of(facts)[0][1]


def test_content_tells_an_event_file() -> None:
    """A renamed event file is recognised by the checksum of its first length; text and zeros are not."""
    assert event_file.sniff is not None
    assert [
        event_file.sniff(head)
        for head in (frame(VERSION), frame(VERSION)[:20], b"step 1 loss 2.0\n" * 9, bytes(64), b"")
    ] == [True, True, False, False, False]


def test_small_file_loads_no_compiler(tmp_path: Path) -> None:
    """An ordinary event file is read without importing numba or tensorboard."""
    (tmp_path / NAME).write_bytes(frame(VERSION) + frame(event([scalar("loss", 1)], 1)))
    code = (
        "import sys\nfrom pathlib import Path\nfrom forensics.model import Artifact\n"
        "from forensics.readers.event_file import event_file\n"
        f"print(len(list(event_file.read(Artifact(Path({str(tmp_path)!r}), {NAME!r}, 0, 0.0)))))\n"
        "print(sorted({'numba', 'tensorboard', 'google'} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert ran.stdout.split("\n")[:2] == ["1", "[]"]
