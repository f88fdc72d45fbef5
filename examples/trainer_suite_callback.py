"""Measure corrupted digits at the end of every epoch of transformers' Trainer.

pip install transformers accelerate
python examples/trainer_suite_callback.py
"""

import tempfile

import numpy as np
import torch
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from robench.data import digits
from robench.integrations import SuiteTrainerCallback


def data(count: int) -> list[dict[str, torch.Tensor]]:
    """Return some of the embedded digits, normalised with mean and standard deviation 0.5."""
    found = digits.load("train")
    images = torch.from_numpy(found.read(np.arange(count))).permute(0, 3, 1, 2).float() / 127.5 - 1
    return [{"pixel_values": one, "labels": label} for one, label in zip(images, found.labels.tolist(), strict=False)]


if __name__ == "__main__":
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        num_labels=10,
    )  # fmt: skip
    suite = SuiteTrainerCallback(
        "digits-c", mean=0.5, std=0.5, corruption="fog,contrast", severity="3", limit=60
    )  # or within=1.0
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=2, per_device_train_batch_size=50, use_cpu=True, report_to=[], disable_tqdm=True,
            save_strategy="no", logging_strategy="no",
        )  # fmt: skip
        trainer = Trainer(ViTForImageClassification(config), arguments, train_dataset=data(200), callbacks=[suite])
        trainer.train()
    for row in trainer.state.log_history:
        if "digits-c/mean_error" in row:
            print(f"epoch {row['epoch']:.0f}: mean error {row['digits-c/mean_error']:.3f}")
