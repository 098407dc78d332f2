"""The commands, each imported when it is called."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.interrupts import importing
from brokerless.cli.options import check_chosen, directory_option

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Lazy", "app"]


class Lazy(click.Group):
    """A group whose commands are found by `module:name`."""

    def __init__(self, *args: Any, places: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in self._places:
            return None
        module, _, name = self._places[cmd_name].partition(":")
        with importing():
            command: click.Command = getattr(import_module(module), name)
        if command.help:
            # In a docstring that has other backslashes, click's mark is two characters.
            command.help = re.sub(r"^( *)\\b$", "\\1\b", command.help, flags=re.MULTILINE)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is near."""
        name = args[0]
        if name not in self._places and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self._places, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        if not ctx.resilient_parsing:
            check_chosen(ctx, name)
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from brokerless import __version__

        click.echo(__version__)
        ctx.exit()


@click.group(
    cls=Lazy,
    places={
        "topics": "brokerless.cli.topics:topics",
        "produce": "brokerless.cli.produce:produce",
        "consume": "brokerless.cli.consume:consume",
        "groups": "brokerless.cli.groups:groups",
        "compact": "brokerless.cli.compact:compact",
        "export": "brokerless.cli.export:export",
        "import": "brokerless.cli.importing:import_records",
        "dump": "brokerless.cli.dump:dump",
        "where": "brokerless.cli.where:where",
        "verify": "brokerless.cli.verify:verify",
        "run": "brokerless.cli.app:run",
        "completion": "brokerless.cli.completion:completion",
    },
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="It exits with 0 if all went well, 1 if not, 2 for wrong arguments, 130 after Ctrl-C "
    "and 141 when nobody reads what it prints.",
)
@directory_option
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Print the version.",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Apache Kafka's log, without a broker."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


# For the list of commands, and for `brokerless --dir DIR run`: a call that begins with `run`
# comes nowhere near here.
@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(args: tuple[str, ...]) -> None:
    """Run a program in which `import kafka` gives brokerless."""
    from brokerless.cli.run import run_program

    run_program(list(args))
