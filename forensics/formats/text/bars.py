"""Progress bars as tqdm draws them (tqdm 4.70, `std.py`, `format_meter`)."""

from forensics.deferred.patterns import expression

BAR = expression(rb"%\|[^|\r\n]*\| *(\d+)/(\d+) \[")
"""The counter of a bar: `n`, `total`. Bars with unit scaling (`1.2k/5k`) are not counters and do not match."""

POSTFIXES = (
    expression(rb"it/s, ([^\]\r\n=]{0,60}=[^\]\r\n]{0,600})\]"),
    expression(rb"s/it, ([^\]\r\n=]{0,60}=[^\]\r\n]{0,600})\]"),
)
"""The tail of a bar that carries metrics, `1.08s/it, loss=1.83, lr=2e-5]`: numbers cut to three digits."""
