"""Options of ``robench evaluate`` that would be passed over in silence, refused before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.suites.base import Suite


def refuse_contradictions(given: dict[str, Any]) -> None:
    """Refuse options of which one would be passed over in silence.

    Raises:
        RobenchError: two options exclude each other.
    """
    grid = given["models"] is not None or "," in given["suite"]
    pairs = (
        (
            "--models",
            given["models"],
            "--model",
            given["model"],
            "Write all models into the list, or leave it away.",
        ),
        ("--norm-preset", given["norm_preset"], "--mean", given["mean"], "Leave one of them away."),
        ("--norm-preset", given["norm_preset"], "--std", given["std"], "Leave one of them away."),
        (
            "several models or suites",
            grid,
            "--cluster",
            given["cluster"],
            "Give one model and one suite at a time.",
        ),
    )
    for first, one, second, other, hint in pairs:
        if one and other:
            raise RobenchError(f"{first} and {second} do not go together.", hint=hint)


def refuse_unheeded(given: dict[str, Any]) -> None:
    """Refuse an option that none of the suites looks at: a figure would be taken for what it is not.

    Raises:
        RobenchError: there is one.
    """
    from robench.cli.common import split_names
    from robench.suites import get

    suites = [get(name) for name in split_names(given["suite"]) or (given["suite"],)]
    heeded = {
        "split": ("--split", "clean", [s.name == "clean" for s in suites]),
        "difficulty": ("--difficulty", "the suites of sequences (-p)", [s.task == "perturbation" for s in suites]),
        "definition": ("--definition", "svsf and dfr", ["shift" in s.summary for s in suites]),
        "clean": ("--clean", "suites whose clean images lie elsewhere", [_takes_clean(s) for s in suites]),
    }
    for key, (option, whose, found) in heeded.items():
        if given[key] is not None and not any(found):
            raise RobenchError(
                f"{option} says nothing to {', '.join(s.name for s in suites)}: it is for {whose}.",
                hint=f"Leave {option} away.",
            )


def _takes_clean(suite: Suite) -> bool:
    conditions = {cell.condition for cell in suite.cells}
    return bool(conditions & {"clean", "imagenet-200"}) and suite.name != "clean" and suite.dataset != "digits"
