"""Commands for trying things out without hardware."""

from callbox.app.commands.words import Adder, Options, add_json
from callbox.base.errors import CallboxError


def add(adder: Adder) -> None:
    """Add these commands."""
    demo = adder.add(
        "demo",
        "make a real call between two boxes on this machine, and measure it",
        _demo,
        "callbox demo --conversation",
    )
    demo.add_argument("--out", metavar="DIR", default="demo-out", help="where both WAV files go (default: demo-out)")
    demo.add_argument(
        "--conversation",
        action="store_true",
        help="play a conversation instead: a text, a missed call, a voice message, quiet hours, and `callbox why`",
    )
    demo.add_argument("--wav", action="store_true", help="use WAV files even where a virtual sound card can be had")
    add_json(demo)


def _demo(options: Options) -> int:
    try:
        from callbox.app.demo import demo
        from callbox.app.demo_conversation import conversation
    except ModuleNotFoundError as error:
        cure = "In a clone of Callbox: `make demo`, or pip install '.[testing]'."
        raise CallboxError(f"The demo needs the package {error.name}.", cure) from None
    return conversation(options) if options.conversation else demo(options)
