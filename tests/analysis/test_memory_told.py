"""What an out-of-memory message says of the board: full, in pieces, held by others, asked for more than there is."""

import pytest

from forensics.analysis.endings.memory_told import asked_of, memory_told

NEW = (
    "CUDA out of memory. Tried to allocate {asked}. GPU 3 has a total capacity of 79.15 GiB of which {free} is free."
    " {who}"
    "Of the allocated memory 70.12 GiB is allocated by PyTorch, and {idle} is reserved by PyTorch but unallocated."
)
OWN = "Including non-PyTorch memory, this process has 77.93 GiB memory in use. "
OLD = (
    "CUDA out of memory. Tried to allocate 1.90 GiB (GPU 0; 23.69 GiB total capacity; {allocated} already allocated;"
    " {free} free; {reserved} reserved in total by PyTorch)"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NEW.format(asked="2.32 GiB", free="1.21 GiB", who=OWN, idle="5.01 GiB"), "in pieces"),
        (NEW.format(asked="6.00 GiB", free="1.21 GiB", who=OWN, idle="512.00 MiB"), "the board was full"),
        (
            NEW.format(asked="120.00 GiB", free="1.21 GiB", who=OWN, idle="5.01 GiB"),
            "more was asked than the board has",
        ),
        (
            NEW.format(
                asked="2.00 GiB", free="1.00 GiB", who="Process 71 has 40.00 GiB memory in use. " + OWN, idle="1.00 MiB"
            ),
            "other processes held 40 GiB of 79.2 GiB",
        ),
        (OLD.format(allocated="18.00 GiB", free="0.50 GiB", reserved="22.90 GiB"), "4.9 GiB lay idle in pieces"),
        (OLD.format(allocated="22.80 GiB", free="0.50 GiB", reserved="22.90 GiB"), "the board was full"),
        (
            OLD.format(allocated="9.80 GiB", free="0.50 GiB", reserved="9.90 GiB"),
            "other processes held 13.3 GiB of 23.7 GiB",
        ),
        ("Tried to allocate 2.00 GiB. GPU 0 has nothing. 800.00 MiB free", "2 GiB were asked, 0.781 GiB were free"),
    ],
)
def test_the_numbers_of_a_message_are_read(text: str, said: str) -> None:
    assert said in "; ".join(memory_told(text))


@pytest.mark.parametrize("text", ["CUDA out of memory.", "Tried to allocate 2.00 GiB", "RESOURCE_EXHAUSTED: 9 bytes"])
def test_where_numbers_are_missing_nothing_is_said(text: str) -> None:
    assert memory_told(text) == ("", "")


def test_sizes_are_told_in_gib() -> None:
    asked = asked_of(NEW.format(asked="512.00 MiB", free="1024.00 KiB", who="", idle="1.00 GiB"))

    assert asked is not None
    assert (asked.asked, asked.capacity, asked.idle, asked.others) == (0.5, 79.15, 1.0, None)
    assert asked.free == pytest.approx(1 / 1024)
