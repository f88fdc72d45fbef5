"""Corruptions as people use them: transforms of torchvision, and the call of imagecorruptions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from robench.corruptions import ALL, Corrupt, Corrupted, RandomCorruption, corrupt
from robench.errors import RobenchError

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)


@cache
def wanted_noise() -> torch.Tensor:
    return torch.as_tensor(corrupt(TENSOR[None], "gaussian_noise", 3, index=torch.tensor([7]))[0])


def as_array(given: Any) -> np.ndarray:
    if isinstance(given, torch.Tensor):
        given = (given * 255).round().byte() if given.is_floating_point() else given
        return given.permute(1, 2, 0).numpy()
    return np.asarray(given)


@pytest.mark.parametrize(
    "given",
    [PIXELS, Image.fromarray(PIXELS), TENSOR, tv_tensors.Image(TENSOR), TENSOR.float() / 255, TENSOR.double() / 255],
)
def test_every_form_of_an_image_gives_the_same(given: Any) -> None:
    found = Corrupt("gaussian_noise", 3)(given, index=7)
    assert type(found) is type(given)
    assert getattr(found, "dtype", None) == getattr(given, "dtype", None)
    np.testing.assert_array_equal(as_array(found), wanted_noise().permute(1, 2, 0).numpy())


def test_batches_and_stacks() -> None:
    batch = torch.stack([TENSOR, TENSOR.flip(2)])
    noise = Corrupt("gaussian_noise", 3, seed=4)
    found = noise(batch, index=[7, 8])
    assert torch.equal(found[0], noise(TENSOR, index=7))
    assert torch.equal(found[1], noise(TENSOR.flip(2), index=8))
    assert noise(batch[None].float() / 255, index=[7, 8]).shape == (1, 2, 3, 32, 40)
    rows = noise(batch.permute(0, 2, 3, 1).numpy(), index=[7, 8])
    np.testing.assert_array_equal(rows[1], found[1].permute(1, 2, 0).numpy())
    assert not torch.equal(noise(batch[:1].repeat(2, 1, 1, 1), index=7)[0], noise(batch, index=[7, 8])[1])


def test_without_an_index_the_pixels_decide() -> None:
    noise = Corrupt("gaussian_noise", 3)
    found = noise(torch.stack([TENSOR, TENSOR.flip(2), TENSOR]))
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[0], noise(TENSOR))
    assert torch.equal(found[0], torch.from_numpy(noise(PIXELS)).permute(2, 0, 1))
    assert not torch.equal(found[0] - TENSOR, found[1].flip(2) - TENSOR)


def test_samples_keep_their_other_parts() -> None:
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[1, 2, 3, 4]]), format="XYXY", canvas_size=(32, 40))
    mask = tv_tensors.Mask(torch.ones(32, 40, dtype=torch.uint8))
    image, found_boxes, found_mask, label = Corrupt("fog", 5)(tv_tensors.Image(TENSOR), boxes, mask, 3, index=7)
    assert not torch.equal(image, TENSOR)
    assert torch.equal(found_boxes, boxes)
    assert torch.equal(found_mask, mask)
    assert label == 3
    sample = Corrupt("gaussian_noise", 3)({"image": Image.fromarray(PIXELS), "label": 2, "index": 7})
    np.testing.assert_array_equal(np.asarray(sample["image"]), wanted_noise().permute(1, 2, 0).numpy())
    assert (sample["label"], sample["index"]) == (2, 7)


def test_grey_images() -> None:
    grey = Image.fromarray(PIXELS[..., 0])
    assert Corrupt("fog", 1)(grey).mode == "RGB"
    assert corrupt(PIXELS[..., 0], "fog", 1).shape == (32, 40, 3)
    assert Corrupt("snow", 3)(TENSOR[:1]).shape == (1, 32, 40)


def test_a_data_set_is_the_same_in_any_order_and_worker() -> None:
    clean = [(Image.fromarray(np.roll(PIXELS, one, 1)), one) for one in range(6)]
    then = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    data = Corrupted(clean, Corrupt("shot_noise", 2), then=then)
    first = torch.stack([image for image, _ in data])
    loaded = torch.cat([images for images, _ in DataLoader(data, batch_size=4, num_workers=1)])
    assert torch.equal(first, loaded)
    assert torch.equal(data[-1][0], first[5])
    wanted = corrupt(torch.from_numpy(np.asarray(clean[3][0])).permute(2, 0, 1)[None], "shot_noise", 2, index=[3])
    assert torch.equal((first[3] * 255).round().byte(), wanted[0])


def test_workers_that_were_forked_after_loops_give_the_same_images() -> None:
    image = Image.fromarray(PIXELS[:32, :32])
    wanted = {name: np.asarray(Corrupt(name, 3)(image, index=0)) for name in ALL}  # the loops' threads have begun
    for name in ALL:
        data = Corrupted([image], Corrupt(name, 3), then=v2.ToImage())
        found = next(iter(DataLoader(data, num_workers=1, multiprocessing_context="fork")))
        np.testing.assert_array_equal(found[0].permute(1, 2, 0).numpy(), wanted[name])


def test_random_corruptions() -> None:
    random = RandomCorruption(["brightness", "contrast"], [5], seed=1)
    batch = TENSOR.expand(40, -1, -1, -1)
    found = random(batch, index=range(40))
    wanted = [corrupt(TENSOR, name, 5) for name in ("brightness", "contrast")]
    kinds = [[torch.equal(one, other) for other in wanted].index(True) for one in found]
    assert 8 < sum(kinds) < 32
    assert torch.equal(random(batch, index=range(40)), found)
    random.set_epoch(1)
    assert not torch.equal(random(batch, index=range(40)), found)
    torch.manual_seed(0)
    first = random(batch)
    assert not torch.equal(random(batch), first)
    torch.manual_seed(0)
    assert torch.equal(random(batch), first)
    half = RandomCorruption(["brightness"], p=0.5)(batch, index=range(40))
    assert 8 < sum(torch.equal(one, TENSOR) for one in half) < 32
    assert torch.equal(RandomCorruption(["fog"], p=0.0)(TENSOR), TENSOR)


def test_the_call_of_imagecorruptions() -> None:
    wanted = corrupt(PIXELS, "fog", 3)
    assert wanted.dtype == np.uint8
    for found in (
        corrupt(PIXELS, severity=3, corruption_name="fog"),
        corrupt(PIXELS, 3, "fog"),
        corrupt(PIXELS, corruption_number=ALL.index("fog"), severity=3),
        corrupt(PIXELS, 3, corruption_name="fog", corruption_number=-1),
        corrupt(np.asarray(Image.fromarray(PIXELS)), name="fog", severity=np.int64(3)),
    ):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(corrupt(PIXELS, "fog"), corrupt(PIXELS, "fog", 1))
    np.testing.assert_array_equal(np.asarray(corrupt(Image.fromarray(PIXELS), "fog", 3)), wanted)
    np.testing.assert_array_equal(corrupt(TENSOR, "gaussian_noise", 3, index=7), wanted_noise())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: corrupt(PIXELS), "Which corruption"),
        (lambda: corrupt(PIXELS, "fog", corruption_name="snow"), "Two corruptions were given: fog, snow"),
        (lambda: corrupt(PIXELS, severity=2, corruption_number=19), "no corruption 19"),
        (lambda: corrupt(PIXELS, "fgo", 1), "Did you mean 'fog'"),
        (lambda: corrupt(PIXELS.astype(np.float32), "fog", 1), "hold uint8; found float32"),
        (lambda: corrupt(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256), "fog", 1), "8 bits per channel"),
        (lambda: Corrupt("fog", 1)(Image.fromarray(PIXELS[..., 0].astype(np.float32) / 255)), "8 bits per channel"),
        (lambda: corrupt(PIXELS.transpose(2, 0, 1), "fog", 1), "channels last"),
        (lambda: corrupt("image.png", "fog", 1), "found str"),
        (lambda: Corrupt("fog", 6), "Severity 6 does not exist"),
        (lambda: Corrupt("fgo"), "Did you mean 'fog'"),
        (lambda: Corrupt("fog")(TENSOR.float()), "lie in \\[0, 1\\]; found values from"),
        (lambda: Corrupt("fog")(TENSOR.permute(1, 2, 0)), "channels before rows"),
        (lambda: Corrupt("fog")(TENSOR, index=[1, 2]), "one whole number for each of 1 images"),
        (lambda: RandomCorruption([]), "nothing to draw from"),
        (lambda: RandomCorruption(p=2), "from 0 to 1"),
    ],
)
def test_what_cannot_be_corrupted_is_said(call: Any, said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        call()
