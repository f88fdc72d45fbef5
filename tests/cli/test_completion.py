"""The shell's completion: names of suites, recipes, metrics... after the options that take them."""

import os
import subprocess
import sys

import pytest

from robench.catalogue import METRICS
from robench.cli import completion
from robench.suites import names


def test_names_complete_by_their_beginning():
    assert completion.suites("imagenet-") == [name for name in names() if name.startswith("imagenet-")]
    assert completion.metrics("bri") == [name for name in METRICS if name.startswith("bri")]
    assert "augmix/2" in completion.tables("augmix/")
    assert "augmix-digits" in completion.recipes("augmix-d")
    assert completion.presets("no") == ["none"]
    assert "cifar10-c" in completion.data_sets("cifar10")
    assert completion.figures("split-bn/")[0] == "split-bn/1"
    assert completion.ranked_suites("imagenet-r") == ["imagenet-r", "imagenet-real"]
    assert {"mean_error,mean_brier", "mean_error,mean_brier_top_label"} <= set(completion.values("mean_error,mean_b"))
    assert completion.corruptions("gaussian") == ["gaussian_noise", "gaussian_blur"]
    assert all(one.startswith("reference:digits/") for one in completion.models("reference:d"))


def test_the_last_of_several_names_completes_and_none_twice():
    assert "digits-c,digits-p" in completion.suites("digits-c,digits-")
    assert "digits-c,digits-c" not in completion.suites("digits-c,digits-")


def test_a_list_that_cannot_be_read_offers_nothing(monkeypatch):
    monkeypatch.setattr("robench.suites.names", lambda: 1 / 0)
    assert completion.suites("dig") == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("robench evaluate --suite imagenet-", "imagenet-c"),
        ("robench train --recipe augmix-dig", "augmix-digits"),
        ("robench table augmix/", "augmix/1"),
        ("robench suites show cifar10", "cifar10-c"),
        ("robench evaluate --model reference:digits/augm", "reference:digits/augmix"),
        ("robench affinity --recipe cutout-dig", "cutout-digits"),
        ("robench plot severity RUN --metric bri", "brier"),
        ("robench table --runs RUN --figures mce", "mce"),
        ("robench rank RUN --suite imagenet-rea", "imagenet-real"),
        ("robench figure augmix/", "augmix/7"),
        ("robench data generate --suite cifar100-", "cifar100-p"),
        ("robench\nevaluate\n--model\nreference\n:\ndigits/augmix-n", "digits/augmix-nojsd"),  # as bash splits it
        ("robench\nevaluate\n--model\nreference\n:\ndigits/augmix\n--suite\nimagenet-3", "imagenet-3dcc"),
    ],
)
def test_bash_is_offered_them(line, offered):
    words = line.split()
    environment = os.environ | {
        "_ROBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    program = "import sys; sys.argv = ['robench']; from robench.cli.main import run; run()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert offered in done.stdout.split()
