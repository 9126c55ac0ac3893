"""How the command line asks a box.

A running box is asked over its control socket. What only changes or reads what the box keeps (contacts, permissions,
threads) also works while it is off: the command then opens the box's folder itself for a moment.
"""

import argparse
from typing import Any

from callbox.app import client
from callbox.app.commands.words import home_of

Options = argparse.Namespace


def ask(options: Options, what: str, **words: Any) -> dict[str, Any]:
    """Ask a box that must be running."""
    return client.ask_once(home_of(options), what, **words)


def ask_or_open(options: Options, what: str, then: str = "", **words: Any) -> dict[str, Any]:
    """Ask the running box; if none runs, open its folder for this one thing."""
    from callbox.app.short import ask_folder

    home = home_of(options)
    if home.folder.is_dir() and home.lock():
        return client.checked(ask_folder(home, what, words, then))
    return client.ask_once(home, what, **words)
