"""The application: every command under its name. What a command needs it loads when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

import mainspring
from mainspring.cli.alerts import alerts
from mainspring.cli.arms import arms
from mainspring.cli.check import check
from mainspring.cli.compare import compare
from mainspring.cli.demo import demo
from mainspring.cli.keys import keys
from mainspring.cli.new import new
from mainspring.cli.play import play
from mainspring.cli.replay import replay
from mainspring.cli.run import run
from mainspring.cli.runs import runs
from mainspring.cli.score import score
from mainspring.cli.serve import serve
from mainspring.cli.show import show
from mainspring.cli.sql import sql
from mainspring.cli.status import status
from mainspring.cli.verify import verify
from mainspring.cli.why import why

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing the help with Rich doubles the time it takes to appear
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mainspring {mainspring.__version__}")
        raise typer.Exit


@app.callback()
def mainspring_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One declaration becomes a machine-learning system that runs, and stays right.

    Begin with: mainspring demo
    """


for command in (demo, new, check, run, show, runs, compare, sql, verify, score, serve, play, replay, status, why):
    app.command()(command)
app.add_typer(alerts, name="alerts")
app.add_typer(arms, name="arms")
app.add_typer(keys, name="keys")
