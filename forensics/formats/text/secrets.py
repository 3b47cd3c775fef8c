"""Tokens that people paste into logs and scripts are not repeated in a report."""

from forensics.deferred.patterns import expression

_SECRET = expression(
    r"hf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{16,}"  # OpenAI and those who copied the form
    r"|gh[pousr]_[A-Za-z0-9]{20,}"  # GitHub
    r"|AKIA[A-Z0-9]{12,}"  # AWS
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password in an address
    r"|(?i:(?<=api_key=)|(?<=apikey=)|(?<=_token=)|(?<=password=)|(?<=api-key=))[^\s'\",;]{6,}"
)


def redact(text: str) -> str:
    """Return the text with everything that looks like a secret replaced.

    >>> redact("WANDB_API_KEY=0123456789abcdef python train.py --token hf_abcdefghijklmnopqrst")
    'WANDB_API_KEY=[redacted] python train.py --token [redacted]'
    """
    return _SECRET.sub("[redacted]", text)
