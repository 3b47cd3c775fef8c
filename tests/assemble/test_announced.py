"""Stages that a text announces where its loss leaps, and leaps that nothing announces."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

FIRST = tuple(round(2.3 * math.exp(-n / 4) + 0.05 + 0.01 * (n % 2), 4) for n in range(12))
HARDER = tuple(round(1.9 * math.exp(-n / 4) + 0.15 + 0.01 * (n % 2), 4) for n in range(12))
RUINED = (24.0, 4.0, 2.6, *[2.33 + 0.02 * (n % 3) for n in range(9)])


def text(heading: str, *stages: Sequence[float]) -> list[str]:
    lines, step = [], 0
    for number, values in enumerate(stages, 1):
        lines += [heading.format(n=number)] if number > 1 and heading else []
        for value in values:
            step += 20
            lines.append(f"step {step}: loss {value:.4f}")
    return lines


def judged(folder: Path, heading: str, *stages: Sequence[float]) -> Report:
    (folder / "train.log").write_text("\n".join(text(heading, *stages)))
    return investigate(folder)


@pytest.mark.parametrize(
    "heading",
    [
        "Stage {n}",
        "=== phase {n}: strings of 12 ===",
        "[curriculum] difficulty -> {n}",
        "Increasing sequence length to 1{n}",
        "2025-01-02 10:00:00 INFO unfreezing block {n}",
        "*** ResNet{n} ***",
        "lr=0.01 model {n}",
    ],
)
def test_what_leaps_as_announced_is_healthy(tmp_path: Path, heading: str) -> None:
    report = judged(tmp_path, heading, FIRST, HARDER, HARDER)

    assert report.verdict == "healthy"
    assert len(report.trainings) == 3


@pytest.mark.parametrize(
    "heading",
    [
        "",
        "some text",
        "a warning of stage {n}",
        "loading the checkpoint of phase {n}",
        "***** Running training *****",
        "Stage {n} " + "of a very long story " * 9,
    ],
    ids=["nothing", "no heading", "a warning", "a checkpoint", "a new start", "a story"],
)
def test_what_nothing_announces_is_told(tmp_path: Path, heading: str) -> None:
    report = judged(tmp_path, heading, FIRST, HARDER)

    assert report.verdict != "healthy"
    assert report.trainings == ()


def test_what_stands_between_all_entries_announces_nothing(tmp_path: Path) -> None:
    lines = [part for line in text("", FIRST, HARDER) for part in ("training", line)]
    (tmp_path / "train.log").write_text("\n".join(lines))

    assert investigate(tmp_path).trainings == ()


def test_a_stage_that_ends_where_all_began_is_told(tmp_path: Path) -> None:
    report = judged(tmp_path, "Stage {n}", FIRST, RUINED)

    assert (report.verdict, report.trainings) == ("broken", ())
    assert report.findings[0].symptom == "loss-divergence"


def test_another_loss_ends_below_half_of_its_first_entry(tmp_path: Path) -> None:
    report = judged(tmp_path, "Training the classifier", FIRST, tuple(40 * value for value in FIRST))

    assert (report.verdict, len(report.trainings)) == ("healthy", 2)


def test_a_notebook(tmp_path: Path) -> None:
    """Its lines are those of its outputs."""
    lines = [f"{line}\n" for line in text("Stage {n}", FIRST, HARDER)]
    output = {"output_type": "stream", "name": "stdout", "text": lines}
    cell = {"cell_type": "code", "source": ["train()"], "outputs": [output], "metadata": {}, "execution_count": 1}
    (tmp_path / "a.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}))
    report = investigate(tmp_path)

    assert (report.verdict, len(report.trainings)) == ("healthy", 2)


def test_a_noisy_curve_has_no_stages(tmp_path: Path) -> None:
    noisy = [2.0 if n % 2 else 0.2 for n in range(260)]

    assert judged(tmp_path, "Stage {n}", noisy, noisy).trainings == ()


def test_a_large_text_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.documents._between.LARGEST", 100)

    assert judged(tmp_path, "Stage {n}", FIRST, HARDER).trainings == ()
