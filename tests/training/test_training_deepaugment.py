"""DeepAugment's networks: every published distortion acts, weights come back, views and sets are made."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from robench.errors import RobenchError
from robench.training import methods, recipes
from robench.training.engine import needed
from robench.training.engine.batch import Batch
from robench.training.engine.loop import train
from robench.training.engine.network import Network
from robench.training.methods.base import Preparation
from robench.training.methods.cutout import Cutout
from robench.training.methods.deepaugment import DeepAugment
from robench.training.networks import distort_cae, distort_edsr
from robench.training.networks.cae import CAE
from robench.training.networks.distorter import Distorter, load_network
from robench.training.networks.edsr import EDSR
from robench.training.networks.memory_set import made


def _edsr() -> EDSR:
    torch.manual_seed(0)
    return EDSR(blocks=16, features=16, scale=2).eval()


def _cae() -> CAE:
    torch.manual_seed(0)
    return CAE(width=32, code=16).eval()


def _pixels() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_networks_keep_shapes_and_count_layers() -> None:
    assert _edsr()(_pixels()).shape == (2, 3, 64, 64)
    assert _cae()(_pixels()).shape == (2, 3, 32, 32)
    names = {name.rpartition(".")[0] for name, _ in _cae().named_parameters()}
    assert names == set(distort_cae.LAYERS)
    assert len(distort_cae.LAYERS) == 21
    published = CAE().state_dict()
    assert published["e_conv_3.0.weight"].shape == (32, 128, 5, 5)
    assert published["d_up_conv_2.3.weight"].shape == (32, 256, 2, 2)
    assert EDSR().state_dict()["tail.0.2.weight"].shape == (256, 64, 3, 3)


@pytest.mark.parametrize("option", range(distort_edsr.WeightDistortion.COUNT))
def test_every_edsr_weight_distortion_changes_only_the_body(option: int) -> None:
    weights = {name: value.detach() for name, value in _edsr().named_parameters()}
    before = {name: value.clone() for name, value in weights.items()}
    distortion = distort_edsr.WeightDistortion(weights, 16, np.random.default_rng(option))
    distortion.apply(option)
    changed = {name for name in weights if not torch.equal(distortion.weights[name], before[name])}
    assert changed
    assert all(name.startswith("body.") for name in changed)
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    assert all(torch.isfinite(value).all() for value in distortion.weights.values())


def test_edsr_distortions_do_what_they_say() -> None:
    weights = {name: value.detach() for name, value in _edsr().named_parameters()}

    def after(option: int) -> tuple[str, torch.Tensor, torch.Tensor]:
        distortion = distort_edsr.WeightDistortion(weights, 16, np.random.default_rng(0))
        distortion.apply(option)
        name = next(n for n in weights if n.endswith("weight") and not torch.equal(distortion.weights[n], weights[n]))
        return name, weights[name], distortion.weights[name]

    name, old, new = after(1)
    assert torch.equal(new, -old)
    assert int(name.split(".")[1]) in (1, 4, 7)
    assert torch.count_nonzero(after(2)[2]) == 0
    _, old, new = after(4)
    torch.testing.assert_close(new[..., 1, 1], -4 * old[..., 1, 1])
    assert torch.count_nonzero(new[..., 0, 0]) == 0
    _, old, new = after(16)
    assert (torch.count_nonzero(new.flatten(2), dim=2) == 1).all()


@pytest.mark.parametrize("early", [1, 2, 3, 4])
@pytest.mark.parametrize("middle", [1, 2, 3, 4, 5])
def test_every_edsr_signal_distortion(early: int, middle: int) -> None:
    with torch.no_grad():
        plain = distort_edsr.distorted_forward(_edsr(), _pixels(), np.random.default_rng(0), 4, 5)
        found = distort_edsr.distorted_forward(_edsr(), _pixels(), np.random.default_rng(0), early, middle)
    assert found.shape == plain.shape
    assert (early, middle) == (4, 5) or not torch.equal(found, plain)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


@pytest.mark.parametrize("option", range(distort_cae.WEIGHT_OPTIONS))
def test_every_cae_weight_distortion_acts_on_its_layers(option: int) -> None:
    weights = {name: value.detach() for name, value in _cae().named_parameters()}
    allowed = {0: range(11, 16), 3: range(10, 14)}.get(option, range(8, 14))
    for seed in range(6):
        found = distort_cae.distort_weights(weights, np.random.default_rng(seed), option)
        changed = {name.rpartition(".")[0] for name in weights if not torch.equal(found[name], weights[name])}
        assert changed
        assert {distort_cae.LAYERS.index(name) for name in changed} <= set(allowed)


@pytest.mark.parametrize("option", range(distort_cae.CODE_OPTIONS))
def test_every_cae_code_distortion(option: int) -> None:
    net = _cae()
    with torch.no_grad():
        code = net.encode(_pixels())
        found = distort_cae.distorted_forward(net, _pixels(), np.random.default_rng(3), option)
        distorted = distort_cae._distort_code(code, option, np.random.default_rng(3))
    assert found.shape == (2, 3, 32, 32)
    assert torch.equal(distorted, code) == (option == 0)
    if option == 3:
        torch.testing.assert_close(distorted.sum(dim=1), code.sum(dim=1))


def test_binarisation_is_right_on_average_and_passes_gradients() -> None:
    code = torch.full((1, 1, 200, 200), 0.4, requires_grad=True)
    bits = CAE.binarise(code, torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(0)))
    assert set(bits.detach().unique().tolist()) == {0.0, 1.0}
    assert bits.mean().item() == pytest.approx(0.7, abs=0.01)
    bits.sum().backward()
    assert code.grad is not None
    assert torch.allclose(code.grad, torch.tensor(0.5))


@pytest.mark.parametrize("make", [_edsr, _cae])
def test_loading_a_network_leaves_pytorchs_random_numbers(make: Callable[[], EDSR | CAE], tmp_path: Path) -> None:
    save_file(make().state_dict(), tmp_path / "weights.safetensors")
    before = torch.get_rng_state()
    load_network(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)  # a resumed run loads at another moment than an unbroken one


def test_distorter_renews_from_the_trained_weights(tmp_path: Path) -> None:
    save_file(_edsr().state_dict(), tmp_path / "weights.safetensors")
    network = load_network(tmp_path)
    assert isinstance(network, EDSR)
    assert (len(network.body), len(network.head[0].weight)) == (17, 16)
    distorter = Distorter(network)
    for seed in range(5):
        distorter.renew(np.random.default_rng(seed))
    head = dict(network.named_parameters())["head.0.weight"]
    assert torch.equal(head, _edsr().head[0].weight)
    pixels = _pixels().repeat(3, 1, 1, 1)
    seeds = torch.tensor([1, 2, 3, 4, 5, 6])
    renewals = torch.tensor([False, False, True, False, False, False])
    found = distorter.run(pixels, renewals, seeds)
    assert torch.equal(found, distorter.run(pixels, renewals, seeds))
    assert found.shape == pixels.shape
    with pytest.raises(RobenchError, match=r"Train them, `robench\.train"):
        load_network(tmp_path / "nothing")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("make", "apart"), [(_edsr, 0.01), (_cae, 0.02)])  # some bits of the autoencoder change
def test_mixed_precision_makes_nearly_the_same_images(make: Callable[[], EDSR | CAE], apart: float, seed: int) -> None:
    found = []
    for autocast in (None, torch.bfloat16):
        distorter = Distorter(make(), autocast)
        distorter.renew(np.random.default_rng(seed))
        found.append(distorter(_pixels(), np.random.default_rng(seed)))
    assert found[1].dtype == torch.float32
    assert 0 < float((found[1] - found[0]).abs().mean()) < apart
    assert 0 <= float(found[1].min()) <= float(found[1].max()) <= 1


def test_the_sets_have_the_precision_of_the_run(tmp_path: Path, batch: Batch) -> None:
    folders = _folders(tmp_path)
    views = []
    for autocast in (None, torch.bfloat16):
        method = DeepAugment(["edsr-digits", "cae-digits"], True)
        method.locate(folders)
        method.begin(batch.images, 1, Preparation(tmp_path / "kept", autocast=autocast))
        views.append(method.view(_plain(batch)).float())
    assert len(list((tmp_path / "kept").iterdir())) == 4  # a run of another precision takes up none of these
    assert 0 < float((views[1] - views[0]).abs().mean()) < 2


def _folders(tmp_path: Path) -> dict[str, Path]:
    for name, network in (("edsr", _edsr()), ("cae", _cae())):
        (tmp_path / name).mkdir()
        save_file(network.state_dict(), tmp_path / name / "weights.safetensors")
    return {"edsr-digits": tmp_path / "edsr", "cae-digits": tmp_path / "cae"}


def _plain(batch: Batch, epoch: int = 0) -> Batch:
    data = batch.data.model_copy(update={"flip": False, "pad": 0})
    return replace(batch, epoch=epoch, data=data)


@pytest.mark.parametrize("once", [False, True])
def test_views_take_clean_and_distorted_images_by_lot(tmp_path: Path, batch: Batch, once: bool) -> None:
    views = DeepAugment(["edsr-digits", "cae-digits"], once)
    views.locate(_folders(tmp_path))
    views.begin(batch.images, seed=1)
    same, kinds = 0, []
    for epoch in range(5):
        later = _plain(batch, epoch)
        kinds.append(views.view(later))
        same += int((kinds[-1] == later.images).flatten(1).all(dim=1).sum())
    assert 0.2 < same / (5 * len(batch.images)) < 0.5
    assert torch.equal(views.view(batch), views.view(batch))
    # An image is itself or one of its two images where these are made once, and always another otherwise.
    most = max(len({kind[n].numpy().tobytes() for kind in kinds}) for n in range(len(batch.images)))
    assert most <= 3 if once else most > 3


def test_images_made_once_belong_to_their_images(tmp_path: Path, batch: Batch) -> None:
    views = DeepAugment(["edsr-digits", "cae-digits"], True)
    views.locate(_folders(tmp_path))
    views.begin(batch.images, seed=1)
    whole = views.view(_plain(batch))
    part = torch.tensor([31, 4, 17])
    few = replace(_plain(batch), images=batch.images[part], labels=batch.labels[part], index=batch.index[part])
    assert torch.equal(views.view(few), whole[part])
    again = DeepAugment(["edsr-digits", "cae-digits"], True)
    again.locate(views.folders)
    again.begin(batch.images, seed=1)
    assert torch.equal(again.view(_plain(batch)), whole)
    with pytest.raises(RobenchError, match="in memory"):
        again.begin(None, seed=1)


def test_a_set_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a group that was cut off in the file, with which weights or images changed, and on a full disk."""
    images = torch.randint(0, 256, (200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    passed: list[int] = []
    run = Distorter.run

    def counted(self: Distorter, pixels: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        passed.append(len(pixels))
        return run(self, pixels, *more)

    def found(kept: Path | None, network: EDSR, stop: int = 1000, of: torch.Tensor = images) -> torch.Tensor:
        def after(done: int) -> None:
            if done >= stop:
                raise KeyboardInterrupt

        passed.clear()
        random = np.random.default_rng(5)  # one generator for both networks
        sets = [made(Distorter(deepcopy(network)), of, random, kept, after) for _ in range(2)]
        return torch.stack(sets)

    monkeypatch.setattr(Distorter, "run", counted)
    wanted = found(None, _edsr())
    assert passed == [64, 64, 64, 8] * 2
    with pytest.raises(KeyboardInterrupt):
        found(tmp_path / "sets", _edsr(), stop=128)
    assert torch.equal(found(tmp_path / "sets", _edsr()), wanted)
    assert passed == [64, 8, 64, 64, 64, 8]
    assert torch.equal(found(tmp_path / "sets", _edsr()), wanted)
    assert passed == []
    for file in (tmp_path / "sets").iterdir():
        file.write_bytes(file.read_bytes()[: 150 * 3 * 8 * 8])
    assert torch.equal(found(tmp_path / "sets", _edsr()), wanted)
    assert passed == [64, 8] * 2
    other = images.clone()
    other[0, 0, 0, 0] += 1
    assert torch.equal(found(tmp_path / "sets", _edsr(), of=other)[:, 1:], wanted[:, 1:])
    assert sum(passed) == 400
    trained = _edsr()
    trained.head[0].weight.data += 0.1
    assert not torch.equal(found(tmp_path / "sets", trained), wanted)
    assert sum(passed) == 400
    (tmp_path / "file").write_bytes(b"")
    assert torch.equal(found(tmp_path / "file" / "no folder", _edsr()), wanted)


def test_a_run_removes_its_sets_when_it_is_finished(tmp_path: Path) -> None:
    more = ["options.once=true", "epochs=1", "data.limit=30", "options.networks=[edsr-digits]"]
    recipe = recipes.load("deepaugment-digits", more)
    out = tmp_path / "run"

    def stop(done: int) -> None:
        assert [file.stat().st_size for file in (out / "prepared").iterdir()] == [30 * 3 * 32 * 32]
        raise KeyboardInterrupt

    folders = _folders(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, None, out, device="cpu", quiet=True, folders=folders, after_step=stop)
    train(recipe, None, out, device="cpu", quiet=True, folders=folders)
    assert (out / "card.yaml").is_file()
    assert not (out / "prepared").exists()


def test_images_without_a_set_are_distorted_too(tmp_path: Path, batch: Batch) -> None:
    folders = _folders(tmp_path)
    seen = []
    for once in (True, False):  # test images, whose affinity is asked for
        views = DeepAugment(["edsr-digits", "cae-digits"], once)
        views.locate(folders)
        seen.append(views.view(_plain(batch)))
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], batch.images)


def test_sides_that_a_network_does_not_give_back_are_refused(batch: Batch) -> None:
    data = batch.data.model_copy(update={"size": 30})
    odd = replace(batch, images=batch.images[:, :, 1:31, 1:31].contiguous(), data=data)
    with pytest.raises(RobenchError, match=r"multiples of 4 pixels; these have 30x30") as caught:
        Distorter(_cae())(odd.images / 255.0, np.random.default_rng(0))
    assert "data.size=32" in str(caught.value.hint)
    for name in ("edsr", "cae"):
        method = methods.create(name, {})
        net = Network(method.build(), (0.5,) * 3, (0.5,) * 3, torch.device("cpu"))  # type: ignore[arg-type]
        with pytest.raises(RobenchError, match="multiples of 4 pixels"):
            method.loss(net, odd)
    with pytest.raises(RobenchError, match="scale is 2 or 4"):
        methods.create("edsr", {"scale": 3})


def test_what_deepaugment_makes_is_what_augmix_trains_on(
    tmp_path: Path, batch: Batch, make_network: Callable[..., Network]
) -> None:
    recipe = recipes.load("deepaugment-augmix-digits")
    first, then = methods.of(recipe)
    assert first is not None
    first.locate(_folders(tmp_path))
    made = first.view(batch)
    assert made.dtype == torch.uint8
    step = then.loss(make_network(), first.shown(batch))
    plain = then.loss(make_network(), batch.showing(made))
    assert step.loss.item() == plain.loss.item() != then.loss(make_network(), batch).loss.item()


def test_a_view_of_floats_is_rounded_for_the_next_method(batch: Batch) -> None:
    shown = Cutout(8).shown(batch)
    assert shown.images.dtype == torch.uint8
    assert torch.equal(shown.view(), shown.images)  # neither flipped nor cropped again
    expected = (Cutout(8).view(batch) * 255).round()
    assert torch.equal(shown.images.float(), expected)


def test_a_network_of_another_recipe_is_not_taken_for_the_one_that_is_needed(tmp_path: Path) -> None:
    """The recipe ``edsr`` trains on any folder of images, and its usual place is that of ``edsr-cifar10`` in a set."""

    def put(folder: str, recipe: str) -> Path:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "card.yaml").write_text(f"recipe: {recipe}\n")
        return tmp_path / folder

    assert needed.place_for("edsr-cifar10", tmp_path) == tmp_path / "edsr"
    put("edsr", "edsr-tiny-imagenet")
    assert needed.find("edsr-cifar10", tmp_path) is None
    assert needed.place_for("edsr-cifar10", tmp_path) == tmp_path / "edsr-cifar10"
    own = put("edsr-cifar10", "edsr-cifar10")
    assert needed.find("edsr-cifar10", tmp_path) == own
    assert needed.find("edsr-tiny-imagenet", tmp_path) == tmp_path / "edsr"
