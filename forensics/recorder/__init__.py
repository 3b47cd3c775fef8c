"""The black box: records what a post-mortem needs and no log holds. Needs torch and numpy, nothing of the analyzer.

    from forensics.recorder import BlackBox, BlackBoxCallback

`medforensics recorder > blackbox.py` writes all of it as one file, for places where nothing can be installed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.recorder.box import BlackBox
    from forensics.recorder.callbacks import BlackBoxCallback, lightning_callback

__all__ = ["BlackBox", "BlackBoxCallback", "lightning_callback"]


def __getattr__(name: str) -> Any:
    """Import torch only for whoever records: the analyzer shares the layout and has no torch."""
    if name == "BlackBox":
        from forensics.recorder.box import BlackBox

        return BlackBox
    if name in __all__:
        from forensics.recorder import callbacks

        return getattr(callbacks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
