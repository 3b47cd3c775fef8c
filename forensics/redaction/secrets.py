"""Secrets as they look: tokens with a known prefix, keys of known length, values of keys named like secrets.

Every repeat is bounded and no two neighbouring repeats can match the same character, so that no line makes the
search slow. Prefixes are those that the issuers document for secret scanning (GitHub, "Supported secret scanning
patterns"); a W&B key is 40 hexadecimal digits (`wandb.sdk.lib.apikey`), as is a git commit: what is not called a
commit counts as a key.
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression

_B = r"(?<![A-Za-z0-9])"
_E = r"(?![A-Za-z0-9])"

PATTERNS: tuple[re.Pattern[str], ...] = (
    # PEM blocks, also cut ones, also with line breaks written as \n.
    expression(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----END)[\s\S]){0,20000}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    expression(_B + r"(?:hf|api_org)_[A-Za-z0-9]{16,200}"),  # Hugging Face
    expression(_B + r"wandb_v[0-9]_[A-Za-z0-9_-]{16,200}"),
    expression(_B + r"sk-[A-Za-z0-9_-]{16,300}"),  # OpenAI, Anthropic, OpenRouter
    expression(_B + r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,200}"),  # Stripe
    expression(_B + r"gh[oprsu]_[A-Za-z0-9]{16,300}"),  # GitHub
    expression(_B + r"github_pat_[A-Za-z0-9_]{16,300}"),
    expression(_B + r"gl(?:pat|rt|dt|ft|cbt|soat|imt|ptt|oas|agent)-[A-Za-z0-9_-]{16,200}"),  # GitLab
    expression(_B + r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA)[A-Z0-9]{12,128}" + _E),  # AWS key ids
    expression(_B + r"AIza[A-Za-z0-9_-]{30,60}"),  # Google API key
    expression(_B + r"(?:ya29\.|1//0)[A-Za-z0-9_-]{16,500}"),  # Google OAuth
    expression(_B + r"GOCSPX-[A-Za-z0-9_-]{16,100}"),
    expression(_B + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,300}"),  # Slack
    expression(r"/services/T[A-Z0-9]{4,20}/B[A-Z0-9]{4,20}/[A-Za-z0-9]{8,100}"),  # Slack webhook
    expression(r"/api/webhooks/[0-9]{8,30}/[A-Za-z0-9_-]{16,200}"),  # Discord webhook
    expression(_B + r"eyJ[A-Za-z0-9_-]{4,600}\.[A-Za-z0-9_-]{4,4000}(?:\.[A-Za-z0-9_-]{0,4000})?"),  # JWT
    expression(_B + r"eyJ[A-Za-z0-9_-]{40,4000}={0,2}"),  # base64 JSON: Neptune API token
    expression(_B + r"(?:gsk|r8|nvapi|xai|tvly|dckr_pat|npm|pypi|lsv2_[ps]t|dop_v1|doo_v1|rpa|tgp_v1|pplx|csk|pcsk|sbp"
               r"|glsa|glcbt|KGAT|ALTAK|lin_api|shpat|shpss|PMAK|NRAK|HRKU|sntry[su]|jina|figd|pscale_(?:tkn|pw|oauth)|rubygems"
               r"|esecret|fm[12]|rdme|CLOJARS|tskey-(?:auth|api|client)|xkeysib)"
               r"[_-][A-Za-z0-9_-]{20,300}"),
    # Modal, Fireworks, Notion, ModelScope.
    expression(_B + r"(?:a[ks]-|fw_|ntn_)(?=[A-Za-z]{0,30}[0-9])[A-Za-z0-9]{20,60}" + _E),
    expression(_B + r"ms-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}" + _E),
    # Vault, SendGrid, age, Telegram, Discord, AWS session, Azure client secret, Databricks, Mailgun.
    expression(_B + r"hv[sbr]\.[A-Za-z0-9_-]{20,300}"),
    expression(_B + r"SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{30,60}"),
    expression(_B + r"AGE-SECRET-KEY-1[A-Z0-9]{40,80}"),
    expression(_B + r"[0-9]{8,10}:AA[A-Za-z0-9_-]{30,40}" + _E),
    expression(_B + r"[MNO][A-Za-z0-9_-]{22,28}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}" + _E),
    expression(_B + r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9/+=]{40,2000}"),
    expression(r"(?<![A-Za-z0-9_~-])[A-Za-z0-9_~-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"),
    expression(_B + r"(?:dapi|dose|key-)[0-9a-f]{32}(?:-[0-9])?" + _E),
    # Atlassian, Bitbucket, Artifactory, Terraform, Twilio, Mailchimp, Airtable, Square, Dynatrace, Dropbox, Scaleway.
    expression(_B + r"(?:ATATT3x|AKCp)[A-Za-z0-9_=-]{40,300}"),
    expression(_B + r"ATBB[A-Za-z0-9]{28,40}" + _E),
    expression(_B + r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,120}"),
    expression(_B + r"(?:SK[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2})" + _E),
    expression(_B + r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}" + _E),
    expression(_B + r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,60}"),
    expression(_B + r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}" + _E),
    expression(_B + r"sl\.[A-Za-z0-9_-]{100,300}"),
    expression(_B + r"SCW[A-Z0-9]{17}" + _E),
    # Clouds of China: Aliyun, Tencent, Volcengine, Zhipu.
    expression(_B + r"LTAI[A-Za-z0-9]{12,30}" + _E),
    expression(_B + r"AKID[A-Za-z0-9]{28,40}" + _E),
    expression(_B + r"AKLT[A-Za-z0-9]{28,90}(?:={1,2})?"),
    expression(_B + r"[0-9a-f]{32}\.[A-Za-z0-9]{16}" + _E),
    # kubeadm join.
    expression(r"(?<=token )[a-z0-9]{6}\.[a-z0-9]{16}" + _E),
    expression(_B + r"ssh-(?:rsa|ed25519) [A-Za-z0-9+/]{40,2000}={0,2}"),
    expression(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}=="),  # Azure account key: 64 bytes
    # AWS secret access key: 40 characters of base64. A path has words between its slashes, which chance does not make.
    expression(r"(?<![A-Za-z0-9/+=])(?=[a-z0-9/+]{0,40}[A-Z])(?=[A-Z0-9/+]{0,40}[a-z])"
               r"(?![A-Za-z0-9+]{0,36}/(?:[A-Za-z0-9+]{1,36}/){0,9}[a-z]{3,36}/)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
)  # fmt: skip

SHORTEST = 12
"""Letters of the shortest text in which any of these can match."""

WANDB = expression(_B + r"(?:local-)?[0-9a-fA-F]{40}" + _E)
"""A W&B key; a git commit looks the same, and is told from it by what stands before it (`names.is_commit_after`)."""
URL_CREDENTIALS = expression(r"(?<=://)[^\s/@\"'<>]{1,200}@")
"""The user and the password before the host of a URL."""
SIGNED = expression(
    r"(?i)(?<=[?&;])((?:x-amz-(?:signature|credential|security-token)|x-goog-signature|sig|signature|token|key"
    r"|api_?key|access_token)=)[^\s&\"'<>]{6,1000}"
)
"""Query parameters that open what the URL names."""
BEARER = expression(r"(?i)\b((?:bearer|basic)\s{1,3})[A-Za-z0-9._~+/=-]{12,2000}")
CONNECTION = expression(
    r"(?i)\b((?:account|shared_?access|access|shared_?secret)_?(?:key|signature)\s{0,2}=\s{0,2})"
    r"[A-Za-z0-9+/=%&._-]{8,500}"
)
"""Azure: `AccountKey=...`, `SharedAccessSignature=...`."""

_KEYWORD = (
    r"pass(?:word|wd|phrase|code)|pwd|(?:smtp|e?mail|db|sql|pg|postgres|mongo|redis|ldap|ftp|proxy|admin|user|root|sudo"
    r"|registry|docker|git)[_-]?pass(?![A-Za-z0-9])|secret|token|credential|cookie|webhook|authorization|dsn|connection[_-]?string"
    r"|(?:api|access|private|account|auth|signing|encryption|wandb|comet|license|ssh)[_-]?key(?:[_-]?id)?|apikey"
)
_ANY_KEY = "_key(?![A-Za-z0-9_])"
"""The end of any other name: a secret only where its value looks drawn by chance."""
ASSIGNED = expression(
    rf"(?i)({_KEYWORD}|{_ANY_KEY})([A-Za-z0-9_]{{0,30}}[\"']?\]?)(\s{{0,4}}[:=]{{1,2}}\s{{0,4}}|\s{{1,3}})"
    r"(?:([\"'])([^\"'\r\n]{1,1000})|([^\s\"',;}&<>]{1,1000}))"
)
"""keyword, rest of the name, joint, then a quoted or a bare value."""
_NAME = expression(r"[A-Za-z0-9_.-]{0,60}")

_NOT_SECRET = expression(
    r"(?i)(?:^|[._-])(?:pad|eos|bos|unk|sep|cls|mask|image|video|audio|boi|eoi|special|stop|per|num|max|min|first|last"
    r"|decoder_start|forced_bos|forced_eos|suppress|padding|response|instruction|prefix|suffix|middle|eot|tool|think)"
    r"_?tokens?$|tokeniz|tokens|token_(?:id|ids|type|count|embedding|index|level|loss|acc|accuracy|dropout|mask|idx)"
    r"|^tokens?_(?:per|seen)|password_?prompt"
)
_EMPTY = frozenset({"", "none", "null", "true", "false", "auto", "yes", "no", "nil", "undefined", "unset", "nan"})
_MASKED = expression(r"<[a-z]+-[0-9]+>|[*x.]{3,}|<\|?[\w ]{1,40}\|?>|\[[A-Z]{2,10}\]")
_KEYWORDS = expression(rf"(?i){_KEYWORD}|{_ANY_KEY}")
_NAMED_KEY = expression(rf"(?i){_KEYWORD}")
_CODE = expression(r"[A-Za-z_][\w.]{0,200}[(\[].{0,800}|\\.{0,800}", re.DOTALL)
"""A call or an index, as in a traceback's source line; an escape."""
_PLAIN = expression(r"\W{0,3}[A-Za-z]{1,80}(?:[_.-][A-Za-z]{1,80}){0,12}\W{0,9}")
"""Words, joined as names of variables and files are."""
_DRAWN = expression(r"(?=(?:[^0-9]{0,60}[0-9]){3})(?=[^A-Za-z]{0,60}[A-Za-z])[A-Za-z0-9+/=-]{20,200}")
"""Twenty characters and more without an underscore or a blank, three digits among them."""


def is_secret_name(name: str) -> bool:
    """Tell whether a setting or variable is named like a secret; the tokens of a tokenizer are none.

    >>> is_secret_name("hub_token"), is_secret_name("pad_token"), is_secret_name("model.eos_token_id")
    (True, False, False)
    """
    name = name[-200:]
    return _KEYWORDS.search(name) is not None and _NOT_SECRET.search(name) is None


def is_secret_value(name: str, value: str) -> bool:
    """Tell whether a value of a key named like a secret is one, not a flag, a number or an empty default.

    A password may be short; tokens and keys have at least eight characters (the shortest that a service above
    issues has sixteen) and are no plain word.
    """
    bare = value.strip()
    if bare.lower() in _EMPTY or _MASKED.fullmatch(bare) or _CODE.fullmatch(bare) or not bare:
        return False
    if re.search(r"(?i)pass|pwd|secret|credential", name):
        return len(bare) >= 3
    if not _NAMED_KEY.search(name):
        # Any other NAME_KEY (`text_key`, `sort_key`) is one where its value looks drawn by chance.
        return _DRAWN.fullmatch(bare) is not None
    return len(bare) >= 8 and not _PLAIN.fullmatch(bare) and not re.fullmatch(r"[0-9.eE+/()%,-]{1,40}", bare)


def seen(text: str) -> Iterator[str]:
    """Yield every value in `text` that looks like a secret, but for what may be a git commit."""
    for pattern in PATTERNS:
        yield from (match[0] for match in pattern.finditer(text))
    for pattern in (SIGNED, BEARER, CONNECTION):
        yield from (match[0][len(match[1]) :] for match in pattern.finditer(text))
    for match in URL_CREDENTIALS.finditer(text):
        yield match[0].rstrip("@")
        yield match[0].rstrip("@").rpartition(":")[2]


def assigned(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every value in `text` that stands behind a name like that of a secret.

    `NAME=value`, `name: value` and `"name": "value"` count, and `--name value` and `login x password value` as on
    a command line and in a .netrc; any other word before a blank is prose.
    """
    for match in ASSIGNED.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        backwards = _NAME.match(before[::-1])
        prefix = backwards[0][::-1] if backwards else ""
        name = f"{prefix}{match[1]}{match[2]}".rstrip("\"']").lstrip("-.")
        blank = not match[3].strip()
        if blank and not (prefix.startswith("-") or (match[1].lower() == "password" and " login " in before)):
            continue
        group = 5 if match[5] is not None else 6
        if is_secret_name(name) and is_secret_value(name, match[group]):
            yield match.span(group)
