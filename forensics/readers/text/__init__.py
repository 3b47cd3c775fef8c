"""Metrics out of any text log by one mechanism: a number is named by the words in front of it.

The stages, in order: `lines` (which lines are looked at), `shapes` (a line with its numbers and junk masked), `names`
(which name belongs to which number), `lexicon` (what a name means), `headers` (tables), `entries` (the table of
lines), `bulk` (the same, many lines at once: by `layouts` with their `digits`, and `templates` with the arithmetic of
`columns`), `bars`, `axes` (steps by behaviour), `series` (metrics with steps), `trainer_steps` (steps of the Trainer's
dictionaries), `rows`, `settled` (facts).

`pasted.read_lines(text, path, first_line)` is the way in for text that is no file: it yields the facts of a text.
"""
