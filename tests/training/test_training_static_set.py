"""DeepAugment's written sets: published geometry, one distortion per image, resuming, damage, training on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import robench
from robench.cli.main import main
from robench.errors import RobenchError
from robench.training import recipes
from robench.training.engine.disk import open_disk
from robench.training.networks import distort_cae, distort_edsr, static_set
from robench.training.networks.cae import CAE
from robench.training.networks.distorter import Distorter, load_network
from robench.training.networks.edsr import EDSR


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs' worth of noise in two classes, of several sizes, as JPEG and PNG files."""
    root = tmp_path_factory.mktemp("source") / "train"
    random = np.random.default_rng(0)
    for number, (width, height) in enumerate([(60, 40), (40, 60), (50, 50), (80, 41), (44, 44), (90, 45)]):
        place = root / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        blocks = random.integers(0, 255, (5, 5, 3), dtype=np.uint8)
        image = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
        image.save(place / (f"{number}.JPEG" if number < 4 else f"{number}.png"))
    return root.parent


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that a test has time for, in the published proportion."""
    monkeypatch.setattr(static_set, "RESIZE", {"edsr": 16, "cae": 32})


def _weights(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    network = EDSR(blocks=16, features=8, scale=4) if kind == "edsr" else CAE(width=32, code=16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / "weights.safetensors")
    return folder


def test_the_published_geometry() -> None:
    assert static_set.RESIZE == {"edsr": 128, "cae": 512}
    assert EDSR().state_dict()["tail.0.2.weight"].shape[0] == 4 * 64  # two doublings: 512 pixels


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["edsr", "cae"])
def test_every_image_has_its_own_distortion(kind: str, source: Path, tmp_path: Path) -> None:
    """As a plain loop: weights anew at some images, the signal at every one, the whole image, no crop."""
    weights = _weights(kind, tmp_path / "weights")
    made = robench.api.deepaugment(
        kind, source, tmp_path / "out", weights=weights, seed=3, workers=1, device="cpu", quiet=True
    )
    assert (made.images, made.written, made.unreadable) == (6, 6, ())
    network = load_network(weights)
    distorter = Distorter(network)
    files = sorted((source / "train").rglob("*.*"), key=lambda path: (path.parent.name, path.name))
    for number, file in enumerate(files):
        distorter.renew(np.random.default_rng((3, 1, static_set.last_renewal(number, 3))))
        image = Image.open(file).convert("RGB")
        side = static_set.RESIZE[kind]
        scale = side / min(image.size)
        small = image.resize((int(image.width * scale + 1e-9), int(image.height * scale + 1e-9)), 2)
        x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255.0
        random = np.random.default_rng((3, 2, number))
        with torch.no_grad():
            forward = distort_edsr.distorted_forward if kind == "edsr" else distort_cae.distorted_forward
            y = forward(network, x, random)  # type: ignore[arg-type]
        written = Image.open(tmp_path / "out" / file.parent.name / file.name)
        assert min(written.size) == (64 if kind == "edsr" else 32)
        expected = (y[0] * 255).to(torch.uint8).permute(1, 2, 0).numpy()
        if file.suffix == ".png":
            assert np.array_equal(np.array(written), expected)
        assert np.array(written).shape == expected.shape


def test_weights_are_distorted_anew_once_in_twenty_images() -> None:
    renewals = {static_set.last_renewal(number, 5) for number in range(3000)}
    assert 110 < len(renewals) < 190
    assert static_set.last_renewal(0, 5) == 0


@pytest.mark.usefixtures("small")
def test_it_resumes_reports_damage_and_refuses_other_settings(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = _weights("cae", tmp_path / "weights"), tmp_path / "out"
    damaged = tmp_path / "data"
    for file in (source / "train").rglob("*.*"):
        place = damaged / file.parent.name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    (damaged / "class0" / "broken.JPEG").write_bytes(b"no image")
    words = ["data", "deepaugment", "--network", "cae", "--source", str(damaged), "--out", str(out)]
    words += ["--weights", str(weights), "--workers", "1", "--device", "cpu"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "6 of 7 images" in said.out
    assert "broken.JPEG" in said.err
    assert json.loads((out / static_set.MARK).read_text())["network"] == "cae"
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    (out / "class1" / "3.JPEG").unlink()
    made = robench.api.deepaugment("cae", damaged, out, weights=weights, workers=1, device="cpu", quiet=True)
    assert made.written == 1
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before
    with pytest.raises(RobenchError, match="another seed"):
        robench.api.deepaugment("cae", damaged, out, weights=weights, seed=9, device="cpu", quiet=True)
    with pytest.raises(RobenchError, match="weights of cae, not of edsr"):
        robench.api.deepaugment("edsr", damaged, out, weights=weights, device="cpu", quiet=True)
    with pytest.raises(RobenchError, match="lies within"):
        robench.api.deepaugment("cae", damaged, damaged / "x", weights=weights, device="cpu", quiet=True)


def test_no_weights_says_how_to_get_them(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobenchError, match="No weights of edsr") as caught:
        robench.api.deepaugment("edsr", source, tmp_path / "out", device="cpu")
    assert "edsr-imagenet" in str(caught.value.hint)


@pytest.mark.slow
def test_processes_write_what_one_writes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_set, "_CHUNK", 2)
    weights = _weights("edsr", tmp_path / "weights")
    found = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        robench.api.deepaugment("edsr", source, out, weights=weights, workers=workers, device="cpu", quiet=True)
        found.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")})
    assert found[0] == found[1]
    assert min(Image.open(tmp_path / "2" / "class0" / "4.png").size) == 512


def test_recipes_read_all_three_sets(source: Path, tmp_path: Path) -> None:
    recipe = recipes.load("deepaugment-imagenet-resnet50", ["data.size=16"])
    assert (recipe.method, recipe.epochs, recipe.batch_size) == ("standard", 30, 1024)
    assert recipe.init == "torchvision:resnet50.IMAGENET1K_V1"
    data = tmp_path / "data"
    data.symlink_to(source)
    device = torch.device("cpu")
    with pytest.raises(RobenchError, match="No folder EDSR") as caught:
        open_disk(recipe.data, data, 1, device)
    assert "robench data deepaugment" in str(caught.value.hint)
    for name in recipe.data.extra:
        place = tmp_path / name / "class1"
        place.mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(place / f"{name}.png")
    found = open_disk(recipe.data, data, 1, device)
    assert len(found.files) == 8
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]  # one class folder alone still counts in both classes
    (tmp_path / "CAE" / "other").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "CAE" / "other" / "0.png")
    with pytest.raises(RobenchError, match="class folders that the training images do not have: other"):
        open_disk(recipe.data, data, 1, device)
