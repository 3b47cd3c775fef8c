"""Known issues as data: one TOML file a cause, argued by the same evidence engine as the rules written in Python.

A file declares `code`, `name`, `title`, `explains`, the text of its page (`mechanism`, `tell`), `sources`, what they
are (`confidence`, in a few words), `checked` (how the claim was verified), `date` (of that), `since` (the first release
of medforensics that knows it) and `cases` (see `Rule.cases`; may be left out). `hint` says what would decide, of an
entry that its signs alone never make more than possible. `[[affected]]` names a package, its `versions` (PEP 440), how
the ends are known (`first`, `fixed`: see `_versions.Affected`), releases that upstream names as `bad` and as `good`,
and the pull requests behind the ends (`brought`, `mended`: `benchmarks/known_issues.py` finds their releases again);
each `[[evidence]]` names one thing to look at, a regular expression with an `example` that it fits:

    setting = "NAME" with is = [values] | set = true | above = number | below = number | matches = "regex"
    observation = "NAME of OBSERVATIONS"      event = "KIND", says = "regex"      hardware = "regex"
    package = "NAME" with within = "specifier"    problem = "regex" (what is wrong with a checkpoint's files)
    metric = "NAME" (it was logged)

and what it counts (docs/design/0004-evidence.md):

    necessary = true: without it the cause is impossible; unknown, the cause is at most possible. `unless` lists
        tables of the same form that contradict it, `that` says it as a clause, where the name alone does not
    yes = points where it holds (3 to 10 specific, 1 and 2 supporting), no = points where it does not (-1 or -2)
    because = "why it counts", measured = "what allows less than -2"
    sign = true: a mark that many causes share; it counts for this one only where something else already does

Of several tables with `says` about one kind of event the first that fits counts: the nearest words come first.

`echo = true` marks a cause that tells where to look (see `Rule.echo`).

A setting may be a list of names, of which the first that is recorded counts. What the run did not record yields
nothing, so an unknown version never counts as affected.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from forensics.analysis.tried import CURED
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, ReasonFunction, Rule
from forensics.rules import _backends as backends
from forensics.rules import _curves as curves
from forensics.rules import _deepspeed as deepspeed
from forensics.rules import _loading as loading
from forensics.rules import _rates as rates
from forensics.rules import _rewards as rewards
from forensics.rules import _setup as setup
from forensics.rules import _tensors as tensors
from forensics.rules import _told as told
from forensics.rules import _trials as trials
from forensics.rules._seen import Seen, first, unless, weigh
from forensics.rules._versions import OUTSIDE, Affected, another_release_works

Table = Mapping[str, Any]
Observe = Callable[[Run, Explained], Seen | None]

OBSERVATIONS: Mapping[str, Observe] = {
    "norm is nonfinite": lambda r, e: curves.norm_is(r, e, "nonfinite", "sentinel"),
    "another backend": lambda r, _: backends.another_backend(r),
    "norm recovers": lambda r, e: curves.norm_is(r, e, "recovering"),
    "norm is zero": lambda r, e: curves.norm_is(r, e, "zero"),
    "norm is positive": lambda r, e: curves.norm_is(r, e, "positive"),
    "norm grew": curves.norms_grew,
    "completions are all cut": lambda r, _: rewards.all_cut(r),
    "the sampler differs": lambda r, _: rewards.sampler_differs(r),
    "a policy is trained": lambda r, _: rewards.policy_trained(r),
    "kl is not a number": lambda r, _: rewards.kl_is_nan(r),
    "loss rose": curves.loss_rose,
    "all progress was lost": loading.all_lost,
    "loss of guessing": loading.guesses,
    "loss falls": lambda r, e: curves.loss_falls(r, curves.onset(e)),
    "loss fell": lambda r, _: curves.loss_falls(r),
    "something was learnt": curves.learnt,
    "no gradient flows": setup.no_gradient_flows,
    "loss finite beside": curves.finite_beside,
    "healthy before": curves.healthy_before,
    "sudden": curves.sudden,
    "rate too small for it": rates.rate_too_small,
    "warm-up as long as the run": lambda r, _: setup.warmup_too_long(r),
    "rate stands though it should decay": setup.rate_stands,
    "schedule restarted": rates.schedule_restarted,
    "a counter began anew": setup.counter_began_anew,
    "missed on the way": lambda r, _: told.missed_on_the_way(r),
    "from the start or a resume": loading.from_the_start,
    "from first entry": curves.from_first_entry,
    "backward first": lambda r, _: curves.first_norm_bad_loss_good(r),
    "first norm bad": lambda r, _: curves.bad_at_first_norm(r),
    "eval is nan": curves.eval_is_nan,
    "weights poisoned": tensors.poisoned,
    "weights unmoved": lambda r, _: tensors.unmoved(r),
    "lora_B is zero": lambda r, _: tensors.zero_lora_b(r),
    "names bear a wrapper's prefix": lambda r, _: tensors.wrapped_names(r),
    "rows of the template are small": lambda r, _: tensors.template_rows_small(r),
    "shapes with a 0": lambda r, _: tensors.empty_shapes(r),
    "only saved modules are empty": lambda r, _: tensors.saved_modules_empty(r),
    "adapter tensors are empty": lambda r, _: tensors.adapters_empty(r),
    "a file is damaged": lambda r, _: tensors.damaged(r),
    "one tensor only": lambda r, _: tensors.single(r),
    "an exception": lambda r, _: told.raised(r),
    "another release works": lambda r, _: another_release_works(r),
    "another attention works": lambda r, _: trials.another_attention_works(r),
    "another device works": lambda r, _: trials.another_device_works(r),
    "one rank works": lambda r, _: trials.one_rank_works(r),
    "several ranks hang": lambda r, _: trials.several_ranks_hang(r),
    "killed by signal 9": lambda r, _: told.ended_by_signal(r, 9),
    "killed by signal 24": lambda r, _: told.ended_by_signal(r, 24),
    "an AMD board or a ROCm build": lambda r, _: backends.on_rocm(r),
    "a native signal": lambda r, _: told.native_signal(r),
    "stopped by its user": lambda r, _: told.stopped_by_user(r),
    "its session was closed": lambda r, _: told.session_closed(r),
    "ROCm build": lambda r, _: backends.rocm_build(r),
    "Apple's MPS": lambda r, _: backends.on_apple(r),
    "died before its first step": lambda r, _: told.before_the_first_step(r),
    "torch.compile is in use": lambda r, _: setup.compiled(r),
    "several ranks in a collective": lambda r, _: setup.in_a_collective(r),
    "several ranks": lambda r, _: setup.several_ranks(r),
    "flash attention": lambda r, _: setup.attention_matches(r, "flash|^fa2$"),
    "deepspeed": lambda r, _: deepspeed.deepspeed_used(r),
    "pipeline engine": lambda r, _: deepspeed.pipeline_engine(r),
    "overlap_comm": lambda r, _: deepspeed.overlap_comm(r),
    "clipping left out": lambda r, _: deepspeed.clipping_left_out(r),
    "zero stage 0": lambda r, _: deepspeed.stage_in(r, 0),
    "zero stage 1 or 2": lambda r, _: deepspeed.stage_in(r, 1, 2),
    "zero stage 2": lambda r, _: deepspeed.stage_in(r, 2),
    "zero stage 3": lambda r, _: deepspeed.stage_in(r, 3),
    "bf16": lambda r, _: setup.precision_is(r, "bf16"),
    "fp16": lambda r, _: setup.fp16_used(r),
    "half precision": lambda r, _: setup.precision_is(r, "bf16", "fp16"),
    "no half precision": lambda r, _: setup.precision_is(r, "fp32"),
}
"""What an `[[evidence]]` table may observe by name."""


def _hardware(table: Table, run: Run, _: Explained) -> Seen | None:
    return setup.hardware_matches(run, re.compile(table["hardware"], re.IGNORECASE), table.get("what", "concerned"))


def _setting(table: Table, run: Run, _: Explained) -> Seen | None:
    return first(*(_one_setting(table, run, name) for name in names_of(table)))


def names_of(table: Table) -> tuple[str, ...]:
    """Return the names of the setting that a table looks at."""
    names = table["setting"]
    return (names,) if isinstance(names, str) else tuple(names)


def _one_setting(table: Table, run: Run, name: str) -> Seen | None:
    setting, stage = run.environment.best(name), run.environment.best("zero_optimization.stage")
    if setting is None and stage is not None and name.startswith("zero_optimization."):
        return Seen(False, f"{name} is not set", stage.source, name)
    if "is" in table:
        return setup.setting_is(run, name, table["is"])
    if table.get("set"):
        return setup.is_set(run, name)
    return _bounded(table, run, name) if setting is not None and setting.value is not None else None


def _event(table: Table, run: Run) -> Seen | None:
    if "says" in table:
        return told.said(run, table["event"], re.compile(table["says"]))
    return told.happened(run, table["event"])


def _bounded(table: Table, run: Run, name: str) -> Seen | None:
    setting, number = run.environment.best(name), run.environment.number(name)
    assert setting is not None
    said = f"{name} is {setting.value}"
    if "matches" in table:
        match = re.search(table["matches"], str(setting.value), re.IGNORECASE)
        return Seen(match is not None, said, setting.source, name)
    if number is None:
        return None
    inside = number > table.get("above", float("-inf")) and number < table.get("below", float("inf"))
    return Seen(inside, said, setting.source, name)


LOOKS: Mapping[str, Callable[[Table, Run, Explained], Seen | None]] = {
    "setting": _setting,
    "observation": lambda table, run, explained: OBSERVATIONS[table["observation"]](run, explained),
    "event": lambda table, run, _: _event(table, run),
    "hardware": _hardware,
    "package": lambda table, run, _: setup.package_within(run, table["package"], table["within"]),
    "problem": lambda table, run, _: tensors.problem_matches(run, table["problem"]),
    "metric": lambda table, run, _: setup.has_metric(run, table["metric"]),
}
"""How each subject of an `[[evidence]]` table is looked at."""


def look(table: Table, run: Run, explained: Explained) -> Seen | None:
    """Return what one `[[evidence]]` table asks for; None where the run does not tell."""
    subject = next(name for name in LOOKS if name in table)
    return LOOKS[subject](table, run, explained)


def _evidence(issue: Table, run: Run, explained: Explained) -> Iterator[Evidence]:
    tables = issue.get("evidence", ())
    own = [*_own(tables, run, explained)]
    yield from own
    supported = any(e.points > 0 for e in own)
    for table in tables:
        if table.get("sign"):
            yield from (e for e in _weighed(table, run, explained) if e.points < 0 or supported)


def _own(tables: Sequence[Table], run: Run, explained: Explained) -> Iterator[Evidence]:
    """Weigh what is no shared mark; of tables about the words of one kind of event the first that fits counts."""
    read: set[str] = set()
    for table in tables:
        if table.get("sign") or ("says" in table and table["event"] in read):
            continue
        weighed = [*_weighed(table, run, explained)]
        if "says" in table and any(e.points > 0 for e in weighed):
            read.add(table["event"])
        yield from weighed


def _weighed(table: Table, run: Run, explained: Explained) -> Iterator[Evidence]:
    points = table.get("yes", 0), table.get("no", 0)
    why, measured = table.get("because", ""), table.get("measured", "")
    yield from weigh(look(table, run, explained), *points, why, measured=measured)


def ranges_of(issue: Table) -> tuple[Affected, ...]:
    """Return the ranges of releases that an entry names."""
    return tuple(Affected(t["package"], t["versions"], t["first"], t["fixed"]) for t in issue.get("affected", ()))


def _release(issue: Table, run: Run) -> tuple[Seen, Table] | None:
    """Return the range that the recorded version lies in, else one that it lies outside of, with its table."""
    seen = [(one.seen(run), table) for one, table in zip(ranges_of(issue), issue.get("affected", ()), strict=True)]
    known = [(one, table) for one, table in seen if one is not None]
    return next((pair for pair in known if pair[0].holds), known[0] if known else None)


def _release_counts(issue: Table, run: Run) -> Iterator[Evidence]:
    found = _release(issue, run)
    if found is not None:
        seen, table = found
        yield from weigh(seen, table.get("yes", 0), table.get("no", 0), table.get("because", ""))
    for one in ranges_of(issue):
        yield from weigh(one.tried(run), CURED, OUTSIDE)


def _conditions(issue: Table) -> Iterator[Condition]:
    needed = [table for table in issue.get("affected", ()) if table.get("necessary")]
    if needed:
        packages = " or ".join(dict.fromkeys(table["package"] for table in needed))
        yield Condition(f"the release of {packages} is one with the fault", lambda run, _: _of_release(issue, run))
    for table in issue.get("evidence", ()):
        if table.get("necessary"):
            yield Condition(table.get("that") or _clause(table), _looking(table))


def _of_release(issue: Table, run: Run) -> Seen | None:
    found = _release(issue, run)
    return None if found is None else found[0]


def _looking(table: Table) -> Observe:
    def observe(run: Run, explained: Explained) -> Seen | None:
        contradictions = (look(other, run, explained) for other in table.get("unless", ()))
        return unless(look(table, run, explained), *contradictions)

    return observe


def _clause(table: Table) -> str:
    """Say what a table looks for as a clause, for what would decide."""
    if "setting" in table:
        name = " or ".join(names_of(table))
        if "is" in table:
            return f"{name} is {' or '.join(map(str, table['is']))}"
        if "set" in table:
            return f"{name} is set"
        bounds = (("above", "is above"), ("below", "is below"), ("matches", "matches"))
        return " and ".join([f"{name} {word} {table[key]}" for key, word in bounds if key in table])
    if "hardware" in table:
        return f"the board is {table.get('what', 'one of those concerned')}"
    return str(table.get("observation") or f"the files say {table['problem']}")


def _done(fix: Table, run: Run) -> bool:
    """Tell whether a setting that a fix would lower is recorded as no higher already (`unless`: name and bound)."""
    for name, bound in fix.get("unless", {}).items():
        number = run.environment.number(name)
        if number is not None and number <= bound:
            return True
    return False


def _reason(issue: Table) -> ReasonFunction:
    def reason(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
        yield from _release_counts(issue, run)
        yield from _evidence(issue, run, explained)
        for fix in issue.get("fix", ()):
            if _done(fix, run):
                continue
            yield Fix(fix["action"], fix.get("change"), fix.get("reference", ""))
        for trial in issue.get("experiment", ()):
            yield Experiment(trial["action"], trial["expect"], trial.get("cost", 1))

    return reason


def _page(issue: Table) -> str:
    fixes = "\n".join(f"- {fix['action']}" for fix in issue.get("fix", ()))
    sources = "\n".join(f"- {url}" for url in issue["sources"])
    checked = f"Confidence: {issue['confidence']}. Checked {issue['date']}: {issue['checked']}."
    parts = (
        issue["title"] + ".",
        "## What happens\n" + issue["mechanism"].strip(),
        "## How to tell\n" + issue["tell"].strip(),
        "## What to do\n" + (fixes or "Nothing."),
        "## Sources\n" + sources + "\n\n" + checked,
    )
    return "\n\n".join(parts)


def _helps(issue: Table) -> tuple[str, ...]:
    found = [f"package {table['package']}" for table in issue.get("affected", ())]
    for table in issue.get("evidence", ()):
        if "setting" in table:
            found.append(names_of(table)[0])
        elif "event" in table:
            found.append("events")
        elif "package" in table:
            found.append(f"package {table['package']}")
        elif "hardware" in table:
            found.append("hardware gpu")
        elif "metric" in table:
            found.append(table["metric"])
        elif "problem" in table:
            found.append("checkpoints")
        elif table["observation"].startswith("norm"):
            found.append("grad_norm")
    return tuple(dict.fromkeys(found))


def declare(issue: Table) -> Rule:
    """Make a rule of one parsed file."""
    return Rule(
        code=issue["code"],
        name=issue["name"],
        reason=_reason(issue),
        explains=tuple(issue["explains"]),
        mechanism=issue.get("is_mechanism", False),
        benign=issue.get("benign", False),
        needs=(),
        helps=_helps(issue),
        references=tuple(issue["sources"]),
        since=issue.get("since", "0.1"),
        doc=_page(issue),
        cases=issue.get("cases", 0),
        requires=tuple(_conditions(issue)),
        echo=issue.get("echo", False),
    )
