"""`brokerless completion`: what a shell needs to complete commands, options, topics and groups."""

from __future__ import annotations

import click

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    r"""Print the completion for SHELL.

    \b
    bash, in ~/.bashrc:   eval "$(brokerless completion bash)"
    zsh, in ~/.zshrc:     eval "$(brokerless completion zsh)"
    fish:                 brokerless completion fish > ~/.config/fish/completions/brokerless.fish
    """
    from click.shell_completion import get_completion_class

    from brokerless.cli.app import app

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(found(app, {}, "brokerless", "_BROKERLESS_COMPLETE").source())
