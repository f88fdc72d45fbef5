"""Corrupt your images: one image, a data set, and a training set.

python examples/corrupt_a_data_set.py
"""

import numpy as np
import torch
from torchvision.transforms import v2

from robench.corruptions import EXTRA, Corrupt, Corrupted, RandomCorruption, corrupt

# One image, as an array (H, W, 3) of uint8. The call of imagecorruptions works as well:
# corrupt(image, corruption_name="fog", severity=3)
image = np.full((64, 64, 3), 128, np.uint8)
foggy = corrupt(image, "fog", 3)
print("fog:", foggy.shape, foggy.dtype, "mean", round(float(foggy.mean())))

# A test set: every image is corrupted by its number, the same in every epoch, order and worker.
images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
labels = torch.arange(8)
clean = list(zip(images, labels.tolist(), strict=True))
to_floats = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.5,) * 3, (0.5,) * 3)])
test = Corrupted(clean, Corrupt("gaussian_noise", 5), then=to_floats)
loader = torch.utils.data.DataLoader(test, batch_size=4)
batch, targets = next(iter(loader))
print("test batch:", tuple(batch.shape), targets.tolist())

# A training set: before the normalisation, among other transforms. The extra corruptions are not in the benchmark's.
train = v2.Compose([v2.RandomHorizontalFlip(), RandomCorruption(EXTRA, p=0.5), to_floats])
print("training image:", tuple(train(images[0]).shape))
