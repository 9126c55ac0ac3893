"""Every command explains itself: what it does, and an example to paste."""

import re

import pytest

from callbox.app.main import main


def helped(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what `callbox ARGUMENTS --help` prints."""
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


def commands_in(text: str) -> list[str]:
    """Return the commands that a help page lists."""
    return re.findall(r"^    ([a-z]+)(?=  |$)", text, re.MULTILINE)


def test_every_command_has_a_line_of_help_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    top, server = commands_in(helped(capsys)), commands_in(helped(capsys, "server"))
    assert {"run", "join", "status", "press", "call", "message", "demo", "server"} <= set(top)
    assert {"run", "invite", "users"} <= set(server)
    pages = [("callbox", name) for name in top if name != "server"]
    pages += [("callbox server", name) for name in server]
    for program, name in pages:
        page = helped(capsys, *program.split()[1:], name)
        assert f"usage: {program} {name}" in page
        assert re.search(rf"^(examples:\n *|example: ){program} {name}", page, re.MULTILINE), page
