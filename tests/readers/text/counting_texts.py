"""Texts with a rhythm that are no trainings: programs that count and measure, tables of models, dumps, servers.

Each is short, in numbers of its own, after what tools of that kind print. They count, they come again and again, they
name accuracies, costs, errors, steps and iterations, and none of them tells how a model learns.
"""

# ruff: noqa: E501  (lines stand here as tools write them)

SIX = range(1, 7)


def _rows(head: str, form: str, *columns: list[object]) -> str:
    return head + "".join(form.format(*row) + "\n" for row in zip(*columns, strict=True))


def _times(form: str, count: int = 6) -> str:
    """Fill a form with a number that counts, two that vary and a clock, `count` times."""
    return "".join(
        form.format(n=n, f=round(0.61 + (n * 37 % 11) / 70, 4), g=round(12.4 + (n * 53 % 17) * 1.3, 2), s=10 + n) + "\n"
        for n in range(1, count + 1)
    )


TEXTS = {
    # Benchmarks and load tests
    "a benchmark of requests": _times('"pid": 811, "tid": 812, "ts": {s}40ns : accuracy_log_rng_seed : {n}', 5),
    "a load generator of a benchmark": "".join(
        f'"pid": 77, "tid": {tid}, "ts": {ts}ns : accuracy_log_probability : {p}\n'
        for tid, ts, p in ((91, 8810, 0), (92, 9023, 0.1), (91, 9410, 0), (92, 9511, 0.2))
    ),
    "a load test, json": _times('{{"iteration": {n}, "http_req_duration": {g}, "status": 200, "vus": 10}}'),
    "a load test, lines": _times("iteration {n}: latency {g} ms, throughput {f} req/s, errors 0"),
    "a stress test of a disk": _times("Iteration {n}: read 5{s}.3 MB/s write 4{s}.1 MB/s"),
    "warm-up of a kernel": _times("step {n}: time {g} ms, bandwidth {f} GB/s"),
    "a bandwidth test": _times("iter {n} size 10{s}4 bytes busbw {g} GB/s algbw {f} GB/s"),
    "serving, statistics": _times(
        "step {n} | running 4 reqs | gpu cache usage {f} | generation throughput {g} tokens/s"
    ),
    "a micro benchmark": _times("Benchmark{n}/loss-8    	     {n}00	     {g} ns/op	      {n} allocs/op"),
    "an inference loop": _times("iter {n}: {g} ms/iter, {f} iter/s"),
    "a mail queue": _times("batch {n}: sent {s} mails in {f} s"),
    "an ETL": _times("Batch {n}: inserted {s}00 rows, elapsed {f}s, rows/s {g}"),
    "a migration": _times("[{n}/6] step {n}: migrated table t{n} in {f} s"),
    "a crawler": _times("epoch {n}: crawled {s} pages, {g} KB/s"),
    "a chess engine": _times("info depth {n} seldepth 1{n} score cp {s} nodes {s}400 nps 8{s}00 time {s}"),
    # Simulations and solvers
    "a solver of equations": _times("step {n}  time = {f}  dt = 0.001  courant = {g}"),
    "a simulation of molecules": _times("Step {n}00  Temp {g}  PotEng -{s}3.2  Press {f}"),
    "a root finder": _times("iteration {n}: x = {f}, f(x) = {g}"),
    "a clock of rounds": _times("round {n}: player A {s} points, player B 1{s} points"),
    # Tables of models, leaderboards, evaluations of many
    "results of detection": "".join(
        f" Average Precision  (AP) @[ IoU={iou} | area=   all | maxDets=100 ] = {ap}\n"
        for iou, ap in (("0.50:0.95", 0.231), ("0.50", 0.402), ("0.75", 0.233), ("0.50", 0.311))
    ),
    "points of a curve that are left out": "".join(
        f"   {n}. {s}% (F1={f}) - left out: above the peak (0.95 > {f})\n"
        for n, s, f in ((1, 30.7, 0.8667), (2, 31.3, 0.8205), (3, 32.4, 0.9231), (4, 33.1, 0.7812))
    ),
    "a grid of a linear model": "".join(
        f"{{'alpha': {a}}}\nrecall={r}\nprecision={p}\naccuracy={r}\nconfusion matrix is\n[[{n}3 17]\n [1{n} 762]]\n"
        for n, a, r, p in (
            (23, 0.1, 0.736, 0.731),
            (11, 0.2, 0.755, 0.741),
            (26, 0.4, 0.782, 0.775),
            (20, 0.8, 0.77, 0.78),
        )
    ),
    "accuracies of models": "".join(
        f"{name}\naccuracy: {a}\nf1: {f}\n\n"
        for name, a, f in (
            ("LogisticRegression", 0.81, 0.79),
            ("SVC", 0.84, 0.82),
            ("Forest", 0.88, 0.87),
            ("KNN", 0.79, 0.75),
        )
    ),
    "a report of classes": "              precision    recall  f1-score   support\n\n           0       0.91      0.88      0.89       412\n           1       0.84      0.87      0.85       301\n\n    accuracy                           0.88       713\n",
    "results as a dictionary": "{'model': 'bert', 'accuracy': 0.912, 'f1': 0.903}\n{'model': 'gru', 'accuracy': 0.871, 'f1': 0.862}\n{'model': 'cnn', 'accuracy': 0.853, 'f1': 0.841}\n",
    "errors of regressors": "".join(
        f"{name}: RMSE {r} MAE {m} R2 {q}\n"
        for name, r, m, q in (
            ("lasso", 3.21, 2.4, 0.71),
            ("ridge", 3.17, 2.3, 0.72),
            ("forest", 2.8, 1.9, 0.8),
            ("gbm", 2.6, 1.8, 0.83),
        )
    ),
    "scores of translations": "".join(
        f"BLEU = {b}, 62.1/36.4/23.9/16.2 (BP=1.000, ratio=1.0{n})\n" for n, b in ((1, 29.31), (2, 30.12), (4, 28.77))
    ),
    "questions answered": "".join(
        f"Question {n}: predicted B, answer {a}, running accuracy: {r}\n"
        for n, a, r in ((1, "B", 1.0), (2, "C", 0.5), (3, "B", 0.667), (4, "B", 0.75), (5, "A", 0.6))
    ),
    "queries of a search": "".join(
        f"query {n}: recall {r}, mrr {m}, took {t} ms\n"
        for n, r, m, t in ((1, 0.8, 0.5, 12), (2, 0.7, 0.33, 14), (3, 0.9, 1.0, 11))
    ),
    "a sweep in CSV": _rows(
        "run,lr,batch_size,final_loss\n",
        "{},{},{},{}",
        ["a", "b", "c", "d"],
        [0.1, 0.01, 0.001, 0.1],
        [8, 8, 16, 32],
        [2.31, 2.05, 2.2, 2.6],
    ),
    "a leaderboard in JSON": '[{"rank": 1, "model": "a", "loss": 2.31}, {"rank": 2, "model": "b", "loss": 2.35}, {"rank": 3, "model": "c", "loss": 2.41}]\n',
    # Indices, manifests, inventories
    "an index of checkpoints": _times(
        '{{"name": "0000{n}0", "batch": {n}0, "epoch": 0, "state_path": "store://weights/0000{n}0"}}'
    ),
    "a manifest of shards": _times('{{"step": {n}, "shard": {n}, "bytes": 10{s}00, "rows": {s}000}}'),
    "a list of saved files": _times('{{"step": {n}000, "file": "ckpt-{n}000.pt", "size": 1{s}00000}}'),
    "samples of a data set in JSON lines": _times('{{"id": {n}, "text": "an answer", "score": {f}, "tokens": {s}}}'),
    "a schedule": _times("epoch {n}: lr stays, checkpoint kept until day {s}"),
    # Monitoring, kernels, servers
    "a kernel's ring buffer": "".join(
        f"[   {t}] usb 1-{n}: new high-speed USB device number {n} using xhci_hcd\n"
        for n, t in ((2, 12.34), (3, 12.61), (4, 13.02), (5, 13.9))
    ),
    "a kernel that counts loss of interrupts": "".join(
        f"[ {t}] e1000: eth0: tx timeout, loss {n} of {n}00 interrupts\n" for n, t in ((1, 4.21), (2, 5.77), (3, 9.13))
    ),
    "an exporter": "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.42\nnode_network_loss_total 12\nnode_cpu_seconds_total 1834.2\n"
    * 3,
    "a supervisor": _times("2024-03-01 10:00:{s} INFO supervisord: tick {n} cpu {g} mem {f}"),
    "a queue of workers": _times(
        '{{"ts": "2024-03-01T10:00:{s}Z", "step": {n}, "worker": "w{n}", "duration_ms": {g}, "retries": 0}}'
    ),
    "access logs in JSON": _times(
        '{{"time": "10:00:{s}", "request_time": {f}, "status": 200, "bytes_sent": {s}12, "batch": {n}}}'
    ),
    "a GPU monitor": _times(
        '{{"step": {n}, "gpu_util": {g}, "mem_used": {s}000, "temperature": 6{n}, "power": 2{s}.5}}'
    ),
    "packets": _times("epoch {n} packets sent {s}00 lost {n} rtt {g} ms jitter {f} ms"),
    "a replica": _times("term {n}: commit index {s}, lag {f} s"),
    "a garbage collector": _times("GC({n}) Pause Young (Normal) 24M->4M(256M) {g}ms"),
    # Money, games, sport, science
    "a diary of weights": _rows(
        "week,weight loss,mood\n", "{},{},{}", list(SIX), [0.4, 0.7, 0.2, 0.5, 0.1, 0.6], [3, 4, 2, 5, 3, 4]
    ),
    "trades": "".join(
        f"Trade {n}: profit {p} loss {q} balance {b}\n"
        for n, p, q, b in ((1, 12.5, 0.0, 1012.5), (2, 0.0, 4.2, 1008.3), (3, 3.1, 0.0, 1011.4), (4, 0.0, 7.7, 1003.7))
    ),
    "insurance by year": _rows(
        "year,premium,loss\n",
        "{},{},{}",
        [2019, 2020, 2021, 2022, 2023],
        [812.5, 840.1, 870.9, 902.2, 955.0],
        [401.3, 620.4, 390.1, 455.2, 502.9],
    ),
    "attenuation of a cable": _rows(
        "frequency,insertion loss,return loss\n",
        "{},{},{}",
        [1, 2, 4, 8, 16, 32],
        [0.11, 0.16, 0.23, 0.33, 0.47, 0.66],
        [31.2, 30.1, 28.8, 27.0, 25.1, 22.9],
    ),
    "heat through a wall": "".join(
        f"Layer {n}: heat loss {q} W, thickness 0.{n} m\n" for n, q in ((1, 12.41), (2, 9.87), (3, 8.02), (4, 7.1))
    ),
    "games of a season": "".join(
        f"Game {n}: win {w} loss {q} draw 0\n" for n, w, q in ((1, 1, 0), (2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 3, 2))
    ),
    # Builds, tests, packages
    "a build by steps": _times("Step {n}/6 : RUN make -j{s}  ({f}s)"),
    "a test runner": _times("ok {n} - loss step {n} # time={g}ms"),
    "a fuzzer": _times("#{n}00	NEW    cov: 1{s} ft: 2{s} corp: {n}/{s}b exec/s: {s}0 rss: 3{n}Mb L: {n}/{n}"),
    "coverage": "".join(
        f"forensics/loss{n}.py     {s}      {n}    {p}%\n" for n, s, p in ((1, 120, 98), (2, 88, 97), (3, 45, 93))
    ),
    "timings of a pipeline": _times("epoch {n} load {f}s decode {g}s total {s}.5s"),
    "a bar of data": _times("Epoch {n}: 100%|##########| 50/50 [00:0{n}<00:00, {g}it/s]"),
    "dump of a scheduler": _times("step {n} queue {s} weight {f} priority {g}"),
}
