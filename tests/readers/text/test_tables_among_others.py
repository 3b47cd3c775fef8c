"""Tables that other lines interrupt, that a logger puts something before, or that are longer than a window."""

import pytest

from readers.text.log_reading import read_log

HEADER = "epoch     train_loss  valid_loss  accuracy  time    \n"
WARNING = (
    "/opt/lib/loader.py:617: UserWarning: 'pin_memory' is set but no accelerator is found\n  warnings.warn(message)\n"
)


def losses(count: int) -> list[float]:
    return [round(2.5 / (1 + 0.1 * epoch), 6) for epoch in range(count)]


def rows(count: int) -> list[str]:
    return [
        f"{epoch}         {loss:.6f}    {loss + 0.1:.6f}    0.{600 + epoch % 300}    00:12     \n"
        for epoch, loss in enumerate(losses(count))
    ]


def read_back(text: str, rank: int | None = None, chunk: int = 1 << 20, ahead: int = 1 << 17) -> list[float]:
    return [value for _, value in read_log(text, chunk_bytes=chunk, ahead=ahead).points("train_loss", rank)]


@pytest.mark.parametrize(
    ("lead", "rank"),
    [
        ("[rank0]: ", 0),
        ("(main_task pid=12345) ", None),
        ("0: ", 0),
        ("worker-1: ", 1),
        ("trainer-1  | ", None),
        ("2026-05-04T11:20:3{}.123456789Z stdout F ", None),
        ("2026-05-04 11:20:3{}.123 | INFO     | __main__:fit:12{} - ", None),
        ("May  4 11:20:3{} node07 train.sh[4321]: ", None),
        ("I0504 11:20:3{}.123456 140234567890 train.py:321] ", None),
        ("algo-1-abcde ", None),
        ("    ", None),
    ],
)
def test_what_stands_before_each_line_is_no_cell(lead: str, rank: int | None) -> None:
    lines = [HEADER, *rows(8)]

    assert read_back("".join(lead.replace("{}", str(n)) + line for n, line in enumerate(lines)), rank) == losses(8)


@pytest.mark.parametrize("between", [WARNING, "eval: accuracy 0.61\n", "\n" + WARNING * 5, "Epoch 3 is next\n"])
def test_lines_of_others_end_no_table(between: str) -> None:
    told = rows(9)

    assert read_back(HEADER + "".join(told[:4]) + between + "".join(told[4:])) == losses(9)


@pytest.mark.parametrize(
    "others",
    [
        "and after\n99 1 2 3 4\n",
        "another count\n1  2.5  2.5  0.5  00:12\n",
        "model  loss  size\n7  1.5  2\n",
        WARNING * 30 + "9  1.5  1.5  0.5  00:12\n",
    ],
)
def test_numbers_behind_other_lines_are_no_rows_where_they_do_not_go_on(others: str) -> None:
    assert read_back(HEADER + "".join(rows(4)) + others) == losses(4)


@pytest.mark.parametrize(("chunk", "ahead"), [(1 << 20, 1 << 17), (512, 256)])
def test_a_table_may_be_longer_than_a_window(chunk: int, ahead: int) -> None:
    assert read_back(HEADER + "".join(rows(900)), chunk=chunk, ahead=ahead) == losses(900)


def test_a_table_may_be_longer_than_what_one_process_reads() -> None:
    told = read_log(HEADER + "".join(rows(900)), chunk_bytes=3000, processes=2, stretch_bytes=4096)

    assert [value for _, value in told.points("train_loss")] == losses(900)
