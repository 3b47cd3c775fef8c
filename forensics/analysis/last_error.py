"""The last error of a run as its build tells of it (`forensics.signatures.structure`)."""

from forensics.analysis.crashes import own_exceptions
from forensics.model import Evidence, Run
from forensics.names import CUT_TRACEBACK, LOSS
from forensics.signatures.structure import GUESS, Build, built_as, taken_apart

KEY = "build of the last error"
"""The key of the evidence, by which a guess is known."""


def guessed(run: Run, cause: str) -> Evidence | None:
    """Return what the build of the last error says for a cause; None where it suits another row, or none.

    Asked of exceptions only that no signature knows.
    """
    found = run.timeline.once(KEY, lambda: _built(run))
    return found[1] if found is not None and found[0].cause == cause else None


def _built(run: Run) -> tuple[Build, Evidence] | None:
    loss = run.timeline.get(LOSS)
    begun = (run.ending is not None and run.ending.step is not None) or (loss is not None and len(loss) > 0)
    for death in own_exceptions(run):
        error = None if death.text.startswith(CUT_TRACEBACK) else taken_apart(death.text, begun=begun)
        build = None if error is None else built_as(error)
        if build is not None:
            said = f"{build.because}: “{death.text[:200]}”"
            return build, Evidence(GUESS, said, death.source, KEY)
    return None
