"""Train and evaluate the reference models on CIFAR-10 data, one budget for all methods, in pieces of a few minutes.

One command trains what is still missing, evaluates it through the command line like anyone's model, and stops
before its time is over; given again (with what came back) it goes on.

    python scripts/train_reference.py --data DIR --out "$OUT" --minutes 9
    python scripts/train_reference.py --data DIR --out "$OUT" --only standard augmix --seeds 1 2 3 --minutes 9

Left in OUT: models/NAME/{weights.safetensors,card.yaml,recipe.yaml,log.csv}, results/SUITE/NAME/result.json,
logs/NAME.log, and summary.json with seconds and accuracies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Reference:
    """One model: its recipe, and what makes it share the network and budget of the others."""

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    networks: bool = False


WRN = "architecture=wrn-40-2"
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
    Reference("deepaugment", "deepaugment-cifar10-wrn40-2", networks=True),
    Reference("deepaugment-augmix", "deepaugment-augmix-cifar10-wrn40-2", networks=True),
    Reference("autolabel-augmix", "autolabel-augmix-cifar10-wrn28-10", (WRN,)),
    Reference("autolabel-mixup", "autolabel-mixup-cifar10-wrn28-10", (WRN,)),
    Reference("weak-augment", "weak-augment-cifar10-wrn28-2"),
    Reference("adversarial", "adversarial-cifar10-wrn40-2"),
)


class Session:
    """What is left of the time, and where everything goes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.stop = time.monotonic() + 60 * options.minutes
        self.longest = 0.0

    def left(self) -> float:
        """Seconds until the session must have ended."""
        return self.stop - time.monotonic()

    def run(self, words: list[str], log: Path) -> bool:
        """Run one robench command with its output in a log; False where it failed or ran out of time."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write("$ robench " + " ".join(words) + "\n")
            file.flush()
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "robench", *words],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=max(self.left(), 1.0),
                    check=False,
                )
            except subprocess.TimeoutExpired:
                file.write("stopped: out of time; the checkpoint is kept\n")
                return False
        return done.returncode == 0

    def train(self, model: Reference, seed: int) -> Path | None:
        """Train one model, or go on with it; None where it is not finished yet."""
        options = self.options
        folder = self.out / "models" / label(model, seed)
        if (folder / "card.yaml").is_file():
            return folder
        settings = [
            f"epochs={options.epochs}", f"seed={seed}", f"batch_size={options.batch_size}",
            f"precision={options.precision}", "weights=float16", "data.dataset=cifar10-jpeg",
        ]  # fmt: skip
        if model not in NETWORKS:
            settings += [f"optimiser.lr={options.lr}", "optimiser.schedule=cosine", "optimiser.nesterov=true"]
            settings += model.settings
        settings += options.settings
        words = ["train", "--recipe", model.recipe, "--data", str(options.data), "--out", str(folder)]
        for setting in settings:
            words += ["--set", setting]
        finished = self.run(words, self.out / "logs" / f"{folder.name}.log")
        return folder if finished else None

    def evaluate(self, folder: Path) -> bool:
        """Evaluate one model on every suite; finished cells are not measured again."""
        done = True
        for suite in self.options.suites:
            target = self.out / "results" / suite / folder.name
            if (target / "result.json").is_file():
                continue
            words = ["evaluate", "--model", str(folder), "--name", folder.name]
            words += ["--suite", suite, "--data", str(self.options.data), "--out", str(target), "--quiet"]
            if self.options.limit is not None:
                words += ["--limit", str(self.options.limit)]
            done = self.run(words, self.out / "logs" / f"{folder.name}.log") and done
        return done

    def handle(self, model: Reference, seed: int) -> bool:
        """Train and evaluate one model; False where there is no time for another like the longest."""
        if self.left() < self.longest:
            return False
        begun = time.monotonic()
        folder = self.train(model, seed)
        evaluated = folder is not None and model not in NETWORKS and self.evaluate(folder)
        self.longest = max(self.longest, time.monotonic() - begun)
        state = "done" if evaluated or (folder is not None and model in NETWORKS) else "not finished, see its log"
        print(f"{label(model, seed)}: {state}, {time.monotonic() - begun:.0f} s", flush=True)
        return self.left() > 0

    def summarise(self) -> None:
        """Write what was trained, at what cost and with what clean accuracy."""
        cards = sorted((self.out / "models").glob("*/card.yaml"))
        rows = {card.parent.name: yaml.safe_load(card.read_text())["trained_with"] for card in cards}
        images = f"{self.options.epochs} epochs, batches of {self.options.batch_size}"
        document = {"budget": images, "precision": self.options.precision, "models": rows}
        (self.out / "summary.json").write_text(json.dumps(document, indent=2) + "\n")


def label(model: Reference, seed: int) -> str:
    """Return the model's folder: its name, with the seed where it is not 1."""
    return model.name if seed == 1 else f"{model.name}-seed{seed}"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 images (Parquet, npy, batches)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of models; default: all")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--suites", nargs="*", default=["cifar10-c", "cifar10-p"])
    parser.add_argument("--limit", type=int, help="images a cell, for a quick try")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


def main() -> int:
    """Train and evaluate what is missing."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    known = {model.name: model for model in (*NETWORKS, *MODELS)}
    unknown = set(options.only or []) - set(known)
    if unknown:
        print(f"No model {', '.join(sorted(unknown))}; known: {', '.join(known)}.", file=sys.stderr)
        return 2
    wanted = [known[name] for name in options.only] if options.only else list(MODELS)
    if any(model.networks for model in wanted):
        wanted = [network for network in NETWORKS if network not in wanted] + wanted
    session = Session(options)
    for model in wanted:
        for seed in options.seeds if model not in NETWORKS else [1]:
            if not session.handle(model, seed):
                session.summarise()
                print("Out of time; give the same command again to go on.")
                return 1
    session.summarise()
    return 0


if __name__ == "__main__":
    sys.exit(main())
