"""Each method's mechanism: not that it runs, but that it does what its paper says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy import stats

from robench.corruptions.random import Stream
from robench.errors import RobenchError
from robench.models.architectures import DualBatchNorm
from robench.models.architectures.norms import IBN
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods import autolabel, create
from robench.training.methods.adversarial import Adversarial
from robench.training.methods.augmax import AugMax, mix_chains, worst_mixture
from robench.training.methods.augmix import AugMix
from robench.training.methods.ccat import CCAT, ccat_targets
from robench.training.methods.noise2net import noised_half
from robench.training.methods.weak_augment import VIEWS, WeakAugment, blended_probabilities
from robench.training.networks.noise2net import draw_shape, noise2net
from robench.training.ops import augment, sampling
from robench.training.ops.attacks import confident_attack, friendly_pgd, pgd, random_start
from robench.training.ops.chains import ChainDistribution, augmix
from robench.training.ops.labels import BucketLabels, Calibration, calibration, spread, spread_two
from robench.training.ops.losses import jensen_shannon

Make = Callable[..., Network]


# Batches


def test_a_part_of_a_batch_has_the_random_numbers_of_its_images(batch: Batch) -> None:
    expected = batch.stream("part").uniform(0, (3,))[2:5]
    for numbers in (None, batch.index.clone()):
        part = replace(batch, numbers=numbers).part(slice(2, 5))
        assert torch.equal(part.stream("part").uniform(0, (3,)), expected)


def test_a_random_resized_crop_takes_the_place_of_the_padded_one(batch: Batch, make_network: Make) -> None:
    cropped = replace(batch, data=batch.data.model_copy(update={"resized_crop": (0.5, 1.0)}))
    assert torch.equal(cropped.view(), cropped.images)
    assert not torch.equal(batch.view(), batch.images)
    view = WeakAugment().view(make_network("splitbn"), cropped, "flip-crop", "weak", "main")
    assert torch.equal(view, cropped.images / 255)


# Jensen-Shannon


@given(st.integers(0, 2**31), st.integers(2, 3), st.integers(2, 6), st.floats(0.1, 30))
@settings(max_examples=40, deadline=None)
def test_jensen_shannon_is_the_direct_formula_within_its_bound(
    seed: int, views: int, classes: int, scale: float
) -> None:
    random = np.random.default_rng(seed)
    logits = scale * random.normal(size=(views, 7, classes))
    found = float(jensen_shannon([torch.from_numpy(one) for one in logits]))
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    p = exponentials / exponentials.sum(axis=2, keepdims=True)
    entropies = stats.entropy(p, axis=2)
    direct = (stats.entropy(p.mean(axis=0), axis=1) - entropies.mean(axis=0)).mean()
    assert found == pytest.approx(direct, abs=2e-5)
    assert -1e-6 <= found <= math.log(min(views, classes)) + 1e-5


def test_jensen_shannon_reaches_its_bound_and_zero() -> None:
    apart = [50.0 * torch.eye(3)[view].expand(4, 3) for view in range(3)]
    assert float(jensen_shannon(apart)) == pytest.approx(math.log(3), abs=1e-4)
    assert float(jensen_shannon([apart[0]] * 3)) == pytest.approx(0.0, abs=1e-6)


# Sampling


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 2.5])
def test_gamma_beta_and_dirichlet_laws(alpha: float) -> None:
    stream = Stream(7, "laws", index=torch.arange(20000))
    drawn = sampling.gamma(stream, 0, alpha, ()).numpy()
    assert stats.kstest(drawn, stats.gamma(alpha).cdf).pvalue > 1e-3
    if alpha < 0.5:
        return  # float32 rounds many of these Beta numbers to 1
    assert stats.kstest(sampling.beta(stream, 50, alpha).numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    weights = sampling.dirichlet(stream, 100, alpha, 3)
    assert torch.allclose(weights.sum(dim=1), torch.ones(20000))
    assert stats.kstest(weights[:, 0].numpy(), stats.beta(alpha, 2 * alpha).cdf).pvalue > 1e-3


def test_chains_follow_their_law() -> None:
    stream = Stream(1, "chains", index=torch.arange(6000))
    ops, values = ChainDistribution().draw(stream, 32)
    depth = (ops >= 0).sum(dim=2)
    assert torch.allclose(torch.bincount(depth.flatten())[1:] / depth.numel(), torch.tensor(1 / 3), atol=0.01)
    share = torch.bincount(ops[ops >= 0]).float() / (ops >= 0).sum()
    assert len(share) == 9
    assert torch.allclose(share, torch.tensor(1 / 9), atol=0.006)
    assert values.shape == (6000, 3, 3)
    assert set(ChainDistribution(depth=2, all_ops=True).draw(stream, 32)[0].flatten().tolist()) == set(range(13))


def test_what_an_image_becomes_does_not_depend_on_its_neighbours(batch: Batch) -> None:
    images = batch.view()
    together = augmix(images, batch.stream("a"), ChainDistribution())
    part = slice(7, 9)
    few = replace(batch, images=batch.images[part], labels=batch.labels[part], index=batch.index[part])
    assert torch.equal(few.view(), images[part])
    assert torch.equal(augmix(few.view(), few.stream("a"), ChainDistribution()), together[part])
    later = replace(batch, epoch=1)
    assert not torch.equal(later.view(), images)


# AugMix


def test_augmix_loss_is_cross_entropy_of_clean_plus_consistency(batch: Batch, make_network: Make) -> None:
    net = make_network()
    method = AugMix(consistency=12.0)
    step = method.loss(net, batch)
    clean = batch.view()
    views = [clean.float() / 255, *(method.mixed(batch, clean, view) for view in range(2))]
    logits = make_network()(torch.cat(views)).chunk(3)
    expected = torch.nn.functional.cross_entropy(logits[0], batch.labels) + 12 * jensen_shannon(logits)
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert not torch.equal(views[1], views[2])
    without = AugMix(jsd=False).loss(make_network(), batch)
    alone = torch.nn.functional.cross_entropy(make_network()(views[1]), batch.labels)
    assert without.loss.item() == pytest.approx(alone.item(), rel=1e-4)


@pytest.mark.parametrize("norm", ["dubn", "dubin"])
def test_augmix_with_dual_norms_routes_clean_and_mixed_views_apart(norm: str, batch: Batch, make_network: Make) -> None:
    net = make_network(norm)
    statistics = {name: value.clone() for name, value in net.module.named_buffers() if "num_batches" in name}
    step = AugMix().loss(net, batch)
    assert {int(value - statistics[name]) for name, value in net.module.named_buffers() if name in statistics} == {1}
    clean = batch.view()
    fresh = make_network(norm)
    mixed = torch.cat([AugMix().mixed(batch, clean, view) for view in range(2)])
    views = [fresh(clean, "main"), *fresh(mixed, "auxiliary").chunk(2)]
    expected = torch.nn.functional.cross_entropy(views[0], batch.labels) + 12 * jensen_shannon(views)
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_methods_of_one_route_refuse_dual_norms(tmp_path: Path) -> None:
    from robench.training.engine.loop import train
    from robench.training.recipes import load

    for name, setting in (
        ("standard-digits", "norm=dubin"),
        ("cutout-digits", "norm=splitbn"),
        ("augmix-nojsd-digits", "norm=dubn"),
    ):
        with pytest.raises(RobenchError, match="needs norm bn or ibn"):
            train(load(name, [setting]), None, tmp_path, quiet=True)


def test_ibn_normalises_half_of_the_channels_by_instance(batch: Batch, make_network: Make) -> None:
    net = make_network("ibn")
    halves = [part for part in net.module.modules() if isinstance(part, IBN)]
    assert len(halves) == 2  # the first norm of a block in all stages but the last
    x = torch.randn(5, halves[0].split * 2, 4, 4)
    out = halves[0].train()(x)
    assert torch.allclose(out[:, : halves[0].split].mean(dim=(2, 3)), torch.zeros(5, halves[0].split), atol=1e-5)
    assert torch.allclose(out[:, halves[0].split :].mean(dim=(0, 2, 3)), torch.zeros(halves[0].split), atol=1e-5)
    kept = halves[0](x.contiguous(memory_format=torch.channels_last))  # or every layer after it would convert
    assert kept.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(kept, out, atol=1e-5)
    assert not net.dual
    assert make_network("dubin").dual
    AugMix().loss(net, batch).loss.backward()


# AugMax


def _attack(net: Network, batch: Batch, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    start, found, _ = _counted_attack(net, batch, **options)
    return start, found


def _counted_attack(net: Network, batch: Batch, **options: object) -> tuple[torch.Tensor, torch.Tensor, float]:
    clean = batch.view()
    ops, values = ChainDistribution(severity=8).draw(batch.stream("augmax"), 32)
    chains = augment.chains(clean, ops, values).float() / 255
    pixels = clean.float() / 255
    m, q = torch.full((len(clean),), 0.3), torch.zeros(len(clean), 3)
    settings_ = {"steps": 6, "step_size": 0.1, "patience": 1, "early_stop": "none", "route": None} | options
    start = mix_chains(pixels, chains, m, q)
    return start, *worst_mixture(net, pixels, chains, batch.labels, m, q, **settings_)  # type: ignore[arg-type]


def _losses(net: Network, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with net.frozen(), torch.no_grad():
        return torch.nn.functional.cross_entropy(net(pixels), labels, reduction="none")


_SCALE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_KNOWING: dict[str, Network] = {}


def _trained(make_network: Make, batch: Batch, norm: str = "bn") -> Network:
    """Return a network that knows the batch well enough for losses to mean something; trained once, then copied."""
    if norm not in _KNOWING:
        _KNOWING[norm] = _train(make_network, batch, norm)
    return deepcopy(_KNOWING[norm])


def _train(make_network: Make, batch: Batch, norm: str) -> Network:
    net = make_network(norm)
    optimiser = torch.optim.SGD(net.module.parameters(), lr=0.05, momentum=0.9)
    for _ in range(25):
        for route in ("main", "auxiliary"):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(batch.images, route), batch.labels).backward()
            optimiser.step()
    optimiser.zero_grad()
    return net


def test_augmax_inner_step_raises_the_loss(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    start, found = _attack(net, batch)
    before, after = _losses(net, start, batch.labels), _losses(net, found, batch.labels)
    assert after.mean() > before.mean()
    assert (after >= before - 1e-4).float().mean() > 0.9
    weights_untouched = all(p.grad is None or p.requires_grad for p in net.module.parameters())
    assert weights_untouched
    assert net.module.training


def test_augmax_paper_stops_each_image_and_code_only_all(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    start, once = _attack(net, batch, early_stop="none", steps=1)
    _, paper = _attack(net, batch, early_stop="paper")
    _, code = _attack(net, batch, early_stop="code")
    with net.frozen(), torch.no_grad():
        wrong = net(once).argmax(dim=1) != batch.labels
    assert wrong.any()
    assert not torch.allclose(once[wrong], start[wrong], atol=1e-6)
    assert torch.allclose(paper[wrong], once[wrong], atol=1e-6)
    assert not torch.allclose(code[wrong], once[wrong], atol=1e-6)


def test_augmax_does_not_show_the_network_again_what_has_stopped(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    seen: list[int] = []
    net.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    _attack(net, batch, early_stop="paper", patience=2)
    assert seen[:2] == [len(batch.labels)] * 2
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < seen[0]


def test_augmax_counts_the_passes_that_its_attack_took(batch: Batch, make_network: Make) -> None:
    net, count = _trained(make_network, batch), len(batch.labels)
    seen: list[int] = []
    net.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    *_, most = _counted_attack(net, batch, early_stop="none", steps=4)
    assert most == pytest.approx(4 * count)
    seen.clear()
    *_, stopped = _counted_attack(net, batch, early_stop="paper")
    assert sum(seen) / 3 < stopped <= sum(seen) < 6 * count


def test_augmax_keeps_its_count_of_passes_over_a_restart(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch, "dubin")
    method = AugMax(steps=3)
    assert method.passes_taken == method.passes == 6
    for _ in range(2):
        method.loss(net, batch)
    assert 3 + 1 / 3 <= method.passes_taken < 6
    resumed = AugMax(steps=3)
    resumed.load_state(method.state())
    assert resumed.passes_taken == method.passes_taken
    assert AugMax(hard="advmix", steps=3).passes_taken == pytest.approx(3 + 5 / 3)


def test_a_compiled_attack_needs_four_sizes_of_a_batch_and_finds_the_same(batch: Batch, make_network: Make) -> None:
    net, sizes = _trained(make_network, batch), set()

    def backend(module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        sizes.update(
            len(value) for value in inputs if isinstance(value, torch.Tensor) and value.shape[1:] == (3, 32, 32)
        )
        return module.forward

    compiled = Network(torch.compile(net.module, backend=backend, dynamic=False), *_SCALE, net.device)
    _, expected = _attack(net, batch, early_stop="paper", patience=2)
    _, found = _attack(compiled, batch, early_stop="paper", patience=2)
    assert sizes <= {10, 20, 30, 40}
    assert len(sizes) > 1
    assert torch.allclose(found, expected, atol=1e-6)


def test_augmax_routes_the_hard_view_through_the_auxiliary_batchnorm(batch: Batch, make_network: Make) -> None:
    net = make_network("dubin")
    statistics = {name: value.clone() for name, value in net.module.named_buffers() if "num_batches" in name}
    AugMax(steps=2).loss(net, batch).loss.backward()
    for name, value in net.module.named_buffers():
        if name in statistics:
            passes = int(value - statistics[name])
            assert passes == (1 if "aux" in name else 2), name


def test_dubin_splits_channels_and_shares_the_instance_half(batch: Batch, make_network: Make) -> None:
    net = make_network("dubin")
    instance = [part for part in net.module.modules() if isinstance(part, torch.nn.InstanceNorm2d)]
    assert len(instance) == 2
    for part in instance:
        assert part.affine
        assert not part.track_running_stats
    net.module.eval()
    for part in net.module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
    assert not torch.allclose(net(batch.images, "main"), net(batch.images, "auxiliary"))
    torch.testing.assert_close(net(batch.images, "main"), net(batch.images))


@pytest.mark.parametrize("hard", ["advmix", "advmax", "augmix+pgd"])
def test_augmax_ablations_are_harder_than_augmix(batch: Batch, make_network: Make, hard: str) -> None:
    net = _trained(make_network, batch, "dubin")
    method = AugMax(hard=hard, severity=8.0, steps=4, pgd_steps=4)
    clean = batch.view()
    found = method.hard_view(net, batch, clean)
    easy = augmix(clean, batch.stream("easy"), method.chains)
    with net.frozen(), torch.no_grad():
        hard_loss = torch.nn.functional.cross_entropy(net(found, "auxiliary"), batch.labels)
        easy_loss = torch.nn.functional.cross_entropy(net(easy, "auxiliary"), batch.labels)
    assert hard_loss > easy_loss
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1 + 1e-6


# Adversarial


def test_pgd_stays_in_its_ball_and_raises_the_loss(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    pixels = batch.images.float() / 255
    radius = torch.linspace(0.0, 0.1, len(pixels)).view(-1, 1, 1, 1)
    found = pgd(net, pixels, batch.labels, radius, 5, radius / 4, random_start(batch))
    assert ((found - pixels).abs() <= radius + 1e-6).all()
    assert torch.equal(found[0], pixels[0])
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert _losses(net, found, batch.labels).mean() > _losses(net, pixels, batch.labels).mean() + 0.1


def test_ccat_labels_fade_to_uniform() -> None:
    distance = torch.tensor([0.0, 0.01, 0.03, 0.5])
    targets = ccat_targets(torch.tensor([2, 2, 2, 2]), distance, 0.03, 10.0, 5)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
    assert targets[0].tolist() == [0, 0, 1, 0, 0]
    share = (1 - 0.01 / 0.03) ** 10
    assert float(targets[1, 2]) == pytest.approx(share + (1 - share) / 5, rel=1e-4)
    torch.testing.assert_close(targets[2:], torch.full((2, 5), 0.2))


def test_ccats_attack_raises_a_wrong_class_within_the_ball_and_its_labels_fade(
    batch: Batch, make_network: Make
) -> None:
    net = _trained(make_network, batch)
    method = CCAT(epsilon=0.1, steps=8, step_size=0.02)
    pixels = batch.view().float() / 255
    start = random_start(batch)
    found = method.attacked(net, batch, pixels, batch.labels, start)
    distance = (found - pixels).abs().amax(dim=(1, 2, 3))
    assert float(distance.max()) <= 0.1 + 1e-6
    assert 0 <= float(found.min()) <= float(found.max()) <= 1

    def wrong(images: torch.Tensor) -> torch.Tensor:
        with net.frozen(), torch.no_grad():
            return net(images).softmax(dim=1).scatter(1, batch.labels.unsqueeze(1), 0.0).amax(dim=1)

    assert (wrong(found) >= wrong(pixels) - 1e-6).float().mean() > 0.8
    assert wrong(found).mean() > wrong(pixels).mean() + 0.05
    # The transition needs images at several distances: the attack begins anywhere in the ball, plain PGD at its border.
    for attack, share in (("confident", 0.5), ("pgd", 0.0)):
        short = CCAT(attack=attack, epsilon=0.1, steps=2, step_size=0.005)
        near = (short.attacked(net, batch, pixels, batch.labels, start) - pixels).abs().amax(dim=(1, 2, 3)) < 0.09
        assert (float(near.float().mean()) > share) == (attack == "confident")
    with pytest.raises(RobenchError, match="confident or pgd"):
        CCAT(attack="fgsm")


def test_backtracking_keeps_the_best_image(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    pixels, start = batch.images.float() / 255, torch.zeros_like(random_start(batch))
    objectives = []
    for steps in (0, 1, 4, 12):
        found = confident_attack(net, pixels, batch.labels, 0.1, steps, 0.05, start)
        with net.frozen(), torch.no_grad():
            objectives.append(net(found).softmax(dim=1).scatter(1, batch.labels.unsqueeze(1), 0.0).amax(dim=1))
    for fewer, more in itertools.pairwise(objectives):
        assert (more >= fewer - 1e-5).all()
    assert objectives[-1].mean() > objectives[0].mean()


def test_friendly_attacks_stop_where_an_image_is_misclassified(batch: Batch, make_network: Make) -> None:
    net = _trained(make_network, batch)
    pixels, start = batch.images.float() / 255, random_start(batch)
    attack = (0.1, 6, 0.02, start)
    one = pgd(net, pixels, batch.labels, 0.1, 1, 0.02, start)
    friendly, passes = friendly_pgd(net, pixels, batch.labels, *attack, friendly=0)
    assert passes <= 6 * len(pixels)
    full = pgd(net, pixels, batch.labels, *attack)
    with net.frozen(), torch.no_grad():
        begun_wrong = net((pixels + 0.1 * start).clamp(0, 1)).argmax(dim=1) != batch.labels
        after_one = net(one).argmax(dim=1) != batch.labels
    stopped = after_one & ~begun_wrong
    assert stopped.any()
    torch.testing.assert_close(friendly[stopped], one[stopped])
    assert not torch.allclose(friendly[stopped], full[stopped])
    torch.testing.assert_close(friendly_pgd(net, pixels, batch.labels, *attack, friendly=6)[0], full)


def test_friendly_training_counts_the_passes_that_its_attack_took(batch: Batch, make_network: Make) -> None:
    net, count = make_network(), len(batch.labels)
    net.module.eval()
    labels = (net(batch.view()).argmax(dim=1) + 1) % 10  # all are wrong from the beginning
    seen: list[int] = []
    net.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    wrong = replace(batch, labels=labels)
    method = Adversarial(epsilon=1e-6, steps=5, friendly=1)
    assert method.passes_taken == method.passes == 6
    method.loss(net, wrong)
    assert seen == 3 * [count]  # a step each, the look that finds all stopped, and the training step
    assert method.passes_taken == pytest.approx(1 + 1 + 1 / 3)
    resumed = Adversarial(steps=5, friendly=1)
    resumed.load_state(method.state())
    assert resumed.passes_taken == method.passes_taken
    full = Adversarial(epsilon=1e-6, steps=5)
    full.loss(net, wrong)
    assert full.passes_taken == pytest.approx(full.passes)


# Noise2Net


def test_noise2net_gives_every_image_its_own_filters(batch: Batch) -> None:
    same = batch.images[:1].expand(len(batch.images), -1, -1, -1).float() / 255
    shape = draw_shape(batch)
    found = noise2net(same, batch, shape, 0.5, 0.5)
    flat = found.flatten(1)
    distances = torch.cdist(flat, flat) + 1e9 * torch.eye(len(flat))
    assert float(distances.min()) > 1.0
    # An image's result is that of its own network, whoever shares the batch.
    other = same.clone()
    other[1:] = torch.rand_like(other[1:])
    torch.testing.assert_close(noise2net(other, batch, shape, 0.5, 0.5)[0], found[0], rtol=1e-4, atol=1e-4)


def test_noise2net_has_the_published_channels(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    convolve, seen = torch.nn.functional.conv2d, []

    def noted(x: torch.Tensor, filters: torch.Tensor, **options: int) -> torch.Tensor:
        seen.append((len(filters) // options["groups"], filters.shape[1]))
        return convolve(x, filters, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    noise2net(batch.images[:2].float() / 255, batch, draw_shape(batch), 0.5, 0.5)
    assert seen == 4 * [(64, 3), (16, 16), (16, 16), (16, 16), (3, 64)]


def test_noise2net_touches_the_first_half_only(batch: Batch, make_network: Make) -> None:
    net = make_network()
    pixels = batch.view()
    found, plain = noised_half(net, batch, pixels, 0.375, 0.75), net.normalise(pixels)
    half = len(pixels) // 2
    assert torch.equal(found[half:], plain[half:])
    assert (found[:half] - plain[:half]).abs().flatten(1).amax(dim=1).min() > 0.1
    assert draw_shape(batch) == draw_shape(batch)
    shapes = [draw_shape(replace(batch, epoch=epoch)) for epoch in range(8)]
    assert any(one != shapes[0] for one in shapes)


# AutoLabel


def test_autolabel_moves_against_miscalibration_and_clips() -> None:
    labels = BucketLabels(4, rate=0.5)
    labels.update(0, Calibration(accuracy=0.6, confidence=0.9, ece=0.3))
    assert float(labels.values[0]) == pytest.approx(1 - 0.5 * 0.3)
    labels.update(0, Calibration(accuracy=0.6, confidence=0.5, ece=0.1))
    assert float(labels.values[0]) == pytest.approx(0.85 + 0.05)
    labels.update(1, Calibration(accuracy=0.95, confidence=1.0, ece=0.9))
    assert float(labels.values[1]) == pytest.approx(0.95)
    labels.update(2, Calibration(accuracy=0.5, confidence=0.4, ece=0.5))
    assert float(labels.values[2]) == 1.0
    labels.update(3, Calibration(accuracy=0.5, confidence=0.5, ece=0.2))
    assert float(labels.values[3]) == 1.0


def test_autolabel_calibration_by_hand() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    found = calibration(probabilities, torch.tensor([0, 1, 0, 1]), bins=10)
    assert found.accuracy == pytest.approx(0.75)
    assert found.confidence == pytest.approx((0.9 + 0.9 + 0.6 + 0.7) / 4)
    assert found.ece == pytest.approx((abs(1 - 1.8) + abs(1 - 0.6) + abs(1 - 0.7)) / 4)


@given(st.floats(0.01, 0.5), st.floats(0.2, 1.0), st.integers(2, 20), st.booleans())
def test_autolabel_two_class_rule(share: float, value: float, classes: int, same: bool) -> None:
    major, minor = torch.tensor([0]), torch.tensor([0 if same else 1])
    targets = spread_two(major, minor, torch.tensor([share]), torch.tensor([value]), classes)
    assert float(targets.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(targets.min()) >= -1e-6
    second = min(1 - value, value * share / (1 - share)) if same or classes > 2 else 1 - value
    assert float(targets[0, 0]) == pytest.approx(value + (second if same else 0), abs=1e-5)
    if not same:
        assert float(targets[0, 1]) == pytest.approx(second, abs=1e-5)
        rest = (1 - value - second) / max(1, classes - 2)
        assert targets[0, 2:].tolist() == pytest.approx([rest] * (classes - 2), abs=1e-5)


def test_autolabel_spreads_the_rest_equally() -> None:
    targets = spread(torch.tensor([1, 0]), torch.tensor([0.7, 1.0]), 4)
    assert targets[0].tolist() == pytest.approx([0.1, 0.7, 0.1, 0.1])
    assert targets[1].tolist() == [1, 0, 0, 0]


def test_autolabel_augmix_buckets_and_update(batch: Batch, make_network: Make) -> None:
    method = create("autolabel-augmix", {"buckets": 4, "rate": 1.0})
    assert len(method.labels.values) == 12  # type: ignore[attr-defined]
    distances = torch.tensor([0.0, 0.1, 0.25, 0.26, 1.0])
    assert method.bucket_of(distances).tolist() == [0, 0, 0, 1, 3]  # type: ignore[attr-defined]
    images = batch.view()
    ones = torch.ones(len(images))
    mixed, depths = method.mixed(batch, images, ones, "x")  # type: ignore[attr-defined]
    torch.testing.assert_close(mixed, images.float() / 255)
    assert set(depths.tolist()) <= {1, 2, 3}
    logged = method.end_epoch(make_network(), batch)
    values = method.labels.values  # type: ignore[attr-defined]
    assert (values < 1).any()
    assert (values >= 0).all()
    assert [value for depth in logged.pop("labels") for value in depth] == values.tolist()
    assert list(logged.values()) == values.tolist()
    assert list(logged)[-1] == "label_12"
    again = create("autolabel-augmix", {"buckets": 4, "rate": 1.0})
    again.load_state(method.state())
    assert torch.equal(again.labels.values, values)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["autolabel-augmix", "autolabel-adversarial"])
def test_autolabel_looks_at_held_out_images_in_pieces(
    batch: Batch, make_network: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    method = create(name, {"buckets": 2})
    assert isinstance(method, autolabel.AutoLabel)
    net = make_network()
    net.module.eval()
    whole, _ = method.held_out_probabilities(net, batch, 1)
    sizes: list[int] = []
    net.module.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(autolabel, "CHUNK", 15)
    pieces, labels = method.held_out_probabilities(net, batch, 1)
    assert max(sizes) == 15
    assert torch.equal(labels, batch.labels)
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)


# Split BatchNorm


def test_main_and_auxiliary_statistics_stay_apart(batch: Batch, make_network: Make) -> None:
    net = make_network("splitbn")
    method = WeakAugment(cutout=8, count=3, magnitude=9)
    step = method.loss(net, batch)
    step.loss.backward()
    main = [m for name, m in net.module.named_modules() if name.endswith("main")]
    auxiliary = [m for name, m in net.module.named_modules() if "aux" in name.rpartition(".")[2]]
    assert len(main) == len(auxiliary) > 0
    differ = [not torch.equal(a.running_mean, b.running_mean) for a, b in zip(main, auxiliary, strict=True)]
    assert all(differ)
    before = main[-1].running_mean.clone()
    net(batch.images, "auxiliary")
    assert torch.equal(main[-1].running_mean, before)
    net.module.eval()
    blended = blended_probabilities(net, batch.images, 0.5)
    each = [blended_probabilities(net, batch.images, share) for share in (0.0, 1.0)]
    torch.testing.assert_close(blended, (each[0] + each[1]) / 2)
    assert not torch.allclose(each[0], each[1])


def test_views_of_weak_augment(batch: Batch, make_network: Make) -> None:
    net = make_network("splitbn")
    flipped = replace(batch, data=batch.data.model_copy(update={"flip": True}))
    same = batch.images.float() / 255
    seen = {kind: WeakAugment(cutout=8).view(net, flipped, kind, "weak", "main") for kind in VIEWS}
    assert torch.equal(seen["none"], same)
    mirrored = (seen["flip"] == same.flip(-1)).flatten(1).all(dim=1) | (seen["flip"] == same).flatten(1).all(dim=1)
    assert mirrored.all()
    assert not torch.equal(seen["flip"], same)
    assert not torch.equal(seen["flip-crop"], seen["flip"])
    attacked = seen["adversarial"] - seen["flip-crop"]
    assert 0 < float(attacked.abs().max()) <= 4 / 255 + 1e-6
    without = WeakAugment(cutout=8, strong_cutout=0).view(net, flipped, "randaugment", "weak", "main")
    changed = (without != seen["randaugment"]).any(dim=1).flatten(1).sum(dim=1)
    assert 16 <= int(changed.max()) <= 64  # Cutout's square alone
    assert WeakAugment(strong="adversarial", steps=4).passes == 6
    with pytest.raises(RobenchError, match="views must be among"):
        WeakAugment(weak="crop")


def test_shared_affine_parameters_stay_one_while_statistics_part(
    batch: Batch, make_network: Make, tmp_path: Path
) -> None:
    from robench.training.engine.artefacts import round_weights
    from robench.training.engine.schedule import MovingAverage

    net = make_network("splitbn-shared")
    optimiser = torch.optim.SGD(net.module.parameters(), lr=0.1)
    average = MovingAverage(net.module, 0.9)
    for _ in range(3):
        optimiser.zero_grad()
        WeakAugment(cutout=8, count=3, magnitude=9).loss(net, batch).loss.backward()
        optimiser.step()
        average.update(net.module)
    dual = [part for part in net.module.modules() if isinstance(part, DualBatchNorm)]
    assert dual
    for part in dual:
        assert part.main.weight is part.auxiliary.weight
        assert not torch.equal(part.main.running_mean, part.auxiliary.running_mean)
    apart = [part for part in make_network("splitbn").module.modules() if isinstance(part, DualBatchNorm)]
    assert all(part.main.weight is not part.auxiliary.weight for part in apart)
    for values in (round_weights(net.module, "fp32"), average.values):
        for name in [name for name in values if name.endswith("main.weight")]:
            assert torch.equal(values[name], values[name.replace("main", "auxiliary")])
    save_file(round_weights(net.module, "fp32"), tmp_path / "weights.safetensors")


# Options


def test_options_are_checked() -> None:
    with pytest.raises(RobenchError, match="severity"):
        create("augmix", {"severitty": 3})
    with pytest.raises(RobenchError, match="must be int"):
        create("augmix", {"width": "three"})
    with pytest.raises(RobenchError, match="Did you mean"):
        create("agmix", {})
    with pytest.raises(RobenchError, match="without mixup and the"):
        create("augmix", {"jsd": False, "mixup": 1.0, "probability": 0.5})
    with pytest.raises(RobenchError, match="hard"):
        create("augmax", {"hard": "impossible"})


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
@pytest.mark.parametrize("method", ["adversarial", "ccat", "autolabel-adversarial"])
def test_the_attack_of_autolabels_table_4_is_the_papers(method: str, data: str) -> None:
    """All its models were trained with PGD of ten steps within 0.01, not within the 8/255 of adversarial robustness."""
    from robench.training.recipes import load

    options = load(f"{method}-{data}-wrn28-10").options
    assert (options["epsilon"], options["steps"]) == (0.01, 10)
    assert options.get("step_size", 0.0025) == 0.0025
