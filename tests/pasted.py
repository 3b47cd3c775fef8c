"""The founding case as somebody pastes it into an issue."""

from runs import FOUNDING

LOG = "\n".join(line for line in (FOUNDING.run / "train.log").read_text().splitlines() if "{'" in line)
CONFIGURATION = (FOUNDING.run / "ds_zero2.json").read_text()
PACKAGES = (FOUNDING.run / "pip_freeze.txt").read_text()
ISSUE = f"""\
### System Info

Two machines, ZeRO-2 with bf16. It worked with an older version.

<details><summary>pip freeze</summary>

```
{PACKAGES}
```
</details>

### Reproduction

```bash
deepspeed --num_gpus 2 train.py \\
    --deepspeed ds_zero2.json --bf16 True
```

ds_zero2.json:

```json
{CONFIGURATION}
```

### Expected behavior

The loss should not be 0.0 from step 18 on:

```
{LOG}
```
"""
