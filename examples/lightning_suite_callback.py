"""Measure corrupted digits at the end of every epoch of a Lightning training, and log calibration on clean images.

pip install lightning
python examples/lightning_suite_callback.py
"""

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from robench.data import digits
from robench.integrations import ConfidenceMetric, SuiteCallback


def data(split: str, count: int) -> TensorDataset:
    """Return some of the embedded digits as floats in [0, 1]."""
    import numpy as np

    found = digits.load(split)
    images = torch.from_numpy(found.read(np.arange(count))).permute(0, 3, 1, 2).float() / 255
    return TensorDataset(images, torch.from_numpy(found.labels[:count]))


class Classifier(lightning.LightningModule):
    """A small network on images in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 10))
        self.ece = ConfidenceMetric("ece")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        images, labels = batch
        self.ece(self(images), labels)
        self.log("ece", self.ece, on_epoch=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


if __name__ == "__main__":
    torch.manual_seed(0)
    suite = SuiteCallback("digits-c", corruption="fog,contrast", severity="3", limit=60)  # or within=1.0
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[suite], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(
        Classifier(), DataLoader(data("train", 400), batch_size=50), DataLoader(data("test", 100), batch_size=50)
    )
    print({name: round(float(value), 4) for name, value in trainer.callback_metrics.items()})
    print("mean error by epoch:", [round(result.summary["mean_error"].value, 3) for result in suite.results])
