"""All hostile runs, class by class."""

from collections.abc import Iterator

from fuzz.hostile import (
    archive_cases,
    attack_cases,
    machine_cases,
    old_cases,
    parser_cases,
    pickle_cases,
    settings_cases,
    text_cases,
    weights_cases,
    zip_cases,
)
from fuzz.hostile.case import Case, Payload
from fuzz.hostile.inputs import Input, written


def _of_cases(group: str, cases: Iterator[Case]) -> Iterator[Input]:
    """Yield files of the reader's tests as files of a run."""
    for case in cases:
        yield Input(group, case.name, written(case.content, f"checkpoint-5/{_name(case)}"))


def _name(case: Case) -> str:
    return {"pt": "pytorch_model.bin"}.get(case.ending, f"weights.{case.ending}")


def every(payload: Payload) -> Iterator[Input]:
    """Yield all inputs, class by class."""
    yield from _of_cases("pickle", pickle_cases.pickle_cases(payload))
    yield from _of_cases("torch zip", zip_cases.zip_cases(payload))
    yield from _of_cases("torch before 1.6", old_cases.legacy_cases(payload))
    yield from _of_cases("torch in tar", old_cases.tar_cases(payload))
    yield from _of_cases("numpy, joblib", old_cases.numpy_cases(payload))
    yield from _of_cases("numpy, joblib", iter([old_cases.joblib_case(payload)]))
    yield from weights_cases.inputs()
    yield from settings_cases.inputs(payload)
    yield from text_cases.inputs(payload)
    yield from archive_cases.inputs()
    yield from parser_cases.inputs()
    yield from machine_cases.inputs()
    yield from attack_cases.inputs(payload)
