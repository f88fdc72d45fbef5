"""The papers' tables: every mean and difference follows, and every name in them exists."""

from __future__ import annotations

import pytest

from robench.errors import RobenchError
from robench.tables.published import addresses, inconsistencies, load_table

COUNTS = {"augmix": 6, "augmax": 11, "many-faces": 13, "autolabel": 4, "split-bn": 5}


def test_every_table_of_the_five_papers_is_there() -> None:
    expected = [f"{paper}/{n}" for paper, count in COUNTS.items() for n in range(1, count + 1)]
    assert addresses() == expected


@pytest.mark.parametrize("address", addresses())
def test_means_and_differences_follow(address: str) -> None:
    assert inconsistencies(load_table(address)) == []


def test_a_misread_digit_is_found() -> None:
    table = load_table("augmix/1")
    wrong = tuple(("90.8", *line[1:]) if i == 0 else line for i, line in enumerate(table.cells))
    assert inconsistencies(table.__class__(**{**table.__dict__, "cells": wrong}))


def test_means_of_printed_tables_are_checked() -> None:
    checked = {address for address in addresses() if load_table(address).checks}
    assert {"augmix/1", "augmix/2", "augmix/3", "augmix/5", "augmix/6", "many-faces/3", "many-faces/8"} <= checked


@pytest.mark.parametrize("address", addresses())
def test_suites_exist(address: str) -> None:
    from robench.suites import names

    table = load_table(address)
    suites = {table.meaning(i, c).suite for i in range(len(table.rows)) for c in table.columns} - {None}
    assert suites <= set(names())


def test_meaning_joins_row_and_column() -> None:
    meaning = load_table("augmix/1").meaning(2, "augmix")
    assert (meaning.suite, meaning.metric, meaning.recipe) == (
        "cifar10-c",
        "mean_error",
        "augmix-cifar10-wrn40-2",
    )


def test_unknown_table_suggests() -> None:
    with pytest.raises(RobenchError, match="augmix/"):
        load_table("augmix/22")
