"""How ``--help`` looks: options in groups, names left and text right, readable at 80 columns and in a pipe."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from robench.errors import RobenchError, did_you_mean

OPTIONS, ADVANCED = "Options", "Advanced"
ALL = "help_all"
_FEW = 5  # advanced options that are not worth folding
_LEFT, _LEAST, _MOST = 26, 50, 100  # columns for names; of a whole line


class Command(TyperCommand):
    """A command with its options in groups; where many are for experts, these are folded until ``--help-all``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if sum(_panel(parameter) == ADVANCED for parameter in self.params) > _FEW:
            self.params.append(_help_all())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line; say where a list was given in parts, of which only the last counts."""
        if not ctx.resilient_parsing:
            _tell_repeated(self.make_parser(ctx).parse_args(args=list(args))[2])
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, text and groups of options."""
        lines = [*_usage(self, ctx), "", *_text(self.help or "")]
        found = groups(self, ctx)
        if any(parameter.name == ALL for parameter in self.params) and ALL not in ctx.meta:
            found[ADVANCED] = [("--help-all", f"Describe {_listed(self)}.")]
            found[OPTIONS] = [row for row in found[OPTIONS] if row[0] != "--help-all"]
        left = _left(row for rows in found.values() for row in rows)
        for title, rows in found.items():
            lines += ["", typer.style(title, bold=True), *_columns(rows, left)]
        formatter.write("\n".join(lines) + "\n")


def _tell_repeated(parameters: Sequence[Any]) -> None:
    """Say that an option takes its values in one list, where it was given several times: the last one counts.

    Args:
        parameters: of the words of a command line, in their order.
    """
    for one in dict.fromkeys(parameters):
        listed = _is_option(one) and not one.multiple and "A,B" in f"{one.metavar} {getattr(one, 'help', '')}"
        if listed and (times := sum(other is one for other in parameters)) > 1:
            name = max(one.opts, key=len)
            text = f"note: {name} was given {times} times; only the last counts. Several values: {name} A,B"
            typer.echo(text, err=True)


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _listed(command: Any) -> str:
    """Return the names of a command's advanced options in one line."""
    named = [max(one.opts, key=len) for one in command.params if _panel(one) == ADVANCED]
    return f"{', '.join(named[:-1])} and {named[-1]}"


def _help_all() -> Any:
    """Return the option that prints the help with the advanced options, made as typer makes all options."""
    app = typer.Typer(add_completion=False)
    app.command()(_with_help_all)
    (option,) = [one for one in typer.main.get_command(app).params if one.name == ALL]
    return option


def _show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[ALL] = True
        typer.echo(ctx.get_help(), color=ctx.color)
        raise typer.Exit


def _with_help_all(
    help_all: bool = typer.Option(
        False,
        "--help-all",
        is_eager=True,
        expose_value=False,
        callback=_show_all,
        help="Show this message with the advanced options and exit.",
    ),
) -> None: ...


class Group(TyperGroup):
    """A command with commands of its own."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, text, commands and options."""
        lines = [*_usage(self, ctx), "", *_text(self.help or "")]
        lines += ["", typer.style("Commands", bold=True), *_columns(self.summaries(ctx))]
        for title, rows in groups(self, ctx).items():
            lines += ["", typer.style(title, bold=True), *_columns(rows)]
        if self.epilog:
            lines += ["", *_text(self.epilog)]
        formatter.write("\n".join(lines) + "\n")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the words name.

        Raises:
            RobenchError: there is none; the message suggests the nearest names.
        """
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known and not ctx.resilient_parsing:
            raise RobenchError(f"No such command '{args[0]}'.", hint=did_you_mean(args[0], known))
        return super().resolve_command(ctx, args)

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        """Return every command with the first sentence of its help."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        return [(name, summary(one.help)) for name, one in commands if one is not None and not one.hidden]


def summary(text: str | None) -> str:
    """Return the first paragraph of a help text, without its examples."""
    first = (text or "").strip().partition("\n\n")[0]
    return " ".join(first.partition(" E.g. ")[0].split())


def groups(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return title of a group -> (names, text) of each option: arguments, the command's own options, shared groups.

    A command whose options all stand in groups has ``--help`` alone at the end.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    own: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        if getattr(parameter, "hidden", False):
            continue
        if not _is_option(parameter):
            found.setdefault("Arguments", []).append((_metavar(parameter), _described(parameter, ctx)))
        elif title := getattr(parameter, "rich_help_panel", None):
            found.setdefault(title, []).append((_names(parameter), _described(parameter, ctx)))
        else:
            own.append((_names(parameter), _described(parameter, ctx)))
    if sum(not names.endswith(("--help", "--help-all")) for names, _ in own) == 0:
        return found | ({OPTIONS: own} if own else {})
    first = {title: found.pop(title) for title in ("Arguments",) if title in found}
    return first | {OPTIONS: own} | found


def _is_option(parameter: Any) -> bool:
    return any(name.startswith("-") for name in parameter.opts)


def _metavar(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name + "..." if getattr(parameter, "nargs", 1) == -1 else name


def _names(parameter: Any) -> str:
    ordered = sorted(parameter.opts, key=len)
    text = ", ".join(ordered)
    if parameter.secondary_opts:
        text += " / " + ", ".join(sorted(parameter.secondary_opts, key=len))
    flag = getattr(parameter, "is_flag", False) or getattr(parameter, "is_bool_flag", False)
    return text if flag else f"{text} {parameter.metavar or 'VALUE'}"


def _described(parameter: Any, ctx: Any) -> str:
    text = str(getattr(parameter, "help", None) or "").strip()
    default = getattr(parameter, "default", None)
    if parameter.required:
        return f"{text} [required]" if _is_option(parameter) else text
    if default is None or default is False or callable(default) or default in ([], ()) or "default:" in text:
        return text
    if default is True:
        shown = "on" if not parameter.secondary_opts else max(parameter.opts, key=len)
    else:
        shown = ",".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
    return f"{text} [default: {shown}]" if getattr(parameter, "show_default", True) else text


def width() -> int:
    """Return the number of columns that help takes."""
    return max(_LEAST, min(shutil.get_terminal_size().columns, _MOST))


def _usage(command: Any, ctx: Any) -> Iterable[str]:
    text = f"Usage: {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}"
    return textwrap.wrap(text, width(), subsequent_indent=" " * 7)


def _left(rows: Iterable[tuple[str, str]]) -> int:
    return min(_LEFT, max((len(names) for names, _ in rows), default=0) + 4)


def _columns(rows: Iterable[tuple[str, str]], left: int | None = None) -> list[str]:
    rows = list(rows)
    left = left or _left(rows)
    lines: list[str] = []
    for names, text in rows:
        wrapped = textwrap.wrap(text, width() - left, break_on_hyphens=False) or [""]
        head = f"  {names}"
        if len(head) > left - 2:
            lines.append(head)
            head = ""
        lines.append(f"{head:<{left}}{wrapped[0]}".rstrip())
        lines += [" " * left + line for line in wrapped[1:]]
    return lines


def _text(text: str) -> list[str]:
    """Return a help text: paragraphs are filled, indented lines (commands to type) stay as they are."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        if lines:
            lines.append("")
        if all(line.startswith("    ") for line in paragraph.splitlines()):
            lines += [line[2:] for line in paragraph.splitlines()]
        else:
            lines += textwrap.wrap(" ".join(paragraph.split()), width(), break_on_hyphens=False)
    return lines
