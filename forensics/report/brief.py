"""What `analyze --quiet` prints: two lines, for which nothing of the full report is masked or laid out."""

from forensics.model import Report
from forensics.redaction import Redactor
from forensics.report._safe import ascii_only, clean


def render(report: Report, redactor: Redactor, *, unicode: bool = True) -> str:
    """Return the verdict and the headline, one line each, masked by a redactor that has learnt from the run."""
    headline = clean(redactor(report.headline), 2000)
    return f"{report.verdict}\n{headline if unicode else ascii_only(headline)}\n"
