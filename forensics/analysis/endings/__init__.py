"""How each attempt of a run ended, from the events of all its sources: `deaths`, `groups`, `attempts`."""

from forensics.analysis.endings.attempts import attempts_of
from forensics.analysis.endings.deaths import Death, deaths_of
from forensics.analysis.endings.groups import Fate, Group, groups_of
from forensics.analysis.endings.stated import stated

__all__ = ["Death", "Fate", "Group", "attempts_of", "deaths_of", "groups_of", "stated"]
