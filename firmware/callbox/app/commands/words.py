"""What the files of the command line share: adding a command, on and off, printing."""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from callbox.app.commands.shown import harmless_json
from callbox.app.home import Home

Options = argparse.Namespace
Perform = Callable[[Options], int | None]


class Adder:
    """Adds commands that all look alike: --home, one line of help, examples."""

    def __init__(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self._commands = commands

    def add(self, name: str, help_line: str, perform: Perform, example: str = "") -> argparse.ArgumentParser:
        """Add one command; `help_line` starts small and has no full stop."""
        command = self._commands.add_parser(
            name,
            help=help_line,
            description=help_line[:1].upper() + help_line[1:] + ".",
            epilog=f"example: {example}" if example else None,
        )
        command.add_argument("--home", metavar="DIR", help="the box's folder (default: $CALLBOX_HOME, else ~/.callbox)")
        command.set_defaults(perform=perform)
        return command


def add_json(command: argparse.ArgumentParser) -> None:
    """Let a command print facts for programs."""
    command.add_argument("--json", action="store_true", help="print facts as JSON")


def add_on_off(command: argparse.ArgumentParser) -> None:
    """Let a command take `on` or `off`."""
    command.add_argument("state", choices=("on", "off"))


def home_of(options: Options) -> Home:
    """Return the folder that a command is about."""
    return Home.named(options.home)


def print_facts(options: Options, facts: Mapping[str, Any], sentence: str) -> None:
    """Print `facts` as JSON if asked for, else the sentence."""
    print(harmless_json(facts) if getattr(options, "json", False) else sentence, flush=True)


def progress(text: str) -> None:
    """Tell a person that something goes on; never on the output that a program reads."""
    print(text, file=sys.stderr, flush=True)
