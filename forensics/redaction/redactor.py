"""A function from text to text that learns what must not get out, and masks it everywhere."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from forensics.deferred.patterns import expression
from forensics.redaction import names, secrets, words
from forensics.redaction.encodings import middles, spellings

NOT_MASKED = (
    "metric names and values, tensor names and shapes, package versions, GPU models, names of public models, "
    "times, and file names inside the run directory (host, user and job parts of them are masked)"
)
"""What stays readable in a masked report, as its footer says."""
SHORTEST_LEARNT = 12
"""A secret of fewer characters is masked where its name stands, but not sought elsewhere."""
LONG_SECRET = 16
MOST_ENCODED = 2_000
"""Secrets of which other spellings are sought."""
MANY = 256
"""Texts that are looked through together."""
REMEMBERED = 200_000
"""Texts whose masked form is kept; a report repeats its tensor names and paths many times."""

_ESCAPES = expression(
    "\x1b\\[[0-9;:?]{0,60}[ -/]{0,4}[@-~]"
    "|\x1b\\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\\\)"
    "|\x1b[@-Z\\\\-_]|[\x9b][0-9;:?]{0,60}[@-~]"
)
_INVISIBLE = expression("[\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\x00]")
_IN_BASE64 = expression(r"[A-Za-z0-9+/_=-]*")
_ONE, _TWO, _THREE = (expression(rf"(?<=\.)[0-9]{{{digits}}}(?=\.)") for digits in (1, 2, 3))
_FOUR = expression(r"(?<![0-9])[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_NUMBER = expression(r"(?:^|\.)[0-9]{1,3}(?:\.|$)")
Match = re.Match[str]


def visible(text: str) -> str:
    """Return text without escape sequences and zero-width characters; a token cut in two by one is a token."""
    return _INVISIBLE.sub("", _ESCAPES.sub("", text))


def _touches_nothing(secret: str) -> bool:
    """Whether a secret cannot be a part of a word: what touches it belongs to an escape, or is a prefix."""
    return len(secret) >= LONG_SECRET or "%" in secret


class Redactor:
    """A function from text to text that masks secrets always, identities when asked.

    It learns before it masks: names found in one place (a home directory, the name of an event file) are masked
    in all others too. Tokens are numbered in the order in which values are first masked.
    """

    def __init__(self, *, identities: bool) -> None:
        self.identities = identities
        self._tokens: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._literals: dict[str, str] = {}
        self._literal_pattern: re.Pattern[str] | None = None
        self._encoded: dict[str, None] = {}
        self._encoded_pattern: re.Pattern[str] | None = None
        self._commits: set[str] = set()
        self._masked: dict[str, str] = {}
        self._plain: dict[str, bool] = {}

    def learn(self, texts: Iterable[str]) -> None:
        """Take up secrets by the names that they stand behind, and users, hosts and jobs that the texts give away."""
        left = iter(texts)
        while some := [visible(text[:20_000]) for text in islice(left, MANY)]:
            # Hardly any text holds a token: fifty patterns are tried on all of them at once before on each.
            held = next(secrets.seen("\n".join(some)), None) is not None
            for shown in some:
                self._learn_from(shown, secrets.seen(shown) if held else ())

    def _learn_from(self, shown: str, tokens: Iterable[str]) -> None:
        for start, stop in secrets.assigned(shown):
            self._learn_secret(shown[start:stop])
        for value in tokens:
            if len(value) >= SHORTEST_LEARNT:
                self._learn_spelled(value)
        for match in secrets.WANDB.finditer(shown):
            self._learn_middles(match[0])  # not the value itself: a setting may say later that it is a commit
        if not self.identities:
            return
        for kind, found in (
            ("user", names.users_in(shown)),
            ("host", names.hosts_in(shown)),
            ("job", names.jobs_in(shown)),
        ):
            for name in found:
                self.learn_value(kind, name)
        for match in names.PLACE.finditer(shown):
            self.learn_setting(match[1], match[2])

    def learn_value(self, kind: str, value: str) -> None:
        """Mask this value wherever it stands as a word of its own."""
        if value and value not in self._literals:
            self._literals[value] = kind
            self._literal_pattern = None
            self._forget()

    def _forget(self) -> None:
        self._masked.clear()
        self._plain.clear()

    def learn_secrets(self, values: Iterable[str]) -> None:
        """Take up values that are known to be secrets."""
        for value in values:
            self._learn_secret(value)

    def _learn_secret(self, value: str) -> None:
        """Mask a secret wherever else it stands; what is short or made of letters only may be a word of its own."""
        bare = value.strip("\"' ")
        if len(bare) >= SHORTEST_LEARNT and not bare.isalpha():
            self._learn_spelled(bare)

    def _learn_spelled(self, value: str) -> None:
        """Mask a secret wherever it stands, and as URLs, JSON texts and base64 spell it."""
        self.learn_value("secret", value)
        if len(self._encoded) <= MOST_ENCODED:
            for spelled in spellings(value):
                self.learn_value("secret", spelled)
            self._learn_middles(value)

    def _learn_middles(self, value: str) -> None:
        new = [middle for middle in middles(value) if middle not in self._encoded]
        if new:
            self._encoded.update(dict.fromkeys(new))
            self._encoded_pattern = None
            self._forget()

    @property
    def knows_encodings(self) -> bool:
        """Whether other spellings of any secret are sought."""
        return bool(self._encoded)

    @property
    def learnt(self) -> dict[str, str]:
        """The names of people, machines and jobs taken up so far, by name with their kind; no secrets, no paths."""
        return {value: kind for value, kind in self._literals.items() if kind in {"user", "host", "job"}}

    def learn_setting(self, name: str, value: str) -> None:
        """Take up the value of a setting that is named like a secret, or that names somebody's model or data."""
        if secrets.is_secret_name(name) and secrets.is_secret_value(name, value):
            self._learn_spelled(value)
        elif names.is_commit_name(name) and names.COMMIT.fullmatch(value):
            self._commits.add(value)
        elif self.identities and self.is_place(name, value) and len(value) >= 8 and re.search(r"[/\\_-]", value):
            self.learn_value("path", value)
        elif self.identities and names.is_telling(value):
            kind = {"user": "user", "username": "user", "logname": "user", "hostname": "host", "host": "host"}
            if name.lower() in kind:
                self.learn_value(kind[name.lower()], value)

    @staticmethod
    def is_place(name: str, value: str) -> bool:
        """Tell whether a setting names somebody's model, dataset, project or folder."""
        last = name.rpartition(".")[2].lower()
        return last in words.PLACES and value.lower() not in words.COMMON and not names.is_public_model(value)

    def token(self, kind: str, value: str) -> str:
        known = self._tokens.get((kind, value))
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._tokens[kind, value] = f"<{kind}-{self._counts[kind]}>"
        return known

    def __call__(self, text: str) -> str:
        """Return the text with everything that must not be passed on replaced by tokens."""
        known = self._masked.get(text)
        if known is None:
            known = self._mask(text)
            if len(self._masked) < REMEMBERED:
                self._masked[text] = known
        return known

    def of_name(self, text: str) -> str:
        """Return the name of a tensor masked, asked once for all that differ in short numbers between dots only.

        `experts.17.w1` and `experts.29.w1` are masked alike: what looks at digits asks for more of them, for an
        address (four numbers in a row), or for a value that was learnt; where such a value has a number there, each
        name is asked.
        """
        alike = _THREE.sub("000", _TWO.sub("00", _ONE.sub("0", text)))
        known = self._plain.get(alike)
        if known is None:
            masked = self(text)
            exact = _FOUR.search(text) is not None or any(map(_NUMBER.search, (*self._literals, *self._encoded)))
            if not exact and len(self._plain) < REMEMBERED:
                self._plain[alike] = masked == text
            return masked
        return text if known else self(text)

    def _mask(self, text: str) -> str:
        shown = visible(text)
        if shown != text:
            masked = self._apply(shown)
            if masked != shown:
                return masked
        return self._apply(text)

    def _apply(self, text: str) -> str:
        text = self._secrets(text)
        if self.identities:
            text = self._identities(text)
        return self._known(text)

    def _secrets(self, text: str) -> str:
        text = secrets.URL_CREDENTIALS.sub(lambda m: f"{self.token('secret', m[0])}@", text)
        secret = self._as("secret")
        for pattern in secrets.PATTERNS if len(text) >= secrets.SHORTEST else ():
            text = pattern.sub(secret, text)
        text = secrets.WANDB.sub(self._key_or_commit, text)
        for pattern in (secrets.SIGNED, secrets.BEARER, secrets.CONNECTION):
            text = pattern.sub(lambda m: m[1] + self.token("secret", m[0][len(m[1]) :]), text)
        return self._assigned(text)

    def _key_or_commit(self, match: Match) -> str:
        return match[0] if self._is_commit(match) else self.token("secret", match[0])

    def _is_commit(self, match: Match) -> bool:
        """Tell whether the words before 40 hexadecimal digits, or the setting they stand in, say commit."""
        before = match.string[max(0, match.start() - 80) : match.start()]
        return match[0] in self._commits or names.is_commit_after(before)

    def _assigned(self, text: str) -> str:
        parts, end = [], 0
        for start, stop in secrets.assigned(text):
            if start >= end and not re.fullmatch(r"<[a-z]+-[0-9]+>.{0,3}", text[start:stop]):
                parts += [text[end:start], self.token("secret", text[start:stop])]
                end = stop
        return "".join([*parts, text[end:]])

    def _identities(self, text: str) -> str:
        for pattern, replace in self._steps():
            text = pattern.sub(replace, text)
        return text

    def _steps(self) -> Iterator[tuple[re.Pattern[str], Callable[[Match], str]]]:
        yield names.GIT_REMOTE, self._remote
        yield names.CLOUD, self._as("path")
        yield names.URL, self._link
        yield names.EMAIL, self._as("email")
        yield names.WINDOWS, self._as("path")
        yield names.PATH, self._path
        yield names.UUID, self._as("id")
        yield names.MAC, self._as("mac")
        yield names.IP6, lambda m: self.token("ip", m[0]) if names.is_address(m[0]) else m[0]
        yield names.IP4, self._address
        yield names.FQDN, self._as("host")
        yield names.JOB_VARIABLE, lambda m: m[1] + self.token("job", m[2])
        yield names.SBATCH, lambda m: m[1] + self.token("job", m[2])
        yield names.JOB, lambda m: m[0].replace(m[1], self.token("job", m[1]))
        yield names.POD, self._as("pod")

    def _as(self, kind: str) -> Callable[[Match], str]:
        return lambda match: self.token(kind, match[0])

    def _remote(self, match: Match) -> str:
        url = match[0].removesuffix(".git").replace("git@github.com:", "https://github.com/")
        return match[0] if names.is_public_url(url) else self.token("remote", match[0])

    def _link(self, match: Match) -> str:
        return match[0] if names.is_public_url(match[0]) else self.token("link", match[0])

    def _address(self, match: Match) -> str:
        before = match.string[max(0, match.start() - 60) : match.start()]
        return self.token("ip", match[0]) if names.is_host_address(match[0], before) else match[0]

    def _path(self, match: Match) -> str:
        """Mask the folders of somebody; keep the system's, and what follows `site-packages`."""
        path = match[0]
        if path.startswith(names.KEPT_ROOTS):
            return path
        tail = names.KEPT_TAIL.search(path)
        if tail is not None:
            return f"{self.token('path', path[: tail.start()])}/{tail[1]}"
        folder, slash, name = path.rpartition("/")
        if name.endswith((".py", ".sh")) and folder:
            return f"{self.token('path', folder)}{slash}{name}"
        return self.token("path", path)

    def _known(self, text: str) -> str:
        text = self._base64(text)
        if not self._literals:
            return text
        if self._literal_pattern is None:
            longest = sorted(self._literals, key=len, reverse=True)
            wholes = [value for value in longest if self._literals[value] == "secret" and _touches_nothing(value)]
            held = set(wholes)
            words = [value for value in longest if value not in held]
            parts = [*map(re.escape, wholes)]
            if words:
                parts.append(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, words))})(?![A-Za-z0-9])")
            self._literal_pattern = re.compile("|".join(parts))
        return self._literal_pattern.sub(lambda m: self.token(self._literals[m[0]], m[0]), text)

    def _base64(self, text: str) -> str:
        """Mask every run of base64 that holds a secret, whole: what stands around one belongs to it."""
        if not self._encoded:
            return text
        if self._encoded_pattern is None:
            self._encoded_pattern = re.compile("|".join(map(re.escape, self._encoded)))
        parts, end = [], 0
        for match in self._encoded_pattern.finditer(text):
            if match.start() < end:
                continue
            before = _IN_BASE64.match(text[end : match.start()][::-1])
            after = _IN_BASE64.match(text, match.end())
            assert before is not None
            assert after is not None
            start, stop = match.start() - before.end(), after.end()
            parts += [text[end:start], self.token("secret", text[start:stop])]
            end = stop
        return "".join([*parts, text[end:]])
