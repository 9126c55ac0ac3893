"""Asking a person for a passphrase, or reading it from a file where nobody can be asked."""

import argparse
import getpass
import sys
from pathlib import Path

from callbox.base.errors import CallboxError, WrongUse

LEAST_PASSPHRASE = 8


def add_passphrase(command: argparse.ArgumentParser, help_line: str = "its first line (default: ask)") -> None:
    """Let a command take its passphrase from a file."""
    command.add_argument("--passphrase-file", metavar="F", type=Path, help=help_line)


def new_passphrase(file: Path | None, prompt: str) -> str:
    """Return a new passphrase, typed twice. Raises WrongUse when it is too short, or the two differ."""
    passphrase = asked_passphrase(file, prompt)
    if len(passphrase) < LEAST_PASSPHRASE:
        raise WrongUse(
            f"A passphrase needs at least {LEAST_PASSPHRASE} characters.",
            "Four or five words that do not belong together are good.",
        )
    if file is None and getpass.getpass("Once more: ") != passphrase:
        raise WrongUse("The two differ.", "Nothing was written; try again.")
    return passphrase


def asked_passphrase(file: Path | None, prompt: str) -> str:
    """Return a passphrase as it was typed, or the first line of the file. Raises CallboxError."""
    if file is None:
        if not sys.stdin.isatty():
            raise WrongUse("There is nobody to ask for the passphrase.", "Put it into a file: --passphrase-file F")
        return getpass.getpass(prompt)
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not a text"
        raise CallboxError(f"{file} cannot be read: {why}.") from None
    return lines[0] if lines else ""
