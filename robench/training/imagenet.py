"""torchvision's ResNets with the normalisation that a training method needs."""

from __future__ import annotations

from torch import nn

from robench.errors import RobenchError
from robench.models.architectures.norms import DuBIN, plain_norm


def build(name: str, num_classes: int, norm: str) -> nn.Module:
    """Return a torchvision network, its BatchNorms replaced where ``norm`` asks for it.

    DuBIN takes the first norm of every block of the first three stages (IBN-a, as in AugMax's code); every other
    one becomes a dual BatchNorm. Affine parameters are freshly initialised.

    Args:
        name: a torchvision model with BatchNorm, such as ``resnet50``.
        num_classes: K.
        norm: ``bn``, ``dubn``, ``dubin``, ``splitbn`` or ``splitbn-shared``.

    Raises:
        RobenchError: torchvision has no such model, or it has no stages for DuBIN.
    """
    import torchvision

    try:
        module: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes)
    except ValueError as error:
        raise RobenchError(
            f"Unknown architecture '{name}'.",
            hint="`robench models list` names ours; torchvision's go by their own names, such as resnet50.",
        ) from error
    if norm == "bn":
        return module
    if norm == "dubin" and not hasattr(module, "layer3"):
        raise RobenchError(f"DuBIN is defined for ResNets; '{name}' has no residual stages.")
    for path, part in list(module.named_modules()):
        if isinstance(part, nn.BatchNorm2d):
            parent, _, leaf = path.rpartition(".")
            instance = norm == "dubin" and leaf == "bn1" and path.startswith(("layer1.", "layer2.", "layer3."))
            fresh = DuBIN(part.num_features) if instance else plain_norm(norm)(part.num_features)
            setattr(module.get_submodule(parent), leaf, fresh)
    return module
