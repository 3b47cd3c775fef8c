"""The rate that a script gives to an optimizer."""

from pathlib import Path

import pytest

from forensics.readers.python_source import python_source
from readers.reading import facts_of, settings_of


@pytest.mark.parametrize(
    ("source", "rate"),
    [
        ("opt = keras.optimizers.Adam(learning_rate=3.0)", 3.0),
        ("rate = 30\nopt = torch.optim.AdamW(model.parameters(), lr=rate)", 30),
        ("tx = optax.chain(optax.adamw(learning_rate=2.0, weight_decay=0.1))", 2.0),
        ("opt = SGD(net.parameters(), lr=args.lr)", None),
        ("opt = Sweep(lr=3)", None),
    ],
)
def test_the_rate_of_an_optimizer(tmp_path: Path, source: str, rate: float | None) -> None:
    """It is no `learning_rate`: a schedule may go above it."""
    found = {name: value for _, name, value, *_ in settings_of(facts_of(python_source, tmp_path, "fit.py", source))}

    assert found.get("lr") == rate
    assert "learning_rate" not in found
