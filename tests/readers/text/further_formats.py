"""Further console formats, of which none was looked at while the reader was made; the numbers in the lines are ours.

As in `console_formats`, with `lo` and `hi` (batches 1 to 10 of an epoch of forty, and so on), `c` (the loss with a
decimal comma) and a `head` above the first line.
"""

# ruff: noqa: E501, RUF001  (log lines stand here as they are written)

from readers.text.console_formats import TENS, Format

ZEROS, ONES, THOUSANDS = tuple(range(8)), tuple(range(1, 9)), tuple(1000 * step for step in TENS)

FURTHER = (
    Format("torchtitan, with ranks", "pytorch/torchtitan/pull/3393",
           "[rank0]:[titan] 2026-05-18 16:04:4{b},338 - root - INFO - \x1b[31mstep: {s:2}  \x1b[32mloss: {l:8.5f}  \x1b[38;2;180;60;0mgrad_norm:  0.83{b}9  "
           "\x1b[38;2;54;234;195mmemory:  9.46GiB(64.99%)  \x1b[34mtps: 7,28{b}  \x1b[36mtflops: 0.52  \x1b[35mmfu: 0.17%\x1b[39m", TENS),
    Format("verl", "zhaochenyang20/Awesome-ML-SYS-Tutorial/issues/106",
           "(TaskRunner pid=87031) step:{s} - global_seqlen/min:340538.000 - actor/entropy_loss:0.31{i} - actor/kl_loss:0.02{i} - actor/kl_coef:0.001 - "
           "actor/pg_loss:{l:.3f} - actor/pg_clipfrac:0.000 - actor/grad_norm:0.00{i} - perf/mfu/actor:0.298 - actor/lr:0.000 - training/global_step:{s}.000 - "
           "training/epoch:2.000 - critic/score/mean:0.9{i}6 - response_length/mean:330.437 - timing_s/gen:29.641", TENS, "actor/pg_loss"),
    Format("MindYOLO", "mindspore-lab/mindyolo/issues/402",
           "2024-12-25 09:58:4{b},787 [INFO] Epoch {e1}/200, Step {hi}/40, imgsize (640, 640), loss: {l:.4f}, lbox: 3.62{i}2, lcls: 5.56{i}9, dfl: 2.4756, cur_lr: 0.09924906492233276\n"
           "2024-12-25 09:58:4{b},800 [INFO] Epoch {e1}/200, Step {hi}/40, step time: 57{i}6.71 ms", TENS),
    Format("PaddleNLP, pretraining", "PaddlePaddle/PaddleNLP/issues/3867",
           "[2022-11-23 09:46:2{b},799] [    INFO] - global step {s}, loss: {l:.6f}, lm_loss: 7.37{i}850, sop_loss: 0.69{i}985, speed: 2.88 steps/s, ips: 92.20 seqs/s, "
           "learning rate: 5.00000e-06, loss_scaling: 131072.00, incr_count: 0.00, decr_count: 0.00\n"
           "[2022-11-23 09:46:3{b},176] [    INFO] - valid step {s}, batch: 10, loss: {v:.6f}, lm_loss: 6.74{i}527, sop_loss: 0.70{i}782, ips: 135 seqs/s", TENS, at_first_sight=False),
    Format("BigDL", "intel/ipex-llm/issues/2494",
           "2018-04-13 07:12:1{b} INFO  DistriOptimizer$:392 - [Epoch 42 93{i}888/1281167][Iteration {s}][Wall Clock 2629{i}.6678436s] Trained 3072 records in 1.46{i}526684 seconds. "
           "Throughput is 209{i}.8926 records/second. Loss is {l}. Current learning rate is 0.07595911266872037. Current weight decay is 1.0E-4. Current momentum is 0.9.", TENS),
    Format("ESPnet2", "espnet/espnet/issues/2183",
           "[gpu01:0/2] 2020-07-19 08:49:0{b},080 (trainer:464) INFO: {e1}epoch:train:{lo}-{hi}batch: iter_time=2.878e-04, forward_time=0.134, loss={l:.3f}, loss_att=77.4{i}8, "
           "loss_ctc=232.4{i}9, acc=0.01{i}, backward_time=0.111, optim_step_time=0.030, lr_0=3.460e-06, train_time=1.816", TENS),
    Format("ESPnet as a library", "espnet/espnet/issues/3370",
           "iterations:{s}, train acc:0.44{i}, train loss:{l:.3f}, train loss ctc:1156.61{i}, train loss att:76.20{i},", TENS),
    Format("fairseq 0.5", "facebookresearch/fairseq/issues/301",
           "| epoch {e1:03d}  {hi} / 40 loss={l:.2f} (1.50), wps=962, wpb=908, bsz=32, lr=0.001, clip=100%, gnorm=2.142{i}", TENS),
    Format("fairseq 0.9", "facebookresearch/fairseq, logging/progress_bar.py",
           "2020-05-01 10:00:0{b} | INFO | train_inner | epoch 001:     {s} / 12345 loss={l:.3f}, nll_loss=8.12{i}, ppl=27{i}.3, wps=12345.6, ups=1.23, wpb=10000.1, bsz=128.0, "
           "num_updates={s}, lr=1.25e-07, gnorm=1.23{i}, clip=0.0, loss_scale=128, train_wall=81, gb_free=9.7, wall=0", TENS),
    Format("DLLogger", "NVIDIA/DeepLearningExamples/issues/1107",
           "DLL 2022-04-05 05:10:3{b}.324733 - Training Epoch: 0 Training Iteration: {s}  step_loss : {l}  learning_rate : 2.9369138959931797e-0{b1}", TENS, "step_loss"),
    Format("darkflow", "thtrieu/darkflow/issues/470", "step {s} - loss {l} - moving ave loss 103.4{i}8847706", TENS),
    Format("a bar without a total", "primepake/wav2lip_288x288/issues/33", "Loss: {l}: : {n}it [00:06,  1.59it/s]", ONES, at_first_sight=False),
    Format("litgpt", "Lightning-AI/litgpt/issues/1110",
           "Epoch 1 | iter {s}0 step {s} | loss train: {l:.3f}, val: 1.05{i} | iter time: 529.46 ms (step)", TENS),
    Format("litgpt, before any validation", "Lightning-AI/litgpt/issues/1607",
           "Epoch 1 | iter {s}0 step {s} | loss train: {l:.3f}, val: n/a | iter time: 112.20 ms (step) remaining time: 0:01:5{b}", TENS),
    Format("lit-gpt 0.1", "Lightning-AI/litgpt/issues/1042", "iter {s}8 | step {s}: loss {l:.4f}, iter time: 263.8{b} ms (optimizer.step)", TENS),
    Format("WLASL", "dxli94/WLASL/issues/74", "Epoch 1 train Loc Loss: 0.005{i} Cls Loss: 0.007{i} Tot Loss: {l:.4f} Accu :0.001{i}", None, "Tot Loss"),
    Format("TRL PPO v2", "hongbo-miao/hongbomiao.com/pull/37684",
           "{{'eps': 1, 'objective/kl': 10.50{i}803916931152, 'objective/entropy': 99.79830932617188, 'loss/policy_avg': {l}, 'loss/value_avg': 0.1531{i}222211837769, "
           "'val/ratio': 0.968413770198822, 'lr': 2.0634920634920634e-06, 'episode': 8{s}, 'epoch': 0.{n}}}", None),
    Format("AllenAct", "allenai/procthor-rl/issues/5",
           '{{\n  "train-misc/pipeline_stage": 0,\n  "train-metrics/reward": 0.37{i}44733072,\n  "train-onpolicy-losses/total_loss": {l},\n  "training_step": {s},\n  "_runtime": 1422,\n'
           '  "_step": {i},\n  "train-misc/approx_fps": 24.527703177813365\n}}', TENS, "train-onpolicy-losses/total_loss", at_first_sight=False),
    Format("tensorpack", "sdv-dev/TGAN/issues/12",
           '{{"QueueInput/queue_size": 50.0, "GAN_loss/gen/loss": {l}, "GAN_loss/discrim/loss": 0.65{i}1644, "epoch_num": {n}, "global_step": {s}}}', TENS, "GAN_loss/gen/loss"),
    Format("nnU-Net v2", "MIC-DKFZ/nnUNet/issues/2140",
           "2024-04-26 09:39:1{b}.910043: Epoch {i}\n2024-04-26 09:39:1{b}.914042: Current learning rate: 0.0099{i}\nusing pin_memory on device 0\n2024-04-26 09:41:3{b}.493872: train_loss {l:.4f}\n"
           "2024-04-26 09:41:3{b}.498914: val_loss {v:.4f}\n2024-04-26 09:41:3{b}.501914: Pseudo dice [0.0, 0.1{i}]\n2024-04-26 09:41:3{b}.505914: Epoch time: 148.5{i} s", None, "train_loss"),
    Format("nnU-Net v1", "MIC-DKFZ/nnUNet/issues/938",
           "2022-02-11 09:32:4{b}.207069: \nepoch:  {i}\n2022-02-11 09:34:4{b}.625515: train loss : {l:.4f}\n2022-02-11 09:34:5{b}.688008: validation loss: {v:.4f}\n"
           "2022-02-11 09:34:5{b}.688808: Average global foreground Dice: [0.88{i}7]\n2022-02-11 09:35:0{b}.857095: lr: 0.00993{i}\n2022-02-11 09:35:0{b}.343246: This epoch took 137.136132 s\n", None),
    Format("rsl_rl", "mujocolab/mjlab/pull/1021",
           "################################################################################\n                          Learning iteration {s}/30000                            \n\n"
           "                            Total steps: {n}608 \n                       Steps per second: 101 \n                        Collection time: 0.183s \n"
           "                        Mean value loss: 0.4{i}99\n                    Mean surrogate loss: {l:.4f}\n                      Mean entropy loss: 41.460{i}\n"
           "                            Mean reward: -7.9{i}\n                    Mean episode length: 59.62\n"
           "--------------------------------------------------------------------------------\n                         Iteration time: 0.24s\n", TENS, "surrogate loss", at_first_sight=False),
    Format("rsl_rl 2", "nvidia-isaac/WBC-AGILE/issues/13",
           "                 Learning iteration {s}/100000                     \n\n                       Computation: 21816 steps/s (collection: 4.171s, learning 0.335s)\n"
           "             Mean action noise std: 1.40\n          Mean value_function loss: 63563{i}0.1750\n               Mean surrogate loss: {l:.4f}\n                 Mean entropy loss: 40.27{i}9\n"
           "                       Mean reward: -41232{i}.19\n   Episode_Reward/joint_torques_l2: -0.14{i}4\n", TENS, "surrogate loss", at_first_sight=False),
    Format("deeprm", "hongzimao/deeprm/issues/10",
           "-----------------\nIteration: \t {s}\nNumTrajs: \t 200\nNumTimesteps: \t 3254{i}\nLoss:     \t {l}\nMaxRew: \t -199.90956376956376\nMeanRew: \t -257.4375567{i} +- 63.18571158682983\n"
           "MeanEntropy \t 2.39788{i}\nElapsed time\t 106.06723022460938 seconds", TENS),
    Format("pytracking", "byminji/SLTtrack/issues/5",
           "[train: {e1}, {b1} / 4] FPS: 21.6 (18.0)  ,  Loss/total: {l:.5f}  ,  Loss/sl_clf: -0.0092{i}  ,  bbox_iou: 0.8709{i}  ,  grad_norm: 49.0614{i}  ,  reward: -0.0025{i}", ONES, "Loss/total"),
    Format("BMSG-GAN", "akanimax/BMSG-GAN/issues/2", "Elapsed [8:37:0{b}.056768] batch: {s}  d_loss: 0.26100{i}  g_loss: {l:.6f}", TENS, "g_loss"),
    Format("DCGAN", "carpedm20/DCGAN-tensorflow/issues/276",
           "Epoch: [ {e}/200] [   {b}/   4] time: 101.338{i}, d_loss: 66.68623{i}52, g_loss: {l:.8f}", ZEROS, "g_loss"),
    Format("PyTorch-GAN", "eriklindernoren/PyTorch-GAN, gan.py", "[Epoch {e}/200] [Batch {b}/4] [D loss: 0.69{i}123] [G loss: {l:.6f}]", ZEROS, "G loss"),
    Format("RVC", "RVC-Project/Retrieval-based-Voice-Conversion/issues/11",
           "INFO:xx:Train Epoch: {n} [92%]\nINFO:xx:[110{s}, 9.421142503636453e-05]\nINFO:xx:loss_disc=3.59{i}, loss_gen=3.17{i}, loss_fm=8.76{i},loss_mel={l:.3f}, loss_kl=1.52{i}", None, "loss_mel"),
    Format("Coqui TTS", "coqui-ai/TTS/issues/3637",
           " --> TIME: 2024-03-18 13:31:3{b} -- STEP: {b1}/496 -- GLOBAL_STEP: {s}\n     | > loss: {l}  (3.534811576207479)\n     | > log_mle: 0.63{i}981538772583  (0.6383022785186767)\n"
           "     | > amp_scaler: 16384.0  (16384.0)\n     | > grad_norm: tensor(10.72{i}1, device='cuda:0')  (9.1)\n     | > step_time: 0.5596  (0.6217)", TENS),
    Format("rnnt", "noahchalifour/rnnt-speech-recognition/issues/26", "Epoch: 0, Batch: {n}, Global Step: {s}, Step Time: 1.616{i}, Loss: {l:.4f}", TENS),
    Format("StyleTTS2", "yl4579/StyleTTS2/issues/167",
           "Epoch [{e1}/75], Step [{hi}/40], Loss: {l:.5f}, Disc Loss: 3.8629{i}, Dur Loss: 0.4402{i}, CE Loss: 0.0199{i}, Norm Loss: 0.7865{i}, Mono Loss: 0.0426{i}\nTime elasped: 196.2844{i}", TENS),
    Format("mmdet3d", "ZYang2077/DAOcc/issues/25",
           "2025-08-12 11:57:3{b},215 - mmdet3d - INFO - Epoch [{e1}][{b1}/4]\tlr: 8.080e-05, eta: 4 days, 9:46:02, time: 1.966, data_time: 0.093, memory: 13102, "
           "loss/object/heatmap/task0: 0.32{i}7, loss/object/bbox/task0: 0.008{i}, loss: {l:.4f}, grad_norm: 448.588{i}", ONES),
    Format("mmengine", "open-mmlab/mmengine, hooks/logger_hook.py",
           "07/05 12:00:0{b} - mmengine - INFO - Epoch(train)  [{e1}][{b1}/4]  lr: 1.0000e-03  eta: 1:00:0{b}  time: 0.5123  data_time: 0.0101  memory: 5000  grad_norm: 1.2{i}  loss: {l:.4f}", ONES),
    Format("xtuner", "InternLM/xtuner, mmengine's hooks",
           "02/20 10:10:1{b} - mmengine - INFO - Iter(train) [  {s}/4000]  lr: 2.0001e-05  eta: 8:00:0{b}  time: 7.3012  data_time: 0.0123  memory: 20000  loss: {l:.4f}  tflops: 123.4  grad_norm: 1.2{i}3", TENS),
    Format("MindFormers", "mindspore-lab/mindformers, core/callback/callback.py",
           "2024-01-01 10:00:0{b},123 - mindformers[mindformers/core/callback/callback.py:316] - INFO - {{ Epoch:[  {e1}/  2], step:[   {hi}/   40], loss: {l:6.3f}, per_step_time: 123{i}ms, "
           "lr: 1e-05, overflow cond: False, loss_scale: 65536.0, global_norm: [1.23{i}], train_throughput_per_npu: 123.456T\n"
           "2024-01-01 10:00:0{b},124 - mindformers[mindformers/core/callback/callback.py:323] - INFO -    {b1}.0% |█                                                 | 1.23456 samples/s/p  1:23:45 }}", TENS),
    Format("MindSpore", "mindspore-ai/mindspore, LossMonitor", "epoch: {e1} step: {b1}, loss is {l}", ONES),
    Format("Keras 3, a line an epoch", "keras-team/keras, utils/progbar.py",
           "Epoch {n}/8\n\x1b[1m469/469\x1b[0m \x1b[32m━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m2s\x1b[0m 3ms/step - accuracy: 0.6{i}39 - loss: {l:.4f} - val_accuracy: 0.7{i}39 - val_loss: {v:.4f}", None),
    Format("Keras 2, a line an epoch", "keras-team/keras, generic_utils.py",
           "Epoch {n}/8\n469/469 [==============================] - 3s 6ms/step - loss: {l:.4f} - accuracy: 0.87{i}1 - val_loss: {v:.4f} - val_accuracy: 0.9{i}12", None),
    Format("Keras, verbose=2", "keras-team/keras, callbacks.py", "Epoch {n}/8\n - 3s - loss: {l:.4f} - acc: 0.9{i}12 - val_loss: {v:.4f} - val_acc: 0.8{i}12", None),
    Format("ColossalAI bar", "hpcaitech/ColossalAI, applications", "\rEpoch: [0/3]:  10%|█         | {s}/80 [00:1{b}<01:00,  1.23s/it, loss={l:.4f}]", TENS),
    Format("open-instruct", "allenai/open-instruct, finetune.py", "11/20/2024 10:00:0{b} - INFO - __main__ -   Step: {s}, LR: 1e-06, Loss: {l}, TPS: 123.4{i}", TENS),
    Format("OpenRLHF bar", "OpenRLHF/OpenRLHF, sft_trainer.py",
           "\rTrain step of epoch 0:  10%|█         | {s}/80 [00:1{b}<01:00,  1.23it/s, gpt_loss={l:.4f}, loss_mean=2.{i}5, lr=1.2e-6]", TENS),
    Format("kohya", "kohya-ss/sd-scripts/issues/2137",
           "\rsteps:   1%|▋                                                        | {s}/3280 [00:5{b}<1:06:54,  1.24s/it, avr_loss={l:.3g}]", TENS, "avr_loss"),
    Format("diffusers", "huggingface/diffusers, train_text_to_image.py",
           "\rSteps:   1%|          | {s}/15000 [00:1{b}<1:00:00,  2.10it/s, lr=1e-5, step_loss={l:.4f}]", TENS, "step_loss"),
    Format("Lightning 2 bar", "Lightning-AI/pytorch-lightning, tqdm_progress.py",
           "\rEpoch {e}: 100%|██████████| {b1}/4 [00:0{b}<00:00,  9.90it/s, v_num=0, train_loss_step={l:.3f}, train_loss_epoch=2.{i}50]", ONES),
    Format("Lightning 1 bar", "wogur110/PNI_anomaly_detection/issues/7", "\rEpoch {e}: 100%|██████████| {b1}/4 [00:2{b}<00:00, 14.77it/s, loss={l:.3g}, v_num=0]", ONES),
    Format("Lightning, rich bar", "Lightning-AI/pytorch-lightning, rich_progress.py",
           "\rEpoch {e}/1  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ {b1}/4 0:00:0{b} • 0:00:01 9.90it/s v_num: 0.000 train_loss: {l:.3f}", ONES, "train_loss"),
    Format("NeMo 2", "NVIDIA/NeMo, megatron_progress_printer.py",
           "Training epoch 0, iteration {s}/99 | lr: 1.5e-05 | global_batch_size: 8 | global_step: {s} | reduced_train_loss: {l:.4g} | train_step_timing in s: 1.23{i} | consumed_samples: {s}0", TENS),
    Format("Megatron-LM, dated", "NVIDIA/Megatron-LM, training.py",
           " [2025-01-01 10:00:0{b}.123456] iteration {s:8d}/    1000 | consumed samples:          {s}0 | elapsed time per iteration (ms): 123{i}.4 | throughput per GPU (TFLOP/s/GPU): 456.7 | learning rate: 1.000000E-05 | "
           "global batch size:     8 | lm loss: {l:.6E} | loss scale: 1.0 | grad norm: 1.23{i} | number of skipped iterations:   0 | number of nan iterations:   0 |", TENS),
    Format("TF object detection", "tensorflow/models, model_lib_v2.py", "I0401 10:00:0{b}.123456 140123456789 model_lib_v2.py:705] Step {s} per-step time 0.51{i}s loss={l:.3f}", TENS, at_first_sight=False),
    Format("TF model garden", "tensorflow/models, orbit/controller.py",
           "train | step:   {s:4d} | steps/sec:    5.1 | output: \n    {{'learning_rate': 0.0012{i},\n     'training_loss': {l}}}", TENS),
    Format("ImageNet example", "pytorch/examples, imagenet/main.py",
           "Epoch: [{e}][{b}/4]\tTime  0.51{i} ( 0.612)\tData  0.012 ( 0.112)\tLoss {l:.4e} (6.9071e+00)\tAcc@1   0.{i}0 (  0.10)\tAcc@5   0.9{i} (  0.50)", ZEROS),
    Format("timm", "huggingface/pytorch-image-models, train.py",
           "Train: {e} [   {b}/4 ({b}0%)]  Loss: {l:#.4g} (6.99)  Time: 1.21{i}s,  200.12/s  (1.212s,  200.12/s)  LR: 1.000e-05  Data: 0.512 (0.512)", ZEROS, at_first_sight=False),
    Format("DETR", "facebookresearch/detr, util/misc.py",
           "Epoch: [{e}]  [{b}/4]  eta: 0:01:0{b}  lr: 0.000001  class_error: 9{i}.00  loss: {l:.4f} (6.9907)  loss_ce: 0.51{i}2 (0.6123)  time: 0.5123  data: 0.1123  max mem: 1234", ZEROS),
    Format("Swin", "microsoft/Swin-Transformer, main.py",
           "[2022-01-01 10:00:0{b} swin_tiny] (main.py 200): INFO Train: [{e}/300][{b}/4]\teta 0:01:0{b} lr 0.000001\t wd 0.0500\ttime 0.5123 (0.5123)\tloss {l:.4f} (6.9123)\t"
           "grad_norm 1.23{i}4 (1.3123)\tloss_scale 65536.0000 (65536.0000)\tmem 1234MB", ZEROS, at_first_sight=False),
    Format("wenet", "wenet-e2e/wenet, executor.py",
           "2023-01-01 10:00:0{b},123 DEBUG TRAIN Batch 0/{s} loss {l:.6f} loss_att 12.34{i}000 loss_ctc 45.67{i}000 lr 0.00012300 rank 0", TENS, at_first_sight=False),
    Format("FunASR", "modelscope/FunASR, train_utils/trainer_ds.py",
           "[2024-01-01 10:00:0{b},123][root][INFO] - train, rank: 0, epoch: 0/50, data_slice: 0/1, step_in_slice: {s}/1000, step_in_epoch: {s}, total step: {s}, (loss_avg_rank: {l:.3f}), "
           "(loss_avg_slice: 2.31{i}), (ppl_avg_slice: 1.0{i}e+01), (acc_avg_slice: 0.12{i}), (lr: 1.000e-06), [('loss', 2.3{i}), ('acc', 0.1{i})], {{'data_load': '0.12{i}'}}, GPU, memory: usage: 1.234 GB", TENS, "loss_avg_rank"),
    Format("spaCy", "explosion/spaCy, training/loggers.py",
           "{i:3d}    {s:4d}          0.{i}1    {l:9.2f}   12.3{i}   45.6{i}   78.9{i}    0.1{i}", TENS, "LOSS NER",
           head="E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  ENTS_P  ENTS_R  SCORE \n---  ------  ------------  --------  ------  ------  ------  ------\n", at_first_sight=False),
    Format("MXNet", "apache/mxnet, callback.py", "INFO:root:Epoch[0] Batch [{s}]\tSpeed: 1234.5{i} samples/sec\taccuracy=0.9{i}1234\tcross-entropy={l:.6f}", TENS, "cross-entropy"),
    Format("GluonCV", "dmlc/gluon-cv, train_ssd.py", "[Epoch 0][Batch {s}], Speed: 12.34{i} samples/sec, CrossEntropy={l:.3f}, SmoothL1=2.31{i}", TENS, "CrossEntropy"),
    Format("PyTorch CIFAR tutorial", "pytorch/tutorials, cifar10_tutorial.py", "[{e1}, {hi:5d}] loss: {l:.3f}", TENS, at_first_sight=False),
    Format("PyTorch quickstart", "pytorch/tutorials, quickstart_tutorial.py", "loss: {l:>7f}  [{s:>5d}/80000]", TENS),
    Format("PyTorch language model", "pytorch/examples, word_language_model/main.py",
           "| epoch   {e1} | {hi:5d}/   40 batches | lr 20.00 | ms/batch 12.3{i} | loss {l:5.2f} | ppl    98.1{i}", TENS),
    Format("skorch", "skorch-dev/skorch, callbacks/logging.py", "      {n}        \x1b[36m{l:.4f}\x1b[0m       0.{s}00        {v:.4f}  0.12{i}4", None, "train_loss",
           head="  epoch    train_loss    valid_acc    valid_loss     dur\n-------  ------------  -----------  ------------  ------\n"),
    Format("Ray Tune", "ray-project/ray, tune/progress_reporter.py",
           "Result for train_d48b7_00000:\n  date: 2021-04-06_10-00-0{b}\n  done: false\n  iterations_since_restore: {n}\n  loss: {l}\n  pid: 1234\n  time_this_iter_s: 1.23{i}\n  timestamp: 161770320{i}\n"
           "  training_iteration: {n}\n  trial_id: d48b7_00000\n  ", ONES, at_first_sight=False),
    Format("pprint of a dictionary", "python: pprint.pprint(metrics)",
           "{{'epoch': 0.{n},\n 'grad_norm': 1.2{i},\n 'learning_rate': 1.2e-05,\n 'loss': {l},\n 'step': {s}}}", TENS),
    Format("JSON behind a prefix", "python: logger.info(json.dumps(metrics))", '2024-01-01 10:00:0{b},123 INFO {{"step": {s}, "loss": {l}, "lr": 0.00012{i}}}', TENS),
    Format("logfmt", "go-logfmt, the format", 'ts=2024-01-01T10:00:0{b}Z level=info msg="train step" step={s} loss={l} grad_norm=1.2{i} lr=0.0003', TENS),
    Format("structlog", "hynek/structlog, dev.py",
           "2024-01-01 10:00:0{b} [\x1b[32m\x1b[1minfo     \x1b[0m] \x1b[1mtraining_step                 \x1b[0m \x1b[36mgrad_norm\x1b[0m=\x1b[35m1.2{i}\x1b[0m \x1b[36mloss\x1b[0m=\x1b[35m{l}\x1b[0m \x1b[36mstep\x1b[0m=\x1b[35m{s}\x1b[0m", TENS),
    Format("loguru", "Delgan/loguru, the default format", "2024-01-01 10:00:0{b}.123 | INFO     | trainer:train:123 - step={s} loss={l}", TENS),
    Format("clu", "google/CommonLoopUtils, logging_writer.py", "I0101 10:00:0{b}.123456 140123 logging_writer.py:48] [{s}] accuracy=0.5{i}, loss={l}", TENS),
    Format("docker compose", "docker/compose, formatter", "trainer-1  | step {s} loss {l}", TENS),
    Format("stern", "stern/stern, the default template", "trainer-0 pytorch 2024-01-01T10:00:0{b}.123456789Z step {s} loss {l}", TENS),
    Format("journald", "systemd, journalctl -o short", "Jan 01 10:00:0{b} node1 python[1234]: step {s} loss {l}", TENS),
    Format("mpirun --tag-output", "open-mpi/ompi, the option", "[1,0]<stdout>:step {s} loss {l}", TENS),
    Format("mpirun of SageMaker", "aws/sagemaker-training-toolkit, mpi.py", "[1,mpirank:0,algo-1]<stdout>:step {s} loss {l}", TENS),
    Format("Ray's prefix", "ray-project/ray, worker.py", "\x1b[36m(RayTrainWorker pid=1234, ip=10.0.0.1)\x1b[0m step {s} loss {l}", TENS),
    Format("srun -l", "SchedMD/slurm, srun --label", "0: step {s} loss {l}", TENS),
    Format("GitHub Actions", "actions/runner, timestamps", "2024-01-01T10:00:0{b}.1234567Z step {s} loss {l}", TENS),
    Format("padded columns", "python: print(f'{{k:<10}}{{v:>12}}')", "step   {s:10d} | loss   {l:12.4f} | gnorm {v:12.4f} | lr    1.00e-04", TENS),
    Format("decimal commas", "a German locale", "Epoche 1, step {s}: loss {c}, lr 0,0001", TENS, at_first_sight=False),
    Format("thousands in steps", "python: f'{{step:,}}'", "step {t:,}/1,000,000 | loss {l:.3f} | acc 45.3{i}% | 12,34{i} tok/s", THOUSANDS),
    Format("a tensor printed whole", "python: print(step, loss)", "iter {s}: loss = tensor({l:.4f}, device='cuda:0', grad_fn=<NllLossBackward0>)", TENS),
    Format("LION", "nv-tlabs/LION, trainers", "2023-01-01 10:00:0{b}.123 | INFO     | trainers.base_trainer:train_epochs:219 - [R0] | E0 iter[{b}/4] | [Loss] {l:.2f} | [exp] ../exp/0101 | [step] {s} | [url] none", TENS, at_first_sight=False),
    Format("Flux, Julia", "FluxML/model-zoo", "[ Info: Epoch {n}, loss = {l}", None),
    Format("luz, R", "mlverse/luz, callbacks-print.R", "Epoch {n}/8\nTrain metrics: Loss: {l} - Acc: 0.9{i}\nValid metrics: Loss: {v} - Acc: 0.8{i}", None),
    Format("candle", "huggingface/candle, mnist-training", "{n:4} train loss: {l:8.5f} test acc: 27.9{i}%", ONES),
    Format("tinygrad bar", "tinygrad/tinygrad, beautiful_mnist.py", "\rloss: {l:6.2f} test_accuracy: 95.9{i}%:  14%|█▍        | {s}/80 [00:0{b}<00:01, 12.3it/s]", TENS),
    Format("tinygrad, values before names", "tinygrad/tinygrad, train_gpt2", "{s:5d} 123.4{i} ms run, 1.23 ms python, 0.12 ms fetch data, 122.10 ms CUDA, {l:7.4f} loss, 0.0003 LR, 12.34 GB used, 12345.67 GFLOPS", TENS),
    Format("minGPT", "karpathy/minGPT, chargpt.py", "iter_dt 12.3{i}ms; iter {s}: train loss {l:.5f}", TENS),
    Format("nanochat", "karpathy/nanochat/pull/242",
           "step {s:05d}/21400 (0.0{n}%) | loss: {l:.6f} | grad_norm: 1.23{i}4 | lrm: 1.00 | dt: 123.4{i}ms | tok/sec: 1,234,56{i} | mfu: 45.6{i} | total time: 1.23m", TENS),
    Format("modded-nanogpt", "KellerJordan/modded-nanogpt, train_gpt.py", "step:{s}/1750 train_loss:{l:.4f} train_time:123{i}ms step_avg:123.4{i}ms", TENS, "train_loss"),
    Format("Flax examples", "huggingface/transformers, run_clm_flax.py", "Step... ({s} | Loss: {l}, Learning Rate: 0.0004{i}23456)", TENS),
    Format("DeepSpeed-Chat PPO", "microsoft/DeepSpeedExamples, step3",
           "Epoch: 0 | Step: {s} | PPO Epoch: 1 | Actor Loss: {l} | Critic Loss: 0.51{i} | Unsupervised Loss: 0.0\nEnd-to-End => Latency: 1.23s, TFLOPs: 12.34\nAverage reward score: 0.51{i}\n"
           "-------------------------------------------------------------------------------------", TENS, "Actor Loss"),
    Format("DeepSpeed-Chat SFT", "microsoft/DeepSpeedExamples, step1", "Epoch: 0, Step: {s}, Rank: 0, loss = {l}", TENS),
    Format("gpt-2-simple", "minimaxir/gpt-2-simple, gpt_2.py", "[{s} | 12.3{i}] loss={l:.2f} avg=4.2{i}", TENS),
    Format("YOLOX", "Megvii-BaseDetection/YOLOX, trainer.py",
           "2021-01-01 10:00:0{b} | INFO     | yolox.core.trainer:270 - epoch: {e1}/300, iter: {hi}/40, mem: 1234Mb, iter_time: 0.512s, data_time: 0.012s, total_loss: {l:.4f}, iou_loss: 2.{i}, l1_loss: 0.0, "
           "conf_loss: 3.{i}, cls_loss: 1.{i}, lr: 1.000e-03, size: 640, ETA: 1:00:0{b}", TENS),
    Format("YOLOv8", "ultralytics/ultralytics, trainer.py",
           "\n      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n        {n}/8      3.2G      {l:.4g}     0.{s}23      1.1{i}3         12        640: 100%|██████████| 10/10 [00:01<00:00,  9.9it/s]\n"
           "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██████████| 2/2 [00:00<00:00,  5.1it/s]\n                   all        128        929      0.64      0.537      0.60{i}      0.446", None, "box_loss", at_first_sight=False),
    Format("PaddleDetection", "PaddlePaddle/PaddleDetection, callbacks.py",
           "[01/01 10:00:0{b}] ppdet.engine INFO: Epoch: [{e}] [{b}/4] learning_rate: 0.000012 loss_xy: 0.51{i}234 loss: {l:.6f} eta: 1:00:0{b} batch_cost: 0.5123 data_cost: 0.0001 ips: 12.3456 images/s", ZEROS),
    Format("paxml", "google/paxml, programs.py", "I0101 10:00:0{b}.123456 1234 programs.py:470] [PAX STATUS]: step_i: {s}, training loss: {l}", TENS, at_first_sight=False),
    Format("trlx bar", "CarperAI/trlx, accelerate_base_trainer.py", "\r[losses/total_loss: {l:.4f} | losses/policy_loss: -0.01{i} | losses/value_loss: 0.12{i}]:  10%|█         | {s}/80 [00:1{b}<01:00,  1.23s/it]", TENS, "losses/total_loss"),
    Format("CleanRL", "vwxyzjn/cleanrl, ppo.py", "global_step={s}, episodic_return=[{l}]", TENS, "episodic_return"),
    Format("Tianshou bar", "thu-ml/tianshou, trainer/base.py", "\rEpoch #1:  10%|#         | {s}/80 [00:1{b}<01:00, 123.45it/s, env_step={s}, len=9, loss={l:.3f}, n/ep=1, n/st=10, rew=9.{i}0]", TENS, at_first_sight=False),
    Format("TF translation tutorial", "tensorflow/text, nmt_with_attention", "Epoch {e1} Batch {hi} Loss {l:.4f} Accuracy 0.1{i}", TENS),
    Format("The Annotated Transformer", "harvardnlp/annotated-transformer",
           "Epoch Step: {s:6d} | Accumulation Step: {b1:3d} | Loss: {l:6.2f} | Tokens / Sec: 3347.{i} | Learning Rate: 5.4e-07", TENS, at_first_sight=False),
    Format("D2L", "d2l-ai/d2l-en", "epoch {n}, loss {l:f}", None),
    Format("Spinning Up", "openai/spinningup, logx.py",
           "---------------------------------------\n|             Epoch |               {i} |\n|      AverageEpRet |            12.{i} |\n|            LossPi |          {l} |\n|             LossV |            45.{i} |\n"
           "---------------------------------------", None, "LossPi"),
    Format("DI-engine", "opendilab/DI-engine, learner_hook.py",
           "[01-01 10:00:0{b}] INFO     === Training Iteration {s} Result ===\n[01-01 10:00:0{b}] INFO     \n+-------+------------+----------------+\n| Name  | cur_lr_avg | total_loss_avg |\n+-------+------------+----------------+\n"
           "| Value | 0.001000   | {l:.6f}       |\n+-------+------------+----------------+\n", TENS, "total_loss_avg", at_first_sight=False),
    Format("ModelScope", "modelscope/modelscope, text_logger_hook.py",
           "2023-01-01 10:00:0{b},123 - modelscope - INFO - epoch [{e1}][{hi}/40]\tlr: 1.000e-05, eta: 0:01:00, iter_time: 0.512, data_load_time: 0.012, memory: 1234, loss: {l:.4f}", TENS),
    Format("UER", "dbiir/UER-py, trainer.py", "|  {s:8d}/   1000 steps|   1234.5{i} tokens/s| loss {l:7.2f}| acc: 0.12{i}", TENS),
    Format("CPM-Bee", "OpenBMB/CPM-Bee, pretrain", "[INFO][2023-05-01 10:00:0{b}][node1][pretrain_cpm_bee.py:123:1234] - | Iter: {s:6d} | loss: {l:.4f} average_loss: 2.31{i} | lr: 1.0000e-05 scale: 1024.0000 | time: 1.2345 |", TENS),
    Format("InternLM", "InternLM/InternLM, doc/usage.md",
           "2023-07-07 12:26:5{b},293\tINFO train.py:323 in record_current_batch_training_metrics -- tflops=63.28{i}, step={s}, loss={l}, tgs (tokens/gpu/second)=3095.3{i}, lr=4.0e-07, loss_scale=65536.0, grad_norm=63.6{i}, "
           "micro_num=4, num_consumed_tokens=131072, inf_nan_skip_batches=0, largest_length=2048, acc=0.0, perplexity=104321.0312", TENS),
    Format("SwissArmyTransformer", "THUDM/SwissArmyTransformer, training_main.py",
           "[2023-05-01 10:00:0{b},123] [INFO] [RANK 0]  iteration       {s}/    1000 | elapsed time per iteration (ms): 123{i}.4 | learning rate 1.000E-05 | total loss {l:.6E} | speed 12.34 samples/(min*GPU)", TENS, at_first_sight=False),
    Format("text-generation-webui", "oobabooga/text-generation-webui, training.py", "\x1b[1;30;40mStep: {s} \x1b[0;37;0m{{'loss': {l}, 'learning_rate': 1.2e-05, 'epoch': 0.{n}}}", TENS),
    Format("symbols for words", "a common notebook style", "🚀 Epoch {n}/8 | 📉 Train Loss: {l:.4f} | ✅ Val Loss: {v:.4f} | ⏱ 12.3{i}s", None, at_first_sight=False),
    Format("rich table", "Textualize/rich, table.py", "│ {s:<4} │ {l:<6} │ 1.00e-04 │", TENS, head="┏━━━━━━┳━━━━━━━━┳━━━━━━━━━━┓\n┃ Step ┃ Loss   ┃ LR       ┃\n┡━━━━━━╇━━━━━━━━╇━━━━━━━━━━┩\n", at_first_sight=False),
    Format("Chinese, iterations", "python: print(f'迭代 ...')", "迭代 {s}/1000，损失={l:.4f}，学习率=0.001", TENS, at_first_sight=False),
    Format("MLPerf logging", "mlcommons/logging",
           ':::MLLOG {{"namespace": "", "time_ms": 161770320{i}123, "event_type": "POINT_IN_TIME", "key": "train_loss", "value": {l}, "metadata": {{"file": "train.py", "lineno": 12, "samples_count": {s}}}}}', None, "train_loss", at_first_sight=False),
    Format("a table of commas in a log", "python: csv.writer(sys.stdout)", "{s},{l:.4f},0.0003,1.2{i}", TENS, head="Training starts\nstep,loss,lr,grad_norm\n"),
    Format("accelerate loop", "a common loop", "epoch {e} step {b} - training loss: {l:.4f} - lr: 5.00e-05", ZEROS),
    Format("PyTorch transfer tutorial", "pytorch/tutorials, transfer_learning_tutorial.py", "Epoch {i}/7\n----------\ntrain Loss: {l:.4f} Acc: 0.5{i}12\nval Loss: {v:.4f} Acc: 0.6{i}12\n", None),
)  # fmt: skip
