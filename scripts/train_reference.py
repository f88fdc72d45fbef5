"""Train and evaluate the reference models on CIFAR-10 data, one budget for all methods, in pieces of a few minutes.

One command trains what is still missing, several at a time, measures it through the command line like anyone's model
(corruptions, sequences, Fourier map), and stops before its time is over. Given again, it goes on where it was: a run
that was cut off from its last epoch, an evaluation from its last cell.

    python scripts/train_reference.py --data DIR --out runs/reference --minutes 9 --jobs 4 --pack "$OUT"
    python scripts/train_reference.py --data DIR --out runs/try --epochs 1 --limit 20 --only standard augmix \
        --set data.limit=200 --precision float32 --window 3

Left in --out: models/NAME/{weights.safetensors,card.yaml,recipe.yaml,log.csv}, results/SUITE/NAME/result.json (with the
predictions beside it), results/fourier/NAME.json, logs/NAME.log and summary.json. --pack puts all but the predictions
of every model that was finished since into tar files of at most 15 MiB. On a fresh machine, unpack those into --out
first: what has a card is not trained again, what has a result is not measured again.

It needs robench's dependencies only. On a machine without a package index bring what it lacks as wheels for its Python;
beside PyTorch, torchvision, timm and numba these are mostly pydantic, pydantic-core, annotated-types,
typing-inspection, platformdirs and av, in a folder on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import packing
import yaml

SUMMARY = "summary.json"
SEEDED = ("standard", "augmix")


@dataclass(frozen=True)
class Reference:
    """One model: its recipe, and what makes it share the network and budget of the others.

    Args:
        name: of its folder.
        recipe: of ``robench train``.
        settings: beside those that all share.
        networks: whether it needs DeepAugment's networks.
        branches: predictions beside the usual one: of the auxiliary BatchNorm, of the mean of both.
    """

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    networks: bool = False
    branches: tuple[str, ...] = ()


WRN = "architecture=wrn-40-2"
ONCE = ("options.once=true",)  # every image's two pictures are made before the first step, as published
NETWORKS = (Reference("edsr", "edsr-cifar10"), Reference("cae", "cae-cifar10"))
MODELS = (
    Reference("standard", "standard-cifar10-wrn40-2"),
    Reference("augmix", "augmix-cifar10-wrn40-2"),
    Reference("augmax-dubin", "augmax-cifar10-wrn40-2-paper"),
    Reference("cutout", "cutout-cifar10-wrn40-2"),
    Reference("mixup", "mixup-cifar10-wrn40-2"),
    Reference("cutmix", "cutmix-cifar10-wrn40-2"),
    Reference("autoaugment", "autoaugment-cifar10-wrn40-2"),
    Reference("randaugment", "randaugment-cifar10-wrn28-2", (WRN,)),
    Reference("augmix-nojsd", "augmix-nojsd-cifar10-wrn40-2"),
    Reference("noise2net", "noise2net-cifar10-wrn40-2"),
    Reference("autolabel-augmix", "autolabel-augmix-cifar10-wrn28-10", (WRN,)),
    Reference("autolabel-mixup", "autolabel-mixup-cifar10-wrn28-10", (WRN,)),
    Reference("weak-augment", "weak-augment-cifar10-wrn28-2", branches=("bn=auxiliary", "bn=mean")),
    Reference("adversarial", "adversarial-cifar10-wrn40-2"),
    Reference("deepaugment", "deepaugment-cifar10-wrn40-2", ONCE, networks=True),
    Reference("deepaugment-augmix", "deepaugment-augmix-cifar10-wrn40-2", ONCE, networks=True),
)


class Session:
    """What is left of the time, and where everything goes; used by several threads."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.stop = time.monotonic() + 60 * options.minutes

    def left(self) -> float:
        """Seconds until the session must have ended."""
        return self.stop - time.monotonic()

    def run(self, words: list[str], log: Path) -> bool:
        """Run one robench command with its output in a log; False where it failed or ran out of time."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write("$ robench " + " ".join(words) + "\n")
            file.flush()
            command = [sys.executable, "-m", "robench", *words]
            try:
                limit = max(self.left(), 1.0)
                done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=limit, check=False)
            except subprocess.TimeoutExpired:
                file.write("stopped: out of time; what was finished is kept\n")
                return False
        return done.returncode == 0

    def train(self, model: Reference, seed: int) -> bool:
        """Train one model, or go on with it; False where it is not finished yet."""
        options = self.options
        folder = self.out / "models" / label(model, seed)
        if (folder / "card.yaml").is_file() and not (folder / "checkpoint.pt").is_file():
            return True
        network = model in NETWORKS
        settings = [f"seed={seed}", f"batch_size={options.batch_size}", f"precision={options.precision}"]
        settings += ["weights=float16", "data.dataset=cifar10-jpeg"]
        settings += [f"epochs={options.network_epochs if network else options.epochs}"]
        if not network:
            settings += [f"optimiser.lr={options.lr}", "optimiser.schedule=cosine", "optimiser.nesterov=true"]
            settings += model.settings
        words = ["train", "--recipe", model.recipe, "--data", str(options.data), "--out", str(folder)]
        for setting in [*settings, *options.settings]:
            words += ["--set", setting]
        return self.run(words, self.log(folder.name))

    def log(self, name: str) -> Path:
        """Return the file that takes a model's output."""
        return self.out / "logs" / f"{name}.log"

    def evaluate(self, name: str, branch: str = "") -> bool:
        """Measure one model on every suite, and its Fourier map; what is finished is not measured again."""
        spec = str(self.out / "models" / name) + (f"?{branch}" if branch else "")
        shown = name + (f"-{branch.replace('=', '-')}" if branch else "")
        done = True
        for suite in self.options.suites:
            target = self.out / "results" / suite / shown
            if not (target / "result.json").is_file():
                words = ["evaluate", "--model", spec, "--name", shown, "--suite", suite]
                words += ["--data", str(self.options.data), "--out", str(target), "--quiet"]
                words += ["--limit", str(self.options.limit)] if self.options.limit is not None else []
                done = self.run(words, self.log(name)) and done
        return self.fourier(spec, shown, name) and done

    def fourier(self, spec: str, shown: str, name: str) -> bool:
        """Measure the Fourier map, unless it is there."""
        options = self.options
        path = self.out / "results" / "fourier" / f"{shown}.json"
        if path.is_file() or options.fourier_limit == 0:
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        words = ["fourier", "--model", spec, "--data", str(options.data), "--out", str(path), "--quiet"]
        words += ["--limit", str(options.fourier_limit)]
        words += ["--window", str(options.window)] if options.window is not None else []
        return self.run(words, self.log(name))

    def handle(self, model: Reference, seed: int, needed: list[Future[bool]]) -> bool:
        """Train and measure one model after those it needs; False where that is not finished."""
        if not all(future.result() for future in needed) or self.left() < self.options.least:
            return False
        begun = time.monotonic()
        name = label(model, seed)
        done = self.train(model, seed)
        if done and model not in NETWORKS:
            done = all(self.evaluate(name, branch) for branch in ("", *model.branches))
        state = "done" if done else f"not finished, see {self.log(name)}"
        print(f"{name}: {state}, {time.monotonic() - begun:.0f} s", flush=True)
        return done

    def summarise(self) -> list[str]:
        """Write what was trained, at what cost, and how it did; return the finished models' names."""
        rows = {}
        for card in sorted((self.out / "models").glob("*/card.yaml")):
            rows[card.parent.name] = {"trained_with": yaml.safe_load(card.read_text())["trained_with"]}
        for result in sorted((self.out / "results").glob("*/*/result.json")):
            summary = json.loads(result.read_text())["summary"]
            figures = {name: figure["value"] for name, figure in summary.items()}
            rows.setdefault(result.parent.name, {})[result.parent.parent.name] = figures
        document = {"budget": budget_of(self.options), "models": rows}
        (self.out / SUMMARY).write_text(json.dumps(document, indent=2) + "\n")
        return list(rows)


def budget_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all models of a folder share."""
    shared = ("epochs", "network_epochs", "batch_size", "lr", "precision", "settings")
    return {name: getattr(options, name) for name in shared}


def check_budget(options: argparse.Namespace) -> None:
    """Refuse to go on in a folder whose models had another budget: their figures would stand under this one."""
    path = options.out / SUMMARY
    if path.is_file() and (there := json.loads(path.read_text())["budget"]) != budget_of(options):
        raise SystemExit(f"{path}: the models there were trained with {there}; give those options, or another --out.")


def label(model: Reference, seed: int) -> str:
    """Return the model's folder: its name, with the seed where it is not 1."""
    return model.name if seed == 1 else f"{model.name}-seed{seed}"


def plan(options: argparse.Namespace) -> list[tuple[Reference, int]]:
    """Return what is to be done, in order: networks where needed, every model, then more seeds of some."""
    known = {model.name: model for model in (*NETWORKS, *MODELS)}
    unknown = set(options.only or []) - set(known)
    if unknown:
        raise SystemExit(f"No model {', '.join(sorted(unknown))}; known: {', '.join(known)}.")
    wanted = [known[name] for name in options.only] if options.only else list(MODELS)
    if any(model.networks for model in wanted):
        wanted = [*NETWORKS, *(model for model in wanted if model not in NETWORKS)]
    items = [(model, 1) for model in wanted]
    return items + [(model, seed) for seed in options.more_seeds for model in wanted if model.name in SEEDED]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 images (Parquet, npy, batches)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pack", type=Path, help="folder for tar files of what was finished since the last time")
    parser.add_argument("--only", nargs="*", help="names of models; default: all")
    parser.add_argument("--more-seeds", nargs="*", type=int, default=[2, 3], help=f"of {', '.join(SEEDED)}")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--network-epochs", type=int, default=10, help="of DeepAugment's networks")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--precision", default="bfloat16", help="of training: bfloat16 (autocast) or float32")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so many")
    parser.add_argument("--least", type=float, default=30.0, help="seconds left under which nothing is begun")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time on the one device")
    parser.add_argument("--suites", nargs="*", default=["cifar10-c", "cifar10-p"])
    parser.add_argument("--limit", type=int, help="images a cell, for a quick try")
    parser.add_argument("--fourier-limit", type=int, default=1000, help="images of the Fourier map; 0: no map")
    parser.add_argument("--window", type=int, help="only the Fourier map's lowest frequencies, for a quick try")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


def main() -> int:
    """Train and measure what is missing; 0: all done, 1: give the command again."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    check_budget(options)
    session = Session(options)
    networks: dict[str, Future[bool]] = {}
    futures = []
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for model, seed in plan(options):
            needed = list(networks.values()) if model.networks else []
            future = pool.submit(session.handle, model, seed, needed)
            futures.append(future)
            if model in NETWORKS:
                networks[model.name] = future
    names = session.summarise()
    if options.pack is not None:
        for path in packing.pack(options.out, names, options.pack):
            print(f"packed {path}")
    left = sum(not future.result() for future in futures)
    print("All done." if not left else f"{left} of {len(futures)} are not finished; give the same command again.")
    return min(left, 1)


if __name__ == "__main__":
    sys.exit(main())
