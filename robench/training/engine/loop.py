"""The one training loop: a method is a loss over a batch, and everything else is shared."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench._version import __version__
from robench.corruptions._gpu import upload
from robench.cpu import keep_to_quota, kept_memory
from robench.errors import RobenchError
from robench.files import digest, unwritable
from robench.processes import World, joined, resolve_device
from robench.training import methods
from robench.training.engine import artefacts, checkpoints, distribution, schedule
from robench.training.engine.batch import Batch
from robench.training.engine.logs import Log, Progress
from robench.training.engine.network import Network
from robench.training.engine.setup import Material, build_module, check_finished, prepare
from robench.training.engine.source import DeviceSource
from robench.training.methods.base import Method, Preparation
from robench.training.recipes.digest import run_key
from robench.training.recipes.schema import Recipe

_CHECK_EVERY = 20
"""Steps between looks at the loss: every look waits for the device."""
_PREPARED = "prepared"
"""Folder of what a method made before the first step; removed when the run is finished."""
_GRAPHS = 32
"""Graphs that a compiled network may have."""


def train(
    recipe: Recipe,
    data: str | Path | None = None,
    out: str | Path = "runs/model",
    *,
    device: str | None = None,
    fresh: bool = False,
    quiet: bool = False,
    command: str = "",
    folders: Mapping[str, Path] | None = None,
    after_step: Callable[[int], None] | None = None,
) -> Path:
    """Train one recipe and write weights, card, resolved recipe and log to ``out``.

    An interrupted run (even by SIGKILL) resumes from its last checkpoint and ends with the same weights as an
    uninterrupted one; of several processes a checkpoint within an epoch (``checkpoint_steps``) keeps the first one's
    running statistics only. A finished run is not trained again unless ``fresh``.

    Args:
        recipe: from ``recipes.load``.
        data: folder or file of the training data; None for the embedded digits.
        out: the run's folder.
        device: ``cpu``, ``cuda``, ``cuda:1``; None takes a GPU where there is one.
        fresh: discard what is in ``out``.
        quiet: no progress.
        command: the command line that repeats this, for the card.
        folders: folders of the models that the recipe mentions by name (``needed.networks``).
        after_step: called with the number of updates done after each of them.

    Returns:
        ``out``.

    Raises:
        RobenchError: unreadable data, settings that do not fit, a run of other settings or images in ``out``, or a
            loss that is not finite.
    """
    out = Path(out)
    if fresh:
        for name in (checkpoints.FILE, "card.yaml"):  # otherwise the old card would mark the new run as finished
            (out / name).unlink(missing_ok=True)
    elif (out / "card.yaml").is_file() and not (out / checkpoints.FILE).is_file():
        check_finished(out, recipe, data)
        return out
    usual = "cuda" if torch.cuda.is_available() else "cpu"  # not MPS, which has no float64
    named = usual if device in (None, "auto") else str(device)
    resolve_device(named)
    keep_to_quota()
    try:
        out.mkdir(parents=True, exist_ok=True)  # before the work, not after its first epoch
    except OSError as error:
        raise unwritable(out, error) from error
    with joined(named) as world, kept_memory(named), _graphs(recipe.compile):
        kind = torch.device("cuda:0" if (found := world.device(named)) == "cuda" else found)
        trainer = Trainer(recipe, data, out, kind, world, quiet)
        trainer.locate(folders or {})
        trainer.run(after_step)
        if world.first:
            trainer.finish(command)
    return out


class Trainer:
    """One run: its data, its state, and its steps."""

    def __init__(
        self,
        recipe: Recipe,
        data: str | Path | None,
        out: Path,
        device: torch.device,
        world: World,
        quiet: bool,
    ) -> None:
        self.recipe, self.out, self.device, self.world, self.quiet = recipe, out, device, world, quiet
        torch.manual_seed(recipe.seed)
        self.before, self.method = methods.of(recipe)
        self.module = build_module(recipe, self.method, device, world)
        self.material: Material = prepare(recipe, None if data is None else Path(data), device)
        self.images = self.material.source.identity()
        self._check_shares()
        self.net = self._network()
        self.optimiser = schedule.build_optimiser(recipe.optimiser, self.module)
        decay = recipe.optimiser.ema
        self.average = schedule.MovingAverage(self.module, decay) if decay else None
        self.epoch, self.step_in_epoch, self.seconds = 0, 0, 0.0
        self.tally = torch.zeros(3, dtype=torch.float64, device=device)
        self.log = Log(out, [], world.first)
        self._restore()

    def _check_shares(self) -> None:
        """Check that every process has an image in every step: the mean loss over none is NaN."""
        count, batch = len(self.material.train_index), self.recipe.batch_size
        last = count - (self.steps_per_epoch - 1) * batch
        fewest = min(batch, last)
        if fewest < self.world.size:
            raise RobenchError(
                f"A step of {fewest} images cannot be split over {self.world.size} processes.",
                hint="Choose another batch_size, or omit an epoch's incomplete last step: `set='drop_last=true'`.",
            )

    @property
    def _autocast(self) -> torch.dtype | None:
        return torch.bfloat16 if self.recipe.precision == "bf16" else None

    def _network(self) -> Network:
        part = self.recipe.data
        module = torch.compile(self.module) if self.recipe.compile else self.module
        assert isinstance(module, nn.Module)
        return Network(module, part.mean, part.std, self.device, self._autocast)

    def locate(self, folders: Mapping[str, Path]) -> None:
        """Tell the methods where the models are that the recipe mentions by name."""
        for method in self._methods():
            method.locate(folders)

    def _methods(self) -> list[Method]:
        return [self.method] if self.before is None else [self.before, self.method]

    @property
    def steps_per_epoch(self) -> int:
        """Updates per epoch."""
        count, batch = len(self.material.train_index), self.recipe.batch_size
        return max(1, count // batch if self.recipe.drop_last else -(-count // batch))

    def run(self, after_step: Callable[[int], None] | None = None) -> None:
        """Train from the current state to the end."""
        begun = time.monotonic()
        earlier = self.seconds
        source = self.material.source
        quiet = self.quiet or not self.world.first
        if not quiet and (left_out := schedule.cut_short(self.recipe.optimiser, self.recipe.epochs)):
            print(f"{self.recipe.name}: {left_out}.", file=sys.stderr)
        work = Preparation(self.out / _PREPARED if self.world.first else None, quiet, self._autocast)
        for method in self._methods():
            method.begin(source.images if isinstance(source, DeviceSource) else None, self.recipe.seed, work)
        total = self.recipe.epochs * self.steps_per_epoch
        done = self.epoch * self.steps_per_epoch + self.step_in_epoch
        progress = Progress(self.recipe.name, total, done, quiet)
        seen = 0
        while self.epoch < self.recipe.epochs:
            for batch in self._batches():
                self._step(batch, done)
                done += 1
                seen += len(batch.labels) * self.world.size
                self.step_in_epoch += 1
                self.seconds = earlier + time.monotonic() - begun
                progress.show(done, seen, self._note())
                self._maybe_save(done)
                if after_step is not None:
                    after_step(done)
            self._end_epoch()

    def _orders(self) -> list[torch.Tensor]:
        """Return this process's image numbers for every step of the epoch."""
        number = self.recipe.seed * 1_000_003 + self.epoch
        generator = torch.Generator().manual_seed(number % 2**64)
        index = self.material.train_index
        index = index[torch.randperm(len(index), generator=generator)]
        size = self.recipe.batch_size
        steps = [index[step * size : (step + 1) * size] for step in range(self.steps_per_epoch)]
        return [step[self.world.rank :: self.world.size] for step in steps]

    def _batches(self) -> Iterator[Batch]:
        orders = self._orders()[self.step_in_epoch :]
        images = self.material.source.batches(orders, self.epoch)
        for order, pixels in zip(orders, images, strict=True):
            index = upload(order, self.device)
            labels = self.material.source.labels[index]
            batch = Batch(pixels, labels, index, self.recipe.data, self.recipe.seed, self.epoch, order)
            yield batch if self.before is None else self.before.shown(batch)

    def _step(self, batch: Batch, number: int) -> None:
        part = self.recipe.optimiser
        rate = schedule.learning_rate(part, number, self.steps_per_epoch, self.recipe.epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.module.train()
        step = self.method.loss(self.net, batch)
        self.optimiser.zero_grad(set_to_none=True)
        step.loss.backward()
        distribution.average_gradients(self.module, self.world, len(batch.labels))
        if part.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), part.clip_norm)
        self.optimiser.step()
        if self.average is not None:
            self.average.update(self.module)
        with torch.no_grad():
            n = len(batch.labels)
            self.tally[0] += step.loss.detach().double() * n
            if step.logits is not None and step.labels is not None:
                # A method may return logits for part of the batch only; that part then represents all of it.
                right = (step.logits.argmax(dim=1) == step.labels).sum()
                self.tally[1] += right * (n / max(1, len(step.labels)))
            self.tally[2] += n
        if (number + 1) % _CHECK_EVERY == 0:
            self._check_finite(number + 1)

    def _check_finite(self, done: int, *, weights: bool = False) -> None:
        """Stop on a loss that is not finite; with ``weights`` also after an update that broke the weights."""
        finite = torch.isfinite(self.tally[0])
        if weights:
            values = [value for value in self.module.state_dict().values() if value.is_floating_point()]
            finite = finite & torch.stack([torch.isfinite(value).all() for value in values]).all()
        if not bool(finite):
            raise RobenchError(
                f"The loss is not finite after {done} updates of {self.recipe.name}; "
                f"the last good checkpoint is kept in {self.out / checkpoints.FILE}.",
                hint="Lower optimiser.lr, set optimiser.clip_norm=1, or use precision=fp32.",
            )

    def _note(self) -> str:
        row = self.log.rows[-1] if self.log.rows else {}
        accuracy = row.get("train_accuracy")
        return "" if accuracy is None else f", epoch {self.epoch}: training accuracy {accuracy:.1%}"

    def _maybe_save(self, done: int) -> None:
        every = self.recipe.checkpoint_steps
        if every and done % every == 0 and self.step_in_epoch < self.steps_per_epoch:
            self._check_finite(done, weights=True)
            self._save()

    def _end_epoch(self) -> None:
        done = (self.epoch + 1) * self.steps_per_epoch
        self._check_finite(done, weights=True)
        distribution.average_buffers(self.module, self.world)
        if self.average is not None:
            self.average.take_buffers(self.module)
        values = self.method.end_epoch(self.net, self.material.held_out_batch(self.recipe, self.epoch))
        loss, correct, count = distribution.total(self.tally.clone(), self.world).tolist()
        row: dict[str, Any] = {"epoch": self.epoch + 1, "seconds": round(self.seconds, 3), "loss": loss / count}
        if self.recipe.num_classes and self.material.source.labels.ndim == 1:
            row["train_accuracy"] = correct / count
        row["lr"] = self.optimiser.param_groups[-1]["lr"]
        self.log.add(row | values)
        self.epoch, self.step_in_epoch = self.epoch + 1, 0
        self.tally.zero_()
        self._save()

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": run_key(self.recipe),
            "images": self.images,
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "seconds": self.seconds,
            "tally": self.tally,
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "methods": [method.state() for method in self._methods()],
            "log": self.log.rows,
            "random": torch.get_rng_state(),
            "random_device": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def _save(self) -> None:
        if self.world.first:
            checkpoints.save(self.out / checkpoints.FILE, self._state())

    def _restore(self) -> None:
        keys = run_key(self.recipe), digest(self.recipe.model_dump(mode="json"))  # the latter of earlier versions
        state = checkpoints.load(self.out / checkpoints.FILE, *keys, images=self.images)
        if state is None:
            return
        self.epoch, self.step_in_epoch, self.seconds = state["epoch"], state["step_in_epoch"], state["seconds"]
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state(state["average"])
        for method, kept in zip(self._methods(), state["methods"], strict=True):
            method.load_state(kept)
        self.tally.copy_(state["tally"])
        self.log.rows.extend(state["log"])
        torch.set_rng_state(state["random"])
        if state["random_device"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_device"], self.device)

    def finish(self, command: str) -> None:
        """Round and save the weights, measure the clean accuracies, and write the card."""
        if self.average is not None:
            self.module.load_state_dict(self.average.values)
        weights = artefacts.round_weights(self.module, self.recipe.weights)
        with evaluating(self.module):
            accuracies = self.material.accuracies(self.net, self.method.TEST_ROUTE)
        trained_with = {
            "seed": self.recipe.seed,
            "epochs": self.recipe.epochs,
            "images": len(self.material.train_index),
            "images_digest": self.images,
            **({"stored": stored} if (stored := getattr(self.material.source, "stored", "")) else {}),
            "passes": round(self.method.passes_taken, 2),
            "seconds": round(self.seconds, 1),
            "robench": __version__,
            "torch": str(torch.__version__),
            **accuracies,
        }
        card = artefacts.make_card(self.recipe, command, trained_with, self.material.source.classes)
        artefacts.write(self.out, self.recipe, weights, card)
        (self.out / checkpoints.FILE).unlink(missing_ok=True)
        shutil.rmtree(self.out / _PREPARED, ignore_errors=True)


@contextmanager
def _graphs(compiled: bool) -> Iterator[None]:
    """Room for a graph per route, mode and size of a batch: AugMax needs ten, and torch gives up after eight."""
    if not compiled:
        yield
        return
    from torch._dynamo import config

    with config.patch(recompile_limit=max(_GRAPHS, config.recompile_limit)):
        yield


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)
