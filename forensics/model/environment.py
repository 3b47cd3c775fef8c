"""What the dead run ran on and with, and how well each piece of it is attested."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from forensics.deferred.records import dataclass
from forensics.model.facts import Group, Scalar, Setting, Standing
from forensics.names import ARGUMENTS

PROGRESS = ("trainer_state.", "deepspeed.", "loss_scaler.", "results.", "optimizer.")
"""Names whose values move while the run goes on."""


@dataclass(frozen=True, slots=True)
class Environment:
    """All settings of a run by group and name, the best witness first; every witness is kept."""

    entries: Mapping[tuple[Group, str], tuple[Setting, ...]] = field(default_factory=dict)

    def best(self, name: str, group: Group = "setting") -> Setting | None:
        """Return the setting with the highest standing; the one written last among equals.

        A training argument may stand under another trainer's name for it (`forensics.names.ARGUMENTS`).
        """
        found = self.entries.get((group, name))
        if found or group != "setting":
            return found[0] if found else None
        others = (self.entries.get((group, other)) for other in ARGUMENTS.get(name, ()))
        return next((other[0] for other in others if other and other[0].value not in {None, "auto"}), None)

    def value(self, name: str, group: Group = "setting") -> Scalar:
        setting = self.best(name, group)
        return None if setting is None else setting.value

    def number(self, name: str, group: Group = "setting") -> float | None:
        """Return the value as a number, reading numeric text; None when absent or no number."""
        value = self.value(name, group)
        if isinstance(value, bool) or value is None:
            return None
        try:
            return float(value)
        except ValueError:
            return None

    def flag(self, name: str, group: Group = "setting") -> bool | None:
        """Return the value as a truth value, reading "true" / "false" text; None when absent or neither."""
        value = self.value(name, group)
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}.get(str(value).lower())

    def version(self, package: str) -> str | None:
        value = self.value(package, "package")
        return None if value is None else str(value)

    def witnesses(self, name: str, group: Group = "setting") -> tuple[Setting, ...]:
        return self.entries.get((group, name), ())

    def conflicts(self, name: str, group: Group = "setting") -> tuple[Setting, ...]:
        """Return the witnesses that contradict the best one.

        "auto" leaves a value to the framework and contradicts none; an inferred value is no witness; progress
        (`trainer_state.global_step`, a loss scale) differs from checkpoint to checkpoint by its nature.
        """
        found = self.entries.get((group, name), ())
        if name.startswith(PROGRESS):
            return ()
        return tuple(
            setting
            for setting in found[1:]
            if setting.value not in {found[0].value, "auto"} and setting.standing is not Standing.INFERRED
        )

    def of(self, group: Group) -> Iterator[Setting]:
        """Yield the best witness of every name in the group, by name."""
        keys = sorted(key for key in self.entries if key[0] == group)
        return (self.entries[key][0] for key in keys)
