# ruff: noqa: RUF001 - languages have letters and signs that look like those of others
"""A loop of one's own prints in the language of its author: loss, gradient norm and rate in sixteen of them."""

import pytest

from readers.text.log_reading import read_log

LINES = {
    "Chinese": "第 {n} 步，损失：{a}，梯度范数：{b}，学习率：{c}",
    "Chinese, no signs": "步数 {n} 损失 {a} 梯度的范数 {b} 学习率 {c}",
    "Chinese of Taiwan": "步數 {n}，損失 {a}，梯度範數 {b}，學習率 {c}",
    "Japanese": "ステップ {n}: 損失 {a}, 勾配ノルム {b}, 学習率 {c}",
    "Korean": "스텝 {n} 손실 {a} 그래디언트 노름 {b} 학습률 {c}",
    "German": "Schritt {n}: Verlust {a}, Gradientennorm {b}, Lernrate {c}",
    "French": "étape {n} : perte {a}, norme du gradient {b}, taux d'apprentissage {c}",
    "Spanish": "paso {n}: pérdida {a}, norma del gradiente {b}, tasa de aprendizaje {c}",
    "Portuguese": "passo {n}: perda {a}, norma do gradiente {b}, taxa de aprendizado {c}",
    "Italian": "passo {n}: perdita {a}, norma del gradiente {b}, tasso di apprendimento {c}",
    "Russian": "шаг {n}: потери {a}, норма градиента {b}, скорость обучения {c}",
    "Ukrainian": "крок {n}: втрати {a}, норма градієнта {b}, швидкість навчання {c}",
    "Turkish": "adım {n}: kayıp {a}, gradyan normu {b}, öğrenme oranı {c}",
    "Vietnamese": "bước {n}: mất mát {a}, chuẩn gradient {b}, tốc độ học {c}",
    "Dutch": "stap {n}: verlies {a}, gradiëntnorm {b}, leersnelheid {c}",
    "Polish": "krok {n}: strata {a}, norma gradientu {b}, współczynnik uczenia {c}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_loss_norm_and_rate_have_their_names_in_every_language(line: str) -> None:
    entries = [(10 * n, round(3 / n, 3), round(1.2 + n / 9, 2), f"{1e-4 / n:.2e}") for n in range(1, 12)]
    read = read_log("\n".join(line.format(n=n, a=a, b=b, c=c) for n, a, b, c in entries))

    assert read.points("loss") == [(n, a) for n, a, *_ in entries]
    assert read.points("grad_norm") == [(n, b) for n, _, b, _ in entries]
    assert read.points("learning_rate") == [(n, float(c)) for n, *_, c in entries]
