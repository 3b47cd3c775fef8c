"""The map of gradients in the page: one row a tensor, red where it is not finite."""

import base64
import zlib
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import forensics
from forensics.investigate import judge
from forensics.report import html
from forensics.report._record_map import BAD, COLUMNS, ROWS, ZERO, png, record_maps
from forensics.testing import TENSORS, make_recording, make_run
from runs import RUNS


def pixels(url: str) -> NDArray[np.uint8]:
    """Decode a PNG of one row as `png` writes it."""
    raw = base64.b64decode(url.partition(",")[2])
    width = int.from_bytes(raw[16:20], "big")
    size = int.from_bytes(raw[33:37], "big")
    return np.frombuffer(zlib.decompress(raw[41 : 41 + size])[1:], dtype=np.uint8).reshape(width, 4)


def test_a_cell_is_red_from_the_step_at_which_the_gradient_is_not_finite() -> None:
    bad = dict.fromkeys(range(5, 13), TENSORS[1:])
    run = make_run(recordings=[make_recording(0, local_bad=bad), make_recording(1)])
    local, reduced = record_maps(run)

    assert [row["name"] for row in local["rows"]] == list(reversed(TENSORS))
    assert (pixels(local["rows"][0]["image"]) == BAD).all(axis=1).tolist() == [False] * 4 + [True] * 8
    assert not (pixels(local["rows"][1]["image"]) == BAD).all(axis=1).any()
    assert local["rows"][0]["words"].endswith("not finite from step 5 on")
    assert (local["first"], local["last"], reduced["title"]) == (1, 12, "Gradient norms after the reduction")


def test_zero_has_a_colour_of_its_own() -> None:
    recording = make_recording(world=1, kind="single")
    recording.values[:, :, :2] = 0
    (local, _) = record_maps(make_run(recordings=[recording]))

    assert (pixels(local["rows"][0]["image"]) == ZERO).all()
    assert local["title"] == "Gradient norms in the backward pass"


def test_many_tensors_and_steps_are_folded_and_a_nan_stays_seen() -> None:
    names = [f"layers.{i}.weight" for i in range(400)]
    recording = make_recording(
        world=1, kind="single", names=names, steps=range(1, 513), local_bad={300: ["layers.7.weight"]}
    )
    (local, _) = record_maps(make_run(recordings=[recording]))

    assert len(local["rows"]) == ROWS
    images = [pixels(row["image"]) for row in local["rows"]]
    assert {len(image) for image in images} == {COLUMNS}
    assert sum(int((image == BAD).all(axis=1).sum()) for image in images) == 1


def test_the_page_holds_the_maps_and_only_then() -> None:
    with_record = html.render(judge(make_run(loss=[2.0] * 12, recordings=[make_recording(world=1, kind="single")])))

    assert with_record.count('<table class="record-map">') == 2
    assert (
        "record-map"
        not in html.render(judge(make_run(loss=[2.0] * 12))).partition("</style>")[2].partition("<body>")[2]
    )


def test_a_png_has_its_four_parts() -> None:
    made = png(np.zeros((2, 3, 4), dtype=np.uint8))

    assert made.startswith(b"\x89PNG\r\n\x1a\n")
    assert [kind in made for kind in (b"IHDR", b"IDAT", b"IEND")] == [True] * 3


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_the_proof_of_the_mechanism_is_told_beside_a_cause_that_is_only_likely(
    form: Literal["terminal", "markdown", "html"],
) -> None:
    report = forensics.analyze(RUNS / "broken" / "ds-zero12-comm-corruption-recorded" / "run")
    said = " ".join(forensics.render(report, form).replace("`", "").split())

    assert report.hypotheses[0].cause == "ds-zero12-comm-corruption"
    assert "is established: finite before, not finite after the reduction" in said
