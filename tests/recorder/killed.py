"""Train under the black box in forked children and kill each at a random moment: `python killed.py OUT COUNT`.

Prints for each its folder and how many calls of `step` had returned.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from forensics.recorder import BlackBox


def train(folder: Path, pipe: int) -> None:
    model = torch.nn.Sequential(*[torch.nn.Linear(16, 16) for _ in range(40)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    box = BlackBox(model, optimizer, folder)
    for step in range(1, 100_000):
        loss = model(torch.ones(2, 16)).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        box.step(step=step, loss=loss)
        os.write(pipe, b".")


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)  # imports dynamo, before the forks
    random.seed(5)
    for number in range(int(sys.argv[2])):
        folder = Path(sys.argv[1]) / str(number)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            train(folder, writing)
            os._exit(0)
        os.close(writing)
        os.read(reading, 1)  # the first step is done
        time.sleep(random.random() * 0.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        counted = 1
        while part := os.read(reading, 65536):
            counted += len(part)
        os.close(reading)
        sys.stdout.write(f"{folder} {counted}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
