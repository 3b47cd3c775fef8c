"""Console formats of public projects, none of which a reader was made for; the numbers in the lines are ours.

`line` is formatted with `i` (0 to 7), `e` and `b` (epoch and batch, two epochs of four entries), `l` (the loss), `v`
(another number). `steps` are those that the format tells, none where it tells only epochs or nothing. `metric` is the
name of the loss. Formats were written down from the linked threads and files; `at_first_sight` says whether the format
was read whole (entries, values, steps) before any change to the code was made for it.
"""

# ruff: noqa: E501  (log lines stand here as they are written)

from dataclasses import dataclass

ENTRIES = 8
LOSSES = (4.125, 3.875, 3.5, 3.25, 2.875, 2.5, 2.375, 2.25)
TENS = tuple(10 * (i + 1) for i in range(ENTRIES))
GITHUB = "https://github.com/"


@dataclass(frozen=True, slots=True)
class Format:
    """A format: where it was found, its line, and what must be read from eight of them."""

    name: str
    source: str
    line: str
    steps: tuple[int, ...] | None = None
    metric: str = "loss"
    at_first_sight: bool = True
    head: str = ""
    losses: tuple[float, ...] = LOSSES

    def text(self) -> str:
        rows = []
        for i, loss in enumerate(self.losses):
            e, b = divmod(i, 4)
            row = {"i": i, "n": i + 1, "s": TENS[i], "t": 1000 * TENS[i], "l": loss, "v": 0.5 + i / 8}
            row |= {"e": e, "e1": e + 1, "b": b, "b1": b + 1, "lo": 10 * b + 1, "hi": 10 * b + 10}
            rows.append(self.line.format(c=f"{loss:.4f}".replace(".", ","), **row))
        return self.head + "\n".join(rows) + "\n"


RESTARTS = tuple(range(8))
FORMATS = (
    Format("TensorFlow-Slim", "ardiya/HashtagPrediction/issues/6",
           "INFO:tensorflow:global step {s}: loss = {l:.4f} ({v:.2f} sec/step)", TENS),
    Format("See-in-the-Dark", "cchen156/Learning-to-See-in-the-Dark/issues/117", "{e1} {b1} Loss={l:.3f} Time=0.04{b}",
           tuple(range(1, 9)), at_first_sight=False),
    Format("VerSe", "christianpayer/MedicalDataAugmentationTool-VerSe/issues/31",
           "02:29:5{b}: train iter: {s} loss_net: {l:.4f} loss_scale: 32768.0000 norm: 21.88{i} seconds: 445.463",
           TENS, "loss_net"),
    Format("tflearn", "tflearn/tflearn/issues/695",
           "Training Step: {s}  | total loss: \x1b[1m\x1b[32m{l:.5f}\x1b[0m\x1b[0m | time: 2{i}.876s\n"
           "| Adam | epoch: 001 | loss: {l:.5f} - acc: 0.{s} -- iter: {s}/800", TENS),
    Format("darknet", "AlexeyAB/darknet/issues/4597",
           " {s}: {l:.6f}, {l:.6f} avg loss, 0.001000 rate, 5.3544{i}0 seconds, 64{i} images", TENS, "avg loss"),
    Format("PaddleOCR", "PaddlePaddle/PaddleOCR/issues/9740",
           "[2023/04/16 06:01:3{i}] ppocr INFO: epoch: [1/5], global_step: {s}, lr: 0.00001{i}, acc: 0.{s}, "
           "CTCLoss: {v:.6f}, loss: {l:.6f}, avg_reader_cost: 1.29460 s, ips: 4.7974{i} samples/s, eta: 6 days, 7:29:51", TENS),
    Format("PaddleSeg", "PaddlePaddle/PaddleSeg/pull/928",
           "2021-03-30 06:55:5{i} [INFO]\t[TRAIN] epoch: 1, iter: {s}/500, loss: {l:.4f}, lr: 0.00965{i}, batch_cost: "
           "0.5344, reader_cost: 0.07273, ips: 3.742{i} samples/sec | ETA 00:04:1{i}", TENS),
    Format("PaddleNLP", "PaddlePaddle/PaddleNLP/pull/1382",
           "global step {s}, epoch: 1, batch: {s}, loss: {l:.5f}, accu: 0.{s}, speed: 1.2{i} step/s", TENS),
    Format("OpenNMT, Lua", "OpenNMT/OpenNMT/issues/85",
           "Epoch {e1} ; Iteration {b1}/4 ; Learning rate 1.0000 ; Source tokens/s 19{i} ; Perplexity {l:.2f}",
           tuple(range(1, 9)), "Perplexity"),
    Format("OpenNMT-py", "OpenNMT/OpenNMT-py/issues/966",
           "[2018-09-20 15:18:3{i},264 INFO] Step {s}/1000000; acc:  42.0{i}; ppl: 55.2{i}; xent: {l:.2f}; lr: 0.0000{i}; "
           "2214/2168 tok/s;    95{i} sec", TENS, "xent"),
    Format("OpenNMT-py 0.1", "Eurus-Holmes/MNMT/issues/8",
           "Epoch  {e1},    {b1}/    4; acc:   0.0{i}; ppl:  {l:.2f}; 5187 src tok/s; 5634 tgt tok/s;     5{i} s elapsed",
           tuple(range(1, 9)), "perplexity"),
    Format("fairseq, JSON on the console", "facebookresearch/fairseq/issues/233",
           '| {{"epoch": {e1}, "loss": "{l:.3f}", "nll_loss": "{v:.3f}", "ppl": "2.5{i}", "wps": 1667443, "num_updates": {s}, '
           '"lr": 0.00019096019143386865, "gnorm": "0.19{i}", "clip": "100%", "wall": 2072{i}}}', TENS),
    Format("sockeye", "awslabs/sockeye/issues/694",
           "[INFO:sockeye.training] Epoch[0] Batch [{s}]\tSpeed: 186.9{i} samples/sec 8556.4{i} tokens/sec 1.59 updates/sec\t"
           "perplexity={l:.6f}", TENS, "perplexity", at_first_sight=False),
    Format("detectron2", "facebookresearch/detectron2/issues/3363",
           "[08/14 10:26:1{i} d2.utils.events]:  eta: 0:43:5{i}  iter: {s}  total_loss: {l:.4f}  loss_cls: {v:.5f}  "
           "time: 0.4464  data_time: 0.0375  lr: 0.0003  max_mem: 1962M", TENS),
    Format("Detectron", "facebookresearch/Detectron/issues/610",
           'json_stats: {{"accuracy_cls": 0.9{i}0000, "eta": "0:21:51", "iter": {s}, "loss": {l:.6f}, "loss_bbox": {v:.6f}, '
           '"lr": 0.000025, "mb_qsize": 64, "mem": 3084, "time": 0.26650{i}}}', TENS),
    Format("maskrcnn-benchmark", "facebookresearch/maskrcnn-benchmark/issues/825",
           "2019-05-27 10:48:5{i},461 maskrcnn_benchmark.trainer INFO: eta: 0:17:3{i}  iter: {s}  loss: {l:.4f} (0.9191)  "
           "loss_classifier: {v:.4f} (0.3151)  time: 0.5063 (0.5132)  lr: 0.000025  max mem: 4358", TENS),
    Format("mmdetection 2", "open-mmlab/mmdetection/issues/2672",
           "2020-05-08 18:44:2{i},494 - mmdet - INFO - Epoch [{e1}][{b1}/4]\tlr: 0.00125, eta: 4:44:0{i}, time: 0.593, "
           "memory: 6836, loss_cls: {v:.4f}, acc: 94.06{i}5, loss: {l:.4f}", tuple(range(1, 9))),
    Format("Caffe", "BVLC/caffe/issues/4371",
           "I0627 17:29:4{i}.020539 13757 solver.cpp:228] Iteration {s}, loss = {l:.4f}\n"
           "I0627 17:29:4{i}.020617 13757 solver.cpp:244]     Train net output #0: loss = {l:.4f} (* 1 = {l:.4f} loss)\n"
           "I0627 17:29:4{i}.190858 13757 sgd_solver.cpp:106] Iteration {s}, lr = 0.001", TENS, at_first_sight=False),
    Format("Caffe with speed", "libornovax/master_thesis_code/issues/50",
           "I1109 10:34:3{i}.280992  9709 solver.cpp:219] Iteration {s} (0.170469 iter/s, 58.6617s/10 iters), loss = {l:.5f}",
           TENS),
    Format("Stable-Baselines3", "hill-a/stable-baselines/issues/1204",
           "------------------------------------------\n| time/                   |              |\n"
           "|    iterations           | {n}            |\n|    total_timesteps      | {s}        |\n"
           "| train/                  |              |\n|    approx_kl            | 0.01091830{i}  |\n"
           "|    loss                 | {l:.4g}        |\n|    value_loss           | {v:.4g}         |\n"
           "------------------------------------------", TENS),
    Format("icefall", "k2-fsa/icefall/pull/399",
           "2022-06-08 08:10:3{i},157 INFO [train.py:815] Epoch 1, batch {s}, loss[loss={l:.4f}, simple_loss=1.54{i}, "
           "pruned_loss=9.09{i}, over 5263.00 frames.], tot_loss[loss=0.8632, simple_loss=1.726, over 10495.15 frames.], "
           "batch size: 21, lr: 3.00e-03", TENS),
    Format("XGBoost", "dmlc/xgboost/issues/2777", "[{s}]\teval-logloss:0.4{i}906\ttrain-logloss:{l:.6f}", TENS, "train-logloss"),
    Format("LightGBM", "uxlfoundation/scikit-learn-intelex/pull/295", "[{s}]\ttraining's multi_logloss: {l:.6f}", TENS,
           "training's multi_logloss", at_first_sight=False),
    Format("torch_xla", "pytorch/xla/pull/4324",
           "| Training Device=xla:0/2 Epoch=1 Step={s} Loss={l:.5f} Rate=551.6{i} GlobalRate=307.4{i} Time=01:52:4{i}", TENS),
    Format("fastai", "fastai/fastai/issues/2500",
           "epoch     train_loss  valid_loss  accuracy  perplexity  time    \n{i}         {l:.6f}    {v:.6f}    0.{s}00  2.71828{i}"
           "    00:1{i}     ", None, "train_loss"),
    Format("nanoGPT, the estimate", "karpathy/nanoGPT/issues/167", "step {s}: train loss {l:.4f}, val loss {v:.4f}", TENS),
    Format("nanoGPT, the iteration", "karpathy/nanoGPT/issues/167",
           "iter {s}: loss {l:.4f}, time 150.{i}3ms, mfu 38.1{i}%", TENS),
    Format("build-nanogpt", "find_string: step {step:5d} | loss: {loss_accum",
           "step {s:5d} | loss: {l:.6f} | lr 6.{i}000e-04 | norm: 1.{i}234 | dt: 98.7{i}ms | tok/sec: 5312{i}.55", TENS),
    Format("PyTorch MNIST", "pytorch/examples/blob/main/mnist/main.py",
           "Train Epoch: {e1} [{b}/4 ({b}5%)]\tLoss: {l:.6f}", RESTARTS, at_first_sight=False),
    Format("a loop that draws over its line", "python code: \\rEpoch: {:d} batch: {:d} loss: {:.4f}",
           "\rEpoch: {e1} batch: {b1} loss: {l:.4f} ", tuple(range(1, 9))),
    Format("a loop that names the batch by number", "calmiLovesAI/Basic_CNNs_TensorFlow2/issues/22",
           "Epoch: {i}/8, train loss: {l:.5f}, train accuracy: 0.1068{i}, valid loss: {v:.5f}, valid accuracy: 0.1068{i}", None),
    Format("Keras 2, bar of dots", "AmadeusITGroup/Moire-Pattern-Detection/issues/25",
           "{n}/9 [=>............................] - ETA: 7:5{i} - loss: {l:.4f} - accuracy: 0.6{i}39", tuple(range(1, 9))),
    Format("TensorFlow tutorials", "find_string: Training loss (for one batch) at step",
           "Training loss (for one batch) at step {s}: {l:.4f}", TENS, "loss", at_first_sight=False),
    Format("TensorFlow Estimator", "tensorflow/tensorflow, basic_session_run_hooks.py",
           "INFO:tensorflow:loss = {l:.5f}, step = {s} (1{i}.345 sec)", TENS),
    Format("tensor2tensor", "tensorflow/tensor2tensor, README",
           "INFO:tensorflow:global_step/sec: 4.3{i}\nINFO:tensorflow:loss = {l:.5f}, step = {s} (23.{i}12 sec)", TENS),
    Format("MaxText", "AI-Hypercomputer/maxtext, metric_logger.py",
           "completed step: {s}, seconds: 2.34{i}, TFLOP/s/device: 123.45{i}, Tokens/s/device: 6789.01{i}, total_weights: "
           "65536, loss: {l:.3f}", TENS),
    Format("levanter", "stanford-crfm/levanter, callbacks",
           "2024-01-01T10:00:0{i} - 0 - levanter.callbacks - INFO :: step {s}: loss {l:.4f}", TENS),
    Format("llm.c", "karpathy/llm.c, train_gpt2.cu",
           "step {s:4d}/19560 | loss {l:.6f} (+nanz)| norm {v:.4f} (+nanz)| lr 6.00e-04 | 234.5{i} ms | 45.{i}% bf16 MFU | "
           "223{i}123 tok/s", TENS),
    Format("llama.cpp finetune", "ggml-org/llama.cpp, common/train.cpp",
           "train_opt_callback: iter={s:6d} sample={s}/1000 sched=0.{s} loss={l:.6f} dt=00:00:0{i} eta=00:10:0{i} |->", TENS),
    Format("mlx-lm", "ml-explore/mlx-lm, tuner/trainer.py",
           "Iter {s}: Train loss {l:.3f}, Learning Rate 1.000e-05, It/sec 1.23{i}, Tokens/sec 456.7{i}, Trained Tokens 678{i}, "
           "Peak mem 12.345 GB", TENS),
    Format("axolotl, pretty-printed keys", "a TRL trainer's console",
           "{{'loss': '{l:.4g}', 'grad_norm': '0.{s}', 'learning_rate': '2e-05', 'num_tokens': '{s}000', 'epoch': '0.{n}'}}", None),
    Format("Flair", "flairNLP/flair, trainers/trainer.py",
           "2023-01-01 10:00:0{i},123 epoch {e1} - iter {b1}/4 - loss {l:.8f} - time (sec): 12.3{i} - samples/sec: 456.78 - "
           "lr: 0.100000", tuple(range(1, 9))),
    Format("AllenNLP bar", "allenai/allennlp, trainer.py",
           "acc: 0.{s}, batch_loss: {l:.4f}, loss: {l:.4f} ||:  10%|#         | {s}/800 [00:0{i}<00:10,  9.9it/s]", TENS),
    Format("Ultralytics YOLOv5", "ultralytics/yolov5, train.py",
           "     Epoch    GPU_mem   box_loss   obj_loss   cls_loss  Instances       Size\n       {i}/7      3.2G    {l:.5f}    "
           "0.0{i}678    0.0{i}123         2{i}        640: 100%|##########| 10/10 [00:01<00:00,  9.9it/s]", None, "box_loss", at_first_sight=False),
    Format("fairseq2", "facebookresearch/fairseq2, metrics writer",
           "[01/01/24 10:00:0{i}] INFO fairseq2.metrics - Train Metrics (step {s}) - CTC Loss: {l:.3f} | Gradient Norm: 1.2{i} | "
           "Elapsed Time: 12s", TENS, "CTC Loss"),
    Format("Marian", "marian-nmt/marian, training/scheduler.h",
           "[2020-01-01 10:00:0{i}] Ep. 1 : Up. {s} : Sen. 12,34{i} : Cost {l:.4f} : Time 12.34s : 5678.90 words/s : "
           "L.r. 3.0000e-04", TENS, "Cost"),
    Format("a course's first network", "find_string: Cost after iteration", "Cost after iteration {s}: {l:.6f}", TENS, "Cost"),
    Format("composer", "mosaicml/composer, loggers/console_logger.py",
           "[batch={s}/1000]:\n\t Train time/epoch: 0\n\t Train loss/train/total: {l:.4f}\n\t Train lr-AdamW/group0: 0.0001",
           TENS, "Train loss/train/total"),
    Format("t5x", "google-research/t5x, trainer.py",
           "I0501 10:00:0{i}.123456 1234 train.py:600] [{s}] cross_ent_loss = {v:.3f}, learning_rate = 0.001, loss = {l:.4f}",
           TENS, at_first_sight=False),
    Format("GPT-NeoX, validation", "EleutherAI/gpt-neox, megatron/training.py",
           "-----------------------------------\n validation results at iteration {s} | lm_loss value: {l:.6E} | lm_loss_ppl "
           "value: 1.0{i}E+01 |", TENS, "eval_loss"),
    Format("SpeechBrain", "speechbrain/speechbrain, train_logger.py",
           "epoch: {n}, lr: 1.00e-03 - train loss: {l:.2f} - valid loss: {v:.2f}, valid WER: 1{i}.2", None),
)  # fmt: skip
