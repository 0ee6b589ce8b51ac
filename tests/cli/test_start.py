"""The way in: help, version, and nothing heavy before a command needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mainspring as package
from tests.cli.conftest import Command

GROUPS = {
    "alerts": ["list", "ack", "silence", "unsilence", "silences"],
    "arms": ["list", "history", "set"],
    "keys": ["add", "list", "revoke"],
}
COMMANDS = [
    "demo",
    "new",
    "check",
    "run",
    "show",
    "runs",
    "compare",
    "sql",
    "verify",
    "score",
    "serve",
    "play",
    "replay",
    "status",
    "why",
    *GROUPS,
]
LEAVES = [command for command in COMMANDS if command not in GROUPS]
LEAVES += [f"{group} {command}" for group, commands in GROUPS.items() for command in commands]
HEAVY = {
    "polars",
    "numpy",
    "lightgbm",
    "altair",
    "sklearn",
    "pyarrow",
    "duckdb",
    "sqlalchemy",
    "pyiceberg",
    "msgspec",
    "rich",
}


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mainspring.cli import main; code = main(['--help']); "
        "print(code, *sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *modules = ran.stderr.split()
    assert code == "0"
    assert not HEAVY & set(modules)
    listed = ran.stdout.partition("Commands:")[2].splitlines()[1:]
    assert [line.split()[0] for line in listed if line.strip()] == COMMANDS
    assert not any("..." in line for line in listed), "a sentence was cut off"


@pytest.mark.parametrize("command", LEAVES)
def test_each_command_explains_itself(mainspring: Command, command: str) -> None:
    told = mainspring(*command.split(), "--help")
    assert told.code == 0
    assert f"Example: mainspring {command}" in " ".join(told.out.split())
    for option in ("--json", "--workspace DIR", "--debug"):
        assert option in told.out


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands_with_an_example(mainspring: Command, group: str) -> None:
    told = mainspring(group, "-h")
    assert told.code == 0
    assert f"Example: mainspring {group} " in told.out
    listed = told.out.partition("Commands:")[2].splitlines()[1:]
    assert [line.split()[0] for line in listed if line.strip()] == GROUPS[group]
    assert mainspring(group).code == 2


def test_version(mainspring: Command) -> None:
    assert mainspring("--version").out == f"mainspring {package.__version__}\n"


def test_an_unknown_command_or_option_is_no_traceback(mainspring: Command) -> None:
    for arguments in (["rnu"], ["run"], ["run", "shop.py", "--jsno"], ["runs", "--limit", "0"]):
        told = mainspring(*arguments)
        assert told.code == 2
        assert told.out == ""
        assert "Usage: mainspring" in told.err
        assert "Traceback" not in told.err


def test_a_command_stands_in_a_module_of_its_own_and_python_m_works() -> None:
    ran = subprocess.run([sys.executable, "-m", "mainspring", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("mainspring ")
