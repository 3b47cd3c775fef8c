"""Texts that are no training logs, written anew after what tools, servers, people and documentation print."""

# ruff: noqa: E501  (lines stand here as tools write them)

TEXTS = {
    "ping": "64 bytes from 10.0.0.7: icmp_seq=1 ttl=64 time=0.3 ms\n5 packets transmitted, 5 received, 0% packet loss, time 4006ms\n"
    * 3,
    "pip": "Collecting torch-loss==1.2.3\n  Downloading torch_loss-1.2.3-py3-none-any.whl (12.3 MB)\nSuccessfully installed torch-loss-1.2.3 step-1.0\n",
    "pip, resolver": "ERROR: package-loss 2.0 has requirement numpy<2, but you'll have numpy 2.1 which is incompatible.\n"
    * 4,
    "apt": "Get:1 http://deb.example bookworm/main amd64 lossless 1.0-3 [12.3 kB]\nFetched 12.3 kB in 0s (45.6 kB/s)\nSetting up lossless (1.0-3) ...\n",
    "pytest": "tests/x/test_loss.py::test_step[1-2.5] PASSED [ 10%]\ntests/x/test_loss.py::test_step[2-3.5] PASSED [ 20%]\n=== 2 passed in 0.12s ===\n",
    "pytest, durations": "0.12s call tests/test_loss.py::test_epoch_3\n0.34s call tests/test_loss.py::test_epoch_4\n",
    "gcc": "loss.c:12:5: warning: conversion to 'float' from 'double' may alter its value [-Wconversion]\n" * 4,
    "cmake": "-- Step 1 of 3: configure\n[ 33%] Building CXX object src/loss.cpp.o\n[ 66%] Building CXX object src/step.cpp.o\n",
    "make -j": "make[1]: Entering directory '/src/loss'\nmake[1]: Leaving directory '/src/loss'\nreal 0m1.234s\n",
    "nginx": '10.0.0.9 - - [01/May/2025:10:00:00 +0000] "GET /loss?step=5 HTTP/1.1" 200 512 "-" "curl/8.0"\n' * 5,
    "vLLM": "INFO 05-01 10:00:00 metrics.py:345] Avg prompt throughput: 12.3 tokens/s, Avg generation throughput: 45.6 tokens/s, Running: 3 reqs\n"
    * 3,
    "uvicorn": 'INFO:     127.0.0.1:51234 - "POST /v1/loss HTTP/1.1" 200 OK\n' * 3,
    "kubernetes events": "3m   Warning  BackOff  pod/train-loss-0  Back-off restarting failed container (x5 over 10m)\n"
    * 2,
    "arguments": "Namespace(loss_weight=1.0, lr=0.1, epochs=3, batch_size=8, loss=0.5, step=2)\n",
    "arguments, a line each": "  loss_weight: 1.0\n  lr: 0.1\n  num_epochs: 3\n  max_steps: 1000\n  loss_scale: 128\n",
    "a configuration in YAML": "train:\n  epochs: 3\n  batch_size: 8\n  loss:\n    name: ce\n    label_smoothing: 0.1\n  optimizer:\n    lr: 0.001\n",
    "source code": "for step in range(10):\n    loss = model(x)\n    print(f'step {step}: loss {loss:.4f}')\n    total_loss += 0.5 * loss\n",
    "a traceback": 'Traceback (most recent call last):\n  File "/x/loss.py", line 12, in step\n    loss = loss / 2\nZeroDivisionError: division by zero\n',
    "a chat": "I saw a loss of 2.3 yesterday and 1.9 today, is that normal?\nYes. After 3 epochs mine was lower.\n",
    "a chat about NaN": "My loss is nan since I switched to fp16.\nLower the learning rate to 1e-5, then the loss was fine for me.\n",
    "a question": "Why does my loss jump at step 1000 when I use a batch size of 32 and a learning rate of 0.1?\n",
    "documentation": "The argument loss_weight (default: 1.0) multiplies the loss. Use 2.0 to double it. See step 3 of the guide.\n",
    "a README": "## Results\n\nOur model reaches a loss below 2.0 after 10 epochs on 8 GPUs (see Table 3).\n",
    "a paper": "We train for 300 epochs with a batch of 1024. The loss of Eq. 5 is weighted by 0.1 as in [12].\n",
    "data statistics": "tokens: 1234567\nsamples: 8901\nmean length: 345.6\nmax length: 4096\n",
    "a vocabulary": "step 9520\nloss 8987\nepoch 28218\nlr 13990\n",
    "a vocabulary in JSON": '{"!":0,"loss":8987,"step":9520,"epoch":28218,"nan":15459}\n',
    "a dictionary of fairseq": "loss 1234\nstep 555\nepoch 321\nbatch 99\n",
    "NCCL": "node-1:123:456 [0] NCCL INFO Channel 00/02 : 0 1 2 3\nnode-1:123:456 [0] NCCL INFO Connected all rings, step 4\n",
    "nvidia-smi": "| 0  NVIDIA A100-SXM4-80GB  On | 00000000:07:00.0 Off |  0 |\n| N/A 34C P0 61W / 400W | 0MiB / 81920MiB | 0% Default |\n",
    "slurm": "slurmstepd: error: *** STEP 4711815.0 ON node17 CANCELLED AT 2025-05-01T10:00:00 DUE TO TIME LIMIT ***\n",
    "lm-eval": "|  Tasks  |Version|Filter|n-shot|  Metric  |   |Value |   |Stderr|\n|---------|------:|------|-----:|----------|---|-----:|---|-----:|\n|lambada  |      1|none  |     0|perplexity|↓  |3.8123|±  |0.0724|\n",
    "weight statistics": "layer.0.weight mean=0.0012 std=0.0234 norm=12.3\nlayer.1.weight mean=0.0011 std=0.0231 norm=12.1\n",
    "finance": "Stop loss 2.5% of 1000 shares, best loss 3.2%, data loss 0.1%\n" * 2,
    "insurance": "The loss ratio was 0.65 in 2023 and 0.71 in 2024; weight loss programs cost 3.5 million.\n",
    "a backup tool": "INFO: no data loss in 128 files, 0 errors\nINFO: memory loss 0.0 MB\n",
    "git log": "3f2a1bc fix loss at step 5 (#123)\n9d8e7fa Update batch 2 of 3 (#124)\n",
    "a crontab": "*/5 * * * * /opt/loss/run.sh --step 3\n0 4 * * 1 /opt/epoch/clean.sh\n",
    "a poem": "At step one the traveller felt no loss,\nat epoch's end he bore a heavier cross.\n",
    "ffmpeg": "frame=  123 fps= 25 q=28.0 size=    1024kB time=00:00:04.92 bitrate=1705.0kbits/s speed=1x\n" * 3,
    "docker build": "Step 1/12 : FROM python:3.10\n ---> 1a2b3c4d5e6f\nStep 2/12 : RUN pip install loss==1.0\n ---> Running in 6f5e4d3c2b1a\n",
    "unittest": "test_loss (tests.TestLoss) ... ok\nRan 12 tests in 0.345s\nOK\n",
}
