"""The command line, `callbox`: one parser, a file per group of commands; nothing heavy is imported before its use."""

import argparse

from callbox import __version__
from callbox.app.commands import asks, boards, box, people, trying
from callbox.app.commands.words import Adder


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
    boards.add(adder)
    trying.add(adder)
    _add_server(commands)
    return top


def _add_server(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    server = commands.add_parser(
        "server",
        help="run and administer a signaling server",
        add_help=False,
        description="The signaling server: carries sealed messages and sealed voice, and can read none of them.",
    )
    server.add_argument("arguments", nargs=argparse.REMAINDER)
    server.set_defaults(perform=_server)


def _server(options: argparse.Namespace) -> int:
    from callbox.server.commands import main

    return main(options.arguments)
