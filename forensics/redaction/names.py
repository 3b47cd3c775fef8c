"""Who and where: users, hosts, addresses, paths, job ids. Masked in everything that is meant to be passed on."""

import ipaddress
import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.redaction.words import COMMON, PLACES, PUBLIC_HOSTS, PUBLIC_OWNERS

EMAIL = expression(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}(?![\w-])")
MAC = expression(r"(?<![0-9A-Fa-f:.-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:.-])")
IP4 = expression(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
IP6 = expression(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
UUID = expression(r"(?i)(?<![0-9a-f-])(?:(?:GPU|MIG)-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])")
GIT_REMOTE = expression(
    r"(?:\bgit@[A-Za-z0-9.-]{1,100}:|\bssh://(?:git@)?[A-Za-z0-9.-]{1,100}[:/])[\w./~-]{1,200}"
    r"|\bhttps?://[A-Za-z0-9.-]{1,100}/[\w./~-]{1,200}\.git\b"
)
CLOUD = expression(
    r"(?i)\b(?:s3a?|gs|gcs|hdfs|abfss?|wasbs?|az|azureml|oss|cos|obs|file|nfs|lustre|dbfs|r2)://[^\s\"'<>,;)]{1,500}"
)
URL = expression(
    r"(?i)\b(?:https?|wss?|ftp|grpc|tcp|redis|postgres(?:ql)?|mysql|mongodb|amqp)://"
    r"(?:<secret-[0-9]{1,7}>@)?[^\s\"'<>,;)\]]{1,1000}"
)
WINDOWS = expression(
    r"(?<![\w])[A-Za-z]:\\{1,2}(?:[^\\/:*?\"'<>|\r\n\x00]{1,80}\\{1,2}){0,30}[^\\/:*?\"'<>|\s\x00]{0,120}"
    r"|\\\\[\w.-]{1,60}\\[^\s\"'<>|]{1,200}"
)
PATH = expression(r"(?<![\w./>\\])~?(?:/[^\s/\"'`<>:,;|(){}\[\]=*\x00]{1,120}){2,40}/?")
HOME_BLANK = expression(r"(?i)[A-Z]:\\{1,2}Users\\{1,2}([^\\/:*?\"'<>|\r\n]{1,60})")
HOME = expression(
    r"/(?:home|Users|users|export/home|data/home|nfs/home|homes|u|afs/[\w./-]{1,40}/user)"
    r"/([^\s/\"'`<>:,;|(){}\[\]=*\\]{1,60})"
)
FQDN = expression(
    r"(?i)(?<![\w./@-])(?:[a-z0-9](?:[a-z0-9-]{0,61})\.){1,8}"
    r"(?:internal|intern|local|localdomain|lan|corp|intra|intranet|cluster|hpc|invalid|private|home\.arpa|example"
    r"|compute\.amazonaws\.com|cloudapp\.azure\.com|svc|edu|gov|mil|ac\.[a-z]{2}|edu\.[a-z]{2})(?![\w-])"
)
JOB = expression(
    r"(?i)(?:\bslurm[-_]|\bjob(?:[ _-]?id)?\s{0,2}[=:#]?\s{0,2}|\bslurmstepd-|\bstep(?=[0-9]{5,12}\.[0-9]))"
    r"([0-9]{4,12})(?:[._][0-9]{1,6})?"
)
JOB_VARIABLE = expression(
    r"(?i)\b((?:SLURM|SLURMD|PBS|LSB|SGE|KUBERNETES|K8S|POD)_[A-Z0-9_]{1,60}[\"']?\s{0,3}[:=]\s{0,3}[\"']?)"
    r"([^\s;,\"']{1,200})"
)
JOB_NAMES = expression(
    r"(?i)(?:SLURM|SLURMD|PBS|LSB|SGE|KUBERNETES|K8S|POD)_\w{0,40}"
    r"(?:ID|JOBID|ACCOUNT|USER|NODELIST|NODENAME|PARTITION|NAME|NAMESPACE|HOST|QOS|IP|UID)"
)
"""Variables of a scheduler whose value tells who and where, not how much."""
SBATCH = expression(
    r"(--(?:account|partition|mail-user|qos|reservation|job-name|nodelist|exclude|chdir|uid|wckey)[= ])"
    r"([^\s\"']{1,200})"
)
PLACE = expression(
    rf"\b({'|'.join(sorted(name for name in PLACES if '_' in name.strip('_')))})[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?"
    r"([^\s\"',;(){}\[\]<>=]{8,200})"
)
"""A setting that names somebody's data, model or folder, as configurations are printed into logs."""
POD = expression(
    r"\b(?:[a-z0-9]{1,30}-){1,8}(?=[a-z0-9]{0,10}[0-9])[a-f0-9]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b"
    r"|\b(?:[a-z0-9]{1,30}-){1,8}(?:worker|master|launcher)-[0-9]{1,5}\b"
)

COMMIT = expression(r"[0-9a-f]{40}")
_COMMIT_NAME = r"(?:commit|oid|sha|sha1|revision|head|rev|git[_-]?ref)(?:[_ -]?(?:hash|sha|id))?"
_COMMIT_BEFORE = expression(
    # Last a word for a commit and a joint, or the part of a path or requirement that holds one: GitHub's pages, the
    # hub's cache (huggingface_hub, `snapshots/REVISION`, `/resolve/REVISION`), pip's `git+https://...@COMMIT`.
    rf"(?i)(?:(?:^|[^a-z0-9]|_){_COMMIT_NAME}[\"']?(?:\s{{0,3}}(?:[:=]|is at|is|at)\s{{0,3}}|\s{{1,3}})[\"'(]?"
    r"|/(?:commits?|tree|blob|resolve|snapshots)/|/resolve-cache/[a-z]{1,12}/[\w.-]{1,60}/[\w.-]{1,60}/|raw\.githubusercontent\.com/[\w.-]{1,60}/[\w.-]{1,60}/|git\+https?://[\w./-]{1,60}@)\Z"
)

_HOST = r"([A-Za-z0-9][A-Za-z0-9_.-]{1,120})"
HOST_SOURCES: tuple[re.Pattern[str], ...] = (
    expression(r"events\.out\.tfevents\.[0-9]{1,14}\." + _HOST),
    # TensorBoard folder of the Trainer: `default_logdir`, runs/%b%d_%H-%M-%S_HOST
    expression(r"[A-Z][a-z]{2}[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}_" + _HOST),
    expression(
        r"(?i)\b(?:hostname|host|master_addr|node_?name|slurmd_nodename|nodelist|slurm_nodelist|rdzv_endpoint"
        r"|rdzv_host)\"?\s{0,8}[:=]\s{0,4}[\"']?" + _HOST
    ),
    expression(r"(?m)^" + _HOST + r":[0-9]{1,8}:[0-9]{1,8} \[[0-9]{1,3}\] NCCL"),
    expression(r"\[" + _HOST + r":[0-9]{2,8}\]"),  # Open MPI
    expression(r"(?:\bJOB [0-9]{1,12} ON |\bsrun: error: |\bssh |\bon host |\bhost:)" + _HOST),
    expression(r"(?:\b[\w.-]{1,40}@)([A-Za-z][A-Za-z0-9-]{1,60})(?=[:~\s]|$)"),  # a shell prompt
)
USER_SOURCES: tuple[re.Pattern[str], ...] = (
    HOME,
    HOME_BLANK,
    expression(
        r"(?i)\b(?:user|username|logname|user_name|entity|wandb_entity|owner)"
        r"\"?\s{0,4}[:=]\s{0,4}[\"']?([A-Za-z][\w.-]{2,40})"
    ),
    expression(r"\b([A-Za-z][\w.-]{1,40})@[A-Za-z][A-Za-z0-9-]{1,60}:[~/]"),
    expression(r"(?<![\w/~.])~([A-Za-z_][\w.-]{2,40})(?=/)"),
)

KEPT_ROOTS = (
    "/usr/",
    "/lib",
    "/bin/",
    "/sbin/",
    "/etc/",
    "/dev/",
    "/proc/",
    "/sys/",
    "/opt/conda/",
    "/opt/nvidia/",
    "/opt/hpcx/",
)
KEPT_TAIL = expression(r"/((?:site|dist)-packages/.*|lib/python[0-9.]{1,6}/.*)")


def hosts_in(text: str) -> Iterator[str]:
    """Yield the host names that a text gives away."""
    for pattern in HOST_SOURCES:
        for match in pattern.finditer(text):
            name = _without_numbers(match[1]) if "tfevents" in pattern.pattern else match[1]
            name = name.strip("._-")
            if is_telling(name) and not name.replace(".", "").isdigit():
                yield name


def _without_numbers(name: str) -> str:
    """Cut process and file number off the name of an event file: HOST.PID.NUMBER[.v2]."""
    parts = name.split(".")
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] in {"v2", "profile-empty"}):
        parts.pop()
    return ".".join(parts)


def users_in(text: str) -> Iterator[str]:
    """Yield the user names that a text gives away."""
    for pattern in USER_SOURCES:
        for match in pattern.finditer(text):
            name = match[1].strip(" ._-")
            if is_telling(name):
                yield name


def is_telling(name: str) -> bool:
    """Tell whether a name is rare enough to be masked wherever it stands."""
    return len(name) >= 3 and name.lower() not in COMMON and not name.isdigit()


def jobs_in(text: str) -> Iterator[str]:
    """Yield ids, accounts and names of jobs that a text gives away."""
    for match in JOB_VARIABLE.finditer(text):
        if JOB_NAMES.fullmatch(match[1].rstrip(" \t:=\"'")) and len(match[2]) >= 4 and is_telling_job(match[2]):
            yield match[2]


def is_telling_job(value: str) -> bool:
    """Tell whether a value of a scheduler's variable is worth masking wherever it stands."""
    return value.lower() not in COMMON and re.fullmatch(r"<[a-z]+-[0-9]+>", value) is None


def is_address(text: str) -> bool:
    """Tell whether text is an IPv6 address that means a machine; the unspecified one and loopback do not."""
    if "::" not in text and text.count(":") != 7:
        return False
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback)


_VERSION_BEFORE = expression(
    r"(?i)(?:[=~<>!]=?\s?|\bv|version\s{0,2}[:=]?\s{0,2}|[-_]"
    r"|(?:cu[0-9]{2}|nvidia[\w-]{1,40}|driver|cudnn|cublas|nccl)\s{1,40})\Z"
)


_ADDRESS_BEFORE = expression(
    r"(?i)(?:addr|address|host|endpoint|master|server|peer|gateway|dns|proxy|(?<![a-z])ip)[\w-]{0,20}[\"']?"
    r"\s{0,2}[=:]\s{0,2}[\"']?\Z"
)


def is_host_address(text: str, before: str) -> bool:
    """Tell whether four numbers are an IPv4 address and no version: nvidia-cublas-cu12 has 12.1.3.1."""
    parts = [int(part) for part in text.split(".")]
    if any(part > 255 for part in parts) or text.startswith(("127.", "0.0.0.0", "255.")):  # noqa: S104  (not bound)
        return False
    private = parts[0] == 10 or (parts[0], parts[1]) == (192, 168) or (parts[0] == 172 and 16 <= parts[1] < 32)
    if _ADDRESS_BEFORE.search(before[-60:]) is not None:
        return True
    named_version = _VERSION_BEFORE.search(before[-60:]) is not None
    return not named_version or (private and before.endswith("=") and not before.endswith("=="))


def is_commit_name(name: str) -> bool:
    """Tell whether a setting holds a git commit: `_commit_hash` (transformers), `git.commit` (W&B), `revision`.

    >>> is_commit_name("model._commit_hash"), is_commit_name("wandb_key"), is_commit_name("commit_token")
    (True, False, False)
    """
    return re.fullmatch(rf"(?i)(?:.*[._-])?{_COMMIT_NAME}", name[-200:]) is not None


def is_commit_after(before: str) -> bool:
    """Tell whether 40 hexadecimal digits that follow `before` are a git commit.

    >>> is_commit_after('"_commit_hash": "'), is_commit_after("wandb: api key "), is_commit_after("@ commit ")
    (True, False, True)
    """
    return _COMMIT_BEFORE.search(before) is not None


def is_public_url(url: str) -> bool:
    """Tell whether a link leads to public documentation or to a project that everybody knows."""
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    owner = path.split("/")[0].lower()
    host = host.lower()
    if host in PUBLIC_HOSTS or host.endswith(".readthedocs.io"):
        return True
    if host == "huggingface.co":
        return owner in PUBLIC_OWNERS | {"docs", "blog"}
    return host in {"github.com", "www.github.com", "raw.githubusercontent.com"} and owner in PUBLIC_OWNERS


def is_public_model(name: str) -> bool:
    """Tell whether a hub id belongs to a known owner: `meta-llama/Llama-2-7b-hf`."""
    owner, slash, rest = name.partition("/")
    return bool(slash and rest and "/" not in rest) and owner.lower() in PUBLIC_OWNERS
