"""TOML and INI are read in time that grows with their size, and refused where no person writes so."""

import time

import pytest

from forensics.errors import LimitError, MalformedError
from forensics.formats.toml_ini import MOST_PARTS, parse_ini, parse_toml


@pytest.mark.parametrize("key", ["a.", '"a" . ', "'a'."])
def test_a_key_of_many_parts_is_refused(key: str) -> None:
    with pytest.raises(LimitError, match="more than 200 parts"):
        parse_toml(key * 100_000 + "a = 1\n")


def test_what_a_person_writes_with_many_stops_is_read() -> None:
    numbers = ", ".join(["0.5"] * 900)
    prompt = "You are helpful, honest. " * 300 + "..."

    found = parse_toml(f"{'a.' * MOST_PARTS}b = 1\nbetas = [{numbers}]\nprompt = '{prompt}'\n")

    assert found["betas"] == [0.5] * 900
    assert found["prompt"] == prompt


@pytest.mark.parametrize("text", ["a = " + "9" * 5_000, "a = " + "[\n" * 9_000, "a", "a = 1\na = 2"])
def test_what_is_no_toml_is_told(text: str) -> None:
    with pytest.raises(MalformedError, match="is no TOML"):
        parse_toml(text)


def spent(text: str) -> float:
    begin = time.process_time()
    parse_ini(text)
    return time.process_time() - begin


def test_blanks_in_a_line_of_ini_cost_their_number() -> None:
    """`configparser` took 30 s for 30,000 of them."""
    text = "[a]\nlr" + " \t" * 15_000 + "x\n"
    begin = min(spent(text) for _ in range(3))

    assert min(spent(text * 8) for _ in range(3)) < max(begin, 1e-3) * 40
    assert parse_ini("[a]\nlr  =   0.1\nname = b\n    c\n") == {"a": {"lr": "0.1", "name": "b\nc"}}


def test_a_section_of_defaults_is_one_like_the_others() -> None:
    """`configparser` tells its keys again for each section: a megabyte becomes a hundred million entries."""
    assert parse_ini("[DEFAULT]\na = 1\n[b]\nc\n") == {"DEFAULT": {"a": "1"}, "b": {"c": ""}}


def test_what_is_no_ini_is_told() -> None:
    with pytest.raises(MalformedError, match="is no INI"):
        parse_ini("a = 1\n")
