"""Models of RobustBench's zoo, where its package is installed: ``robustbench:NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, did_you_mean, first_line
from robench.models.base import Model, Preprocessing
from robench.models.published import named
from robench.models.safe_reading import tensors_only

if TYPE_CHECKING:
    from robench.models.request import Request

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
_THREATS = ("corruptions", "Linf", "L2")  # a name in several of them means the first


def from_robustbench(name: str, request: Request) -> Model:
    """Load a model of RobustBench's zoo by its package; images are not normalised, as its models do that themselves.

    Args:
        name: ``NAME``, or ``DATASET/NAME`` where the suite does not say the data set.
        request: whose ``dataset`` chooses among the zoo's.

    Raises:
        RobenchError: the package is not installed, no such model, or its weights could not be downloaded.
    """
    try:
        from robustbench.model_zoo.models import model_dicts
        from robustbench.utils import load_model
    except ImportError as error:
        raise RobenchError(
            f"robustbench:{name} needs the package robustbench: {first_line(error)}",
            hint="pip install git+https://github.com/RobustBench/robustbench.git",
        ) from error
    dataset, slash, rest = name.partition("/")
    dataset, title = (dataset, rest) if slash else (request.dataset or "", name)
    if dataset not in CLASSES:
        raise RobenchError(
            f"Which data set robustbench:{name} is for is not known; RobustBench has {', '.join(CLASSES)}.",
            hint=f"For example 'robustbench:cifar10/{title}'.",
        )
    zoo = _zoo(model_dicts, dataset)
    threat = next((one for one in _THREATS if title in zoo.get(one, ())), None)
    if threat is None:
        known = sorted({model for models in zoo.values() for model in models})
        raise RobenchError(f"RobustBench has no model '{title}' for {dataset}.", hint=did_you_mean(title, known))
    try:
        with tensors_only():
            module = load_model(model_name=title, dataset=dataset, threat_model=threat).eval()
    except Exception as error:  # network errors, and what the zoo's own code raises
        raise RobenchError(
            f"Could not load robustbench:{dataset}/{title}: {first_line(error)}",
            hint="Download the weights by hand, and give the file with its architecture: `arch`.",
        ) from error
    return named(f"robustbench:{dataset}/{title}", module, CLASSES[dataset], Preprocessing(origin="robustbench"))


def _zoo(model_dicts: Any, dataset: str) -> dict[str, Any]:
    """Return threat model -> the zoo's models by name, for a data set."""
    return {
        str(getattr(threat, "value", threat)): models
        for data, threats in model_dicts.items()
        if getattr(data, "value", data) == dataset
        for threat, models in threats.items()
    }
