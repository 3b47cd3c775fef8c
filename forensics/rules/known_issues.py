"""One rule for each file in `known_issues/`: causes that a pattern of versions, settings and signs tells."""

from forensics.rules._known_issues import declare, load

globals().update({name.removesuffix(".toml"): declare(issue) for name, issue in load()})
