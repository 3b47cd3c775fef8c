"""Formats of logs that lie in public repositories, drawn by the names of files alone; the numbers in the lines are ours.

Written as the other tables were, with the truth counted by an expression of its own before the first run.
"""

# ruff: noqa: E501  (log lines stand here as they are written)

from readers.text.console_formats import TENS, Format

ZEROS, ONES = tuple(range(8)), tuple(range(1, 9))

FILED = (
    Format("Jittor, a line an epoch", "111223-oss/EViT-Jittor-Reproduction, logs/train_log.txt", "Epoch {n:03d}, Loss: {l:.4f}, Test Acc: 44.{s}%", None),
    Format("the best are marked", "2025-ITEC0401/TS-CVA, output.log", "[NEW BEST] Epoch #{i}: train_loss={l:.6f}, val_loss={v:.6f}, time=0.92s, remaining={v:.2f}min", None, "train_loss"),
    Format("a dash and a bar", "Akik-Forazi/IGRIS-coX_S_T, training_log.txt", "2025-04-16 18:01:0{b}.386867 - [Epoch {e1}] Batch {b1}/4 | Loss: {l:.4f}", ONES),
    Format("ModelCheckpoint before 1.0", "JINHXu/tutorial-speaker-identification-with-nemo, lightning_logs.txt", "Epoch {i}: val_loss reached {l:.5f} (best 2.25000), saving model to /data/exp/checkpoints/SpeakerNet---val_loss={l:.2f}-epoch={i}.ckpt as top 3", None, "eval_loss", at_first_sight=False),
    Format("ResNet of a book", "PiakoCode/Handwritten-Digit-Recognition, train.out", "Epoch: 00{e1}/002 | Batch 000{b}/0004 | Loss: {l:.4f}", ZEROS),
    Format("equals and bars below the epoch", "Woody5962/Ranked-List-Truncation, logs/mta.log", "Epoch: {i} | Epoch Time: 14.21 s\nINFO:root:\tTrain: loss = {l} | f1 = 0.7{i} | dcg = 7.78{i}\nINFO:root:\tTest: loss = {v} | f1 = 0.6{i} | dcg = 7.1{i}", None),
    Format("C++ without a framework", "aakashk99/parallelnn, train.out", "Img No. {s}\nTraining Accuracy: {l:.6f}", None, "Training Accuracy"),
    Format("folds", "aarnol/BolT, losses.txt", "Epoch: {e} Fold: 0 Loss: {l}", None),
    Format("lists of losses", "candy0543/GANs, loss_log.txt", "(epoch: {e1}, iters: {b1}, time: 0.291) D: {l:.3f}, 0.105, 0.111, 0.130 | G: 0.146, 0.150, 0.159, 0.144 | Cyc: 0.092, 0.037, 0.054, 0.042 | ", ONES, "D"),
    Format("the number before its name", "davijoocho/convolutional-neural-network, train.out", "Epoch {i} @ 06:3{b} AM : {l:.4f} C.E. Loss, 98.4{i}% Accuracy", None, "C.E. Loss", at_first_sight=False),
    Format("style transformer", "daxborde/style-transformer, loss_log.txt", "[iter {s}] d_adv_loss: {l:.4f}  f_slf_loss: 6.2{i}  f_cyc_loss: 23.9{i}  f_adv_loss: 1.3{i}  temp: 1.0000  drop: 0.0000", TENS, "d_adv_loss"),
    Format("Theano, layer by layer", "diegoroman17/SCAE_methodology, slurm.out", "Pre-training layer 0, epoch {i}, cost  {l:.6f}", None, "cost"),
    Format("a picker of phases", "guoguo-seismic/SeisPipe-DBMA, loss_log.txt", "Epoch {n}: Train Loss = {l:.4f}, Val Loss = {v:.4f}", None),
    Format("history of Keras as CSV in a log", "huestisk/AHLT, logs/DDI_2021-Jun-10-1439.log", "{i},{l},0.81{i},{v},0.85{i}", None, head='Model: "sequential"\nTotal params: 294,873\n\n\n,loss,acc,val_loss,val_acc\n', at_first_sight=False),
    Format("set_postfix in the loop", "ishikaalunawat/cs230_project, train.out", "\rTraining Epoch {e1}:  25%|██▌       | {b}/4 [00:02<01:04,  2.38s/it, Batch_Loss={l:.3f}, Batch_PSNR=7.{i}]\rTraining Epoch {e1}:  25%|██▌       | {b1}/4 [00:02<01:04,  2.38s/it, Batch_Loss={l:.3f}, Batch_PSNR=7.{i}]", ONES, "Batch_Loss", at_first_sight=False),
    Format("terms that add up", "domenicrosati/longform_edit_model_evals, slurm.out", "loss {l:.3f} = {v:.3f} + 0.2{i} + 0.03 avg prob of [ bishop] 0.0049{i}", None),
    Format("E for epoch", "2025DL-TEAM3/skeleton_hw, train_log.txt", "[E{e1}] step {b} loss {l:.4f}", ZEROS, at_first_sight=False),
    Format("a stamp on a line of its own", "Andrei-C-916/Safety-Binary-Classifier, train_log.txt", "2026-03-03 02:13:0{b},433 | \nepoch={e1} step={s} train_loss={l:.4f} val_loss={v:.4f}", TENS, "train_loss"),
    Format("Theano, updates", "BestiVictory/AMAN, log/color_lighting_log.txt", "Epoch {e} Update {s} Cost {l} PD 0.91535{i}066559 UD 1.0816{i}281181", TENS, "Cost"),
    Format("right ones of all", "CloneNOX/Bi-LSTM-CN-Language-model, train_log.txt", "epoch   {n}\nloss: {l:.6f}\ntest accuracy: 20.7{i}%, (51257{i}/246613{i})", None),
    Format("right ones of all, a bar", "kuangliu/pytorch-cifar, main.py without its bar", "Loss: {l:.3f} | Acc: 33.{i}% (423{i}/12800)", None, at_first_sight=False),
    Format("without a validation", "DaeZZang/OHG, train_log.txt", "Epoch:   {n} | T_Loss {l:.3f} | T_acc 0.11{i} | V_Loss   nan | V_acc.   nan | 🕒 7722.5{i}", None, "T_Loss"),
    Format("Caffe, several losses", "HoiM/SqueezeNet-CenterLoss-for-Caffe, output/log.txt", "I0613 17:36:5{b}.936666  1860 solver.cpp:228] Iteration {s}, loss = {l:.5f}\nI0613 17:36:5{b}.936718  1860 solver.cpp:244]     Train net output #0: accuracy = 0.{s}\nI0613 17:36:5{b}.936733  1860 solver.cpp:244]     Train net output #1: center_loss = 1.39{i} (* 0.008 = 0.0111{i} loss)\nI0613 17:36:5{b}.936739  1860 solver.cpp:244]     Train net output #2: loss = {v:.3f} (* 1 = {v:.3f} loss)\nI0613 17:36:5{b}.936761  1860 sgd_solver.cpp:106] Iteration {s}, lr = 0.0995{i}", TENS, at_first_sight=False),
    Format("OpenAI baselines, DDPG", "HzCeee/DDPG-AI-Pilot, model_coef/exp_300/data/log.txt", "---------------------------------------\n| rollout/return          | -22{i}      |\n| total/epochs            | {n}         |\n| total/steps             | {t}      |\n| train/loss_critic       | {l:.2f}      |\n---------------------------------------", tuple(1000 * step for step in TENS), "loss_critic", at_first_sight=False),
)  # fmt: skip
