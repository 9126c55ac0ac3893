"""The command line, `callbox`: one parser, a file per group of commands; nothing heavy is imported before its use."""

import argparse

from callbox import __version__
from callbox.app.commands import (
    asks,
    boards,
    box,
    devices,
    doctor,
    keys,
    people,
    records,
    sound,
    sound_tests,
    traffic,
    trying,
)
from callbox.app.commands.words import Adder
from callbox.base.errors import CallboxError


def parser() -> argparse.ArgumentParser:
    """Build the whole command line."""
    top = argparse.ArgumentParser(
        prog="callbox",
        description="A Raspberry Pi as an end-to-end encrypted phone for direct messages. It makes no emergency calls.",
        epilog="Start with `callbox demo`. Each command explains itself: callbox COMMAND --help",
    )
    top.add_argument("--version", action="version", version=f"callbox {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adder = Adder(commands)
    box.add(adder)
    asks.add(adder)
    people.add(adder)
    devices.add(adder)
    keys.add(adder)
    records.add(adder)
    boards.add(adder)
    sound.add(adder)
    sound_tests.add(adder)
    traffic.add(adder)
    doctor.add(adder)
    trying.add(adder)
    commands.add_parser("server", help="run and administer a signaling server", add_help=False)
    return top


def perform(arguments: list[str]) -> int:
    """Run the command that the arguments name; return its exit code. Raises CallboxError."""
    if arguments[:1] == ["server"]:  # has a parser of its own, which also answers --help
        return _server(arguments[1:])
    options = parser().parse_args(arguments)
    return int(options.perform(options) or 0)


def _server(arguments: list[str]) -> int:
    try:
        from callbox.server.commands import main
    except ModuleNotFoundError as error:
        cure = "Install it, in a clone of Callbox: pip install '.[server]'"
        raise CallboxError(f"The server needs the package {error.name}.", cure) from None
    return main(arguments)
