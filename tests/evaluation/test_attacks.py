"""Attacks against brute force on linear models and against a plain loop; their record; signs of masked gradients."""

from __future__ import annotations

import itertools
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import robench
from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.attacks import Attacker, gradient_of, pgd
from robench.evaluation.forward import Forward
from robench.models import wrap
from robench.suites import get
from robench.suites.base import Attack

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
LINF = Attack("linf", 0.1, steps=30, restarts=3, step=0.025)


def linear(classes: int = 3, side: int = 2, seed: int = 0) -> nn.Module:
    layer = nn.Linear(3 * side * side, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed)))
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer)


def forward_of(module: Any, classes: int = 3, precision: Any = "fp32") -> Forward:
    model = wrap(module, num_classes=classes, mean=MEAN, std=STD)
    return Forward(model, EvaluationOptions(device="cpu", precision=precision))


def images(count: int, side: int = 2, seed: int = 1) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    pixels = torch.from_numpy(random.integers(60, 200, (count, 3, side, side), dtype=np.uint8))
    return pixels, random.integers(0, 3, count), np.arange(count) + 40


def test_linf_finds_the_worst_corner_of_the_ball_of_a_linear_model() -> None:
    """The loss is convex, so its maximum over a cube is in one of the 4,096 corners; two classes have one maximum."""
    forward = forward_of(linear(classes=2), classes=2)
    pixels, labels, index = images(4)
    labels = labels % 2
    found = Attacker(forward, 0).images(pixels, labels, index, LINF)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12))).view(-1, 3, 2, 2)
    for row in range(len(pixels)):
        corners = pixels[row].float() / 255 + 0.1 * signs
        target = torch.full((len(corners),), int(labels[row]))
        losses = functional.cross_entropy(forward.of_pixels(corners), target, reduction="none")
        reached = functional.cross_entropy(forward.of_pixels(found[row : row + 1]), target[:1])
        assert reached.item() == pytest.approx(losses.max().item(), rel=1e-4)


def test_l2_moves_along_the_weights_of_a_linear_model() -> None:
    module = linear(classes=2)
    forward = forward_of(module, classes=2)
    pixels, _, index = images(5)
    labels = np.zeros(5, np.int64)
    attack = Attack("l2", 0.2, steps=40, restarts=2, step=0.05)
    found = Attacker(forward, 0).images(pixels, labels, index, attack) - pixels.float() / 255
    scale = 1 / torch.tensor(STD).view(3, 1, 1)
    direction = (module[1].weight[1] - module[1].weight[0]).detach().view(3, 2, 2) * scale
    assert torch.allclose(found, 0.2 * direction / direction.norm(), atol=2e-3)
    assert float(found.flatten(1).norm(dim=1).max()) <= 0.2 + 1e-6


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_confident_answers_are_attacked_like_others(norm: Any) -> None:
    """The loss of an image rises along the same way whatever its logits are multiplied by: only its slope is 1e-20."""
    weights = torch.stack([torch.ones(12), -torch.ones(12)])
    clean, labels = torch.full((1, 3, 2, 2), 0.5), torch.tensor([0])
    attack = Attack(norm, 0.4, steps=8, step=0.1)
    found = [
        pgd(lambda x, s=scale: s * x.flatten(1) @ weights.T, clean, labels, torch.zeros_like(clean), attack)
        for scale in (1.0, 4.0, 8.0)
    ]
    assert float((found[0] - clean).norm()) > 0.3
    assert all(torch.allclose(other, found[0], atol=1e-6) for other in found[1:])


def test_it_is_the_plain_loop_of_madry_through_the_preprocessing() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    forward, (pixels, labels, _) = forward_of(module), images(6, side=4)
    target, clean = torch.from_numpy(labels), pixels.float() / 255
    start = 0.05 * (2 * torch.rand(clean.shape, generator=torch.Generator().manual_seed(3)) - 1)
    attack = Attack("linf", 0.05, steps=7, step=0.0125)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    x = clean + start
    for _ in range(7):
        x = x.detach().requires_grad_(True)
        functional.cross_entropy(module((x - mean) / std), target).backward()
        x = x + 0.0125 * x.grad.sign()
        x = torch.max(torch.min(x, clean + 0.05), clean - 0.05).clamp(0, 1)
    found = pgd(forward.of_pixels, clean, target, start, attack)
    assert torch.allclose(found, x.detach(), atol=1e-5)
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_the_worst_restart_counts_and_an_error_before_a_loss() -> None:
    pixels, labels, index = images(40)
    forward = forward_of(linear())
    short = replace(LINF, steps=1, restarts=1)
    target = torch.from_numpy(labels)
    one, three = (Attacker(forward, 5)(pixels, labels, index, replace(short, restarts=restarts)) for restarts in (1, 3))
    wrong = [logits.argmax(1) != target for logits in (one, three)]
    loss = [functional.cross_entropy(logits, target, reduction="none") for logits in (one, three)]
    assert bool((wrong[1] >= wrong[0]).all())
    assert bool((loss[1] >= loss[0] - 1e-6)[wrong[0] == wrong[1]].all())
    assert bool((loss[1] > loss[0] + 1e-3).any())


def test_an_image_is_attacked_alike_in_any_batch() -> None:
    pixels, labels, index = images(8)
    attacker = Attacker(forward_of(linear()), 2)
    together = attacker.images(pixels, labels, index, LINF)
    alone = attacker.images(pixels[5:6], labels[5:6], index[5:6], LINF)
    assert torch.allclose(together[5:6], alone, atol=1e-6)
    other_seed = Attacker(attacker.forward, 3).images(pixels, labels, index, replace(LINF, steps=0))
    assert not torch.allclose(other_seed, attacker.images(pixels, labels, index, replace(LINF, steps=0)))


def test_a_model_outside_pytorch_is_refused() -> None:
    forward = forward_of(lambda x: torch.from_numpy(x.numpy().reshape(len(x), -1)[:, :3].copy()))
    pixels, labels, index = images(2)
    with pytest.raises(RobenchError, match=r"fails on float32 images|no gradient"):
        Attacker(forward, 0).images(pixels, labels, index, LINF)
    detached = forward_of(lambda x: x.detach().flatten(1)[:, :3])
    with pytest.raises(RobenchError, match="no gradient with respect to the image"):
        Attacker(detached, 0).images(pixels, labels, index, LINF)


def test_gradients_have_the_images_shape() -> None:
    pixels, labels, _ = images(3)
    gradient = gradient_of(forward_of(linear()).of_pixels, pixels.float() / 255, torch.from_numpy(labels))
    assert gradient.shape == pixels.shape
    assert float(gradient.abs().min()) > 0


class Digits(nn.Module):
    """A linear classifier of digits, trained in closed form; with ``hidden`` its pixels are rounded first."""

    def __init__(self, *, hidden: bool = False) -> None:
        super().__init__()
        from robench.data import digits

        data = digits.load("train")
        pixels = torch.from_numpy(data.read(np.arange(len(data)))).float().permute(0, 3, 1, 2).flatten(1) / 255 - 0.5
        wanted = functional.one_hot(torch.from_numpy(np.asarray(data.labels)), 10).float() - 0.1
        gram = pixels.T @ pixels + 100.0 * torch.eye(pixels.shape[1])
        self.layer = nn.Linear(pixels.shape[1], 10)
        with torch.no_grad():
            self.layer.weight.copy_(10 * torch.linalg.solve(gram, pixels.T @ wanted).T)
            self.layer.bias.zero_()
        self.hidden = hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.hidden:
            x = (x * 8).round() / 8 + 0.0 * x
        logits: torch.Tensor = self.layer(x.flatten(1) - 0.5)
        return logits


def test_the_suite_measures_error_loss_and_calibration_at_every_radius(tmp_path: Path) -> None:
    model = wrap(Digits(), name="plain")
    kept = {"limit": 30, "device": "cpu", "resamples": 20, "quiet": True, "seed": 4}
    result = robench.evaluate(model, "digits-pgd", out=tmp_path / "plain", **kept)
    assert result is not None
    assert [cell.name for cell in result.cells] == ["clean", "linf_0.02", "linf_0.03", "linf_0.04"]
    errors = [cell.metrics["error"].value or 0.0 for cell in result.cells]
    assert errors == sorted(errors)
    assert errors[-1] > errors[0]
    assert result.summary["attacked_error"].value == pytest.approx(np.mean(errors[1:]))
    assert {"ece", "nll", "brier"} <= set(result.cells[-1].metrics)
    attack = result.suite.protocol["attacks"]["linf_0.04"]
    assert attack == {"method": "pgd", "norm": "linf", "epsilon": 0.04, "steps": 50, "restarts": 3, "step": 0.01}
    assert result.suite.protocol["seed"] == 4
    assert result.suite.protocol["branch"] == "only"
    assert any(note.startswith("No sign of masked gradients") and "Black-box" in note for note in result.notes)
    again = robench.evaluate(model, "digits-pgd", out=tmp_path / "other", batch_size=7, **kept)
    assert again is not None
    assert [cell.metrics["error"].value for cell in again.cells] == errors


def test_networks_with_one_and_with_two_normalisations_are_compared(tmp_path: Path) -> None:
    """Which branch is attacked is the model's affair: the images and the attack are the same."""
    from robench.models.architectures.norms import DualBatchNorm
    from robench.results.labels import unlike
    from robench.tables.boards import make_boards

    few: dict[str, Any] = {"device": "cpu", "quiet": True, "corruption": "linf_0.04,clean"}
    kept = few | {"limit": 12, "resamples": 0}
    models = {"one": wrap(Digits(), name="one"), "two": wrap(nn.Sequential(DualBatchNorm(3), Digits()), name="two")}
    found = {name: robench.evaluate(model, "digits-pgd", out=tmp_path / name, **kept) for name, model in models.items()}
    results = {tmp_path / name / "result.json": result for name, result in found.items() if result is not None}
    assert [result.suite.protocol["branch"] for result in results.values()] == ["only", "main"]
    boards = [board for board in make_boards(results) if any(row.name in models for row in board.rows)]
    assert [sorted(row.name for row in board.rows) for board in boards] == [["one", "two"]]
    assert unlike(list(results.values())) == []
    assert robench.compare(tmp_path / "one", tmp_path / "two").differences
    robench.evaluate(models["one"], "digits-pgd", out=tmp_path / "whole", **few)
    helped = robench.evaluate(models["two"], "digits-pgd", out=tmp_path / "h", with_run=tmp_path / "whole", **kept)
    assert "the full run of one" in helped.suite.sampled.control  # type: ignore[union-attr,operator]
    gate = robench.gate(models["two"], "digits-pgd", max_loss=1.0, baseline=tmp_path / "whole", out=tmp_path, **few)
    assert gate.paired


def test_a_folded_network_keeps_the_branch_that_is_attacked() -> None:
    from robench.evaluation.plan import branch_of, prepare
    from robench.models.architectures import build

    for norm, branch in (("dubn", "main"), ("bn", "only")):
        model = wrap(build("wrn-10-1", 10, norm))
        folded = prepare(model, EvaluationOptions(fold=True), lambda _: None)
        assert folded.card["folded_batch_norms"] == 3
        assert branch_of(folded) == branch_of(model) == branch


def test_masked_gradients_are_told(tmp_path: Path) -> None:
    kept = {"limit": 20, "device": "cpu", "resamples": 0, "quiet": True, "corruption": "linf_0.04,l2_1"}
    masked = wrap(Digits(hidden=True), name="masked")
    result = robench.evaluate(masked, "digits-pgd", out=tmp_path, surrogate=wrap(Digits(), name="open"), **kept)
    assert result is not None
    (said,) = [note for note in result.notes if "masked gradients" in note]
    assert said.startswith("Signs of masked gradients")
    assert "images of open give" in said
    assert "have no gradient" in said


def test_a_surrogate_has_no_effect_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="surrogate"):
        robench.evaluate(wrap(Digits()), "digits-c", surrogate="reference:digits/standard", out=tmp_path)


def test_autoattack_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("autoattack", "pyautoattack"):
        monkeypatch.setitem(sys.modules, name, None)
    options: Any = {"corruption": "autoattack_linf", "limit": 4, "device": "cpu", "quiet": True, "resamples": 0}
    with pytest.raises(RobenchError, match="needs its package"):
        robench.evaluate(wrap(Digits()), "digits-pgd", out=tmp_path / "a", **options)
    seen = {}

    class Fake:
        def __init__(self, model: Any, **given: Any) -> None:
            seen.update(given)

        def run_standard_evaluation(self, x: torch.Tensor, y: torch.Tensor, bs: int) -> torch.Tensor:
            return torch.zeros_like(x)

    monkeypatch.setitem(sys.modules, "autoattack", types.SimpleNamespace(AutoAttack=Fake))  # type: ignore[arg-type]
    result = robench.evaluate(wrap(Digits()), "digits-pgd", out=tmp_path / "b", **options)
    assert result is not None
    assert (seen["norm"], seen["eps"], seen["version"], seen["verbose"]) == ("Linf", 8 / 255, "standard", False)
    assert result.suite.protocol["attacks"] == {
        "autoattack_linf": {"method": "autoattack", "norm": "linf", "epsilon": 8 / 255}
    }


def test_the_other_package_of_autoattack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no ``verbose``, another word for the batch size, and returns classes too."""
    options: Any = {"corruption": "autoattack_l2", "device": "cpu", "quiet": True, "resamples": 0}

    class Fake:
        def __init__(self, model: Any, *, norm: str, eps: float, seed: int, version: str, device: str) -> None:
            assert (norm, eps, seed, version) == ("L2", 0.5, 0, "standard")
            self.model = model

        def run_standard_evaluation(self, x: torch.Tensor, y: torch.Tensor, *, batch_size: int) -> Any:
            leaf = x.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.model(leaf).sum(), leaf)
            assert gradient.view(len(x), -1).shape[0] == batch_size  # in plain memory
            return x, y

    monkeypatch.setitem(sys.modules, "autoattack", None)
    monkeypatch.setitem(sys.modules, "pyautoattack", types.SimpleNamespace(AutoAttack=Fake))  # type: ignore[arg-type]
    result = robench.evaluate(wrap(Digits()), "digits-pgd", out=tmp_path, **options)
    assert result is not None
    assert result.cells[0].metrics["error"].value == result.cells[1].metrics["error"].value  # images as they were


def test_every_suite_has_the_papers_radii() -> None:
    for name in ("cifar10-pgd", "cifar100-pgd", "imagenet-pgd"):
        suite = get(name)
        found = [suite.attack(condition) for condition in suite.benchmark]
        assert [(a.norm, a.epsilon, a.steps, a.restarts, a.step / a.epsilon) for a in found if a] == [
            ("linf", epsilon, 50, 3, 0.25) for epsilon in (0.02, 0.03, 0.04)
        ]
