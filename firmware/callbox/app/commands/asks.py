"""Commands that ask a box: everything that the buttons do, and the threads."""

from collections.abc import Callable
from typing import Any

from callbox.app import client
from callbox.app.commands.asking import ask, ask_or_open
from callbox.app.commands.words import Adder, Options, add_json, add_on_off, home_of, print_facts, progress
from callbox.base.errors import WrongUse
from callbox.wire.names import valid_name


def add(adder: Adder) -> None:
    """Add these commands."""
    status = adder.add("status", "say what the box is doing now", _status, "callbox status --json")
    add_json(status)
    status.add_argument("--watch", action="store_true", help="go on: one line (or JSON object) per change")

    press = adder.add("press", "press a button of a box whose panel is simulated", _press, "callbox press talk")
    press.add_argument("button", help="its name on the board, such as talk, mute, calls, dial1")
    press.add_argument("--hold", metavar="S", type=float, help="seconds to hold it down (default: a short press)")
    add_json(press)

    call = adder.add("call", "call a contact; returns when it rings there", _call, "callbox call workshop")
    call.add_argument("contact")
    call.add_argument("--knock", action="store_true", help="ask with a light only, without sound")
    add_json(call)

    knock = adder.add("knock", "ask for a call with a light only, without sound", _knock, "callbox knock workshop")
    knock.add_argument("contact")
    add_json(knock)

    adder.add("hangup", "end the call", lambda options: _say(options, "hangup"), "callbox hangup")
    adder.add("answer", "answer the call that rings", lambda options: _say(options, "answer"), "callbox answer")
    decline = adder.add("decline", "decline the call that rings", _decline, "callbox decline --text")
    decline.add_argument("--text", action="store_true", help="send the ready-made text with it")

    for name, help_line in (
        ("mute", "mute the microphone, or open it again"),
        ("calls", "let calls through, or none; text goes on"),
    ):
        add_on_off(adder.add(name, help_line, _switch(name), f"callbox {name} on"))

    example = "callbox quiet mon-fri 22:00-07:00 sat sun 23:30-09:00"
    quiet = adder.add("quiet", "turn do not disturb on or off, or set quiet hours", _quiet, example)
    spans = "spans such as 22:00-07:00, each after the days on which it begins unless it begins every day"
    quiet.add_argument("state", nargs="+", help=f"on, off, {spans}, or `never` for no quiet hours")

    _add_threads(adder)


def _add_threads(adder: Adder) -> None:
    message = adder.add(
        "message",
        "send a text or a voice message",
        _message,
        "callbox message workshop 'Tea is ready' (or: --voice tea.wav)",
    )
    message.add_argument("contact")
    message.add_argument("text", nargs="?")
    message.add_argument("--voice", metavar="FILE", help="send this WAV or Ogg Opus file, of up to 5 minutes")
    add_json(message)

    messages = adder.add(
        "messages", "show a conversation, or all of them", _messages, "callbox messages workshop --last 5"
    )
    messages.add_argument("contact", nargs="?")
    messages.add_argument("--last", metavar="N", type=int, default=20, help="how many lines (default 20)")
    messages.add_argument("--read", action="store_true", help="mark them as read")
    messages.add_argument(
        "--save", nargs=2, metavar=("ID", "FILE"), help="write a voice message into a new Ogg Opus file"
    )
    add_json(messages)

    why = adder.add("why", "say why it did not ring", _why, "callbox why")
    add_json(why)


def _say(options: Options, what: str, **words: Any) -> int:
    reply = ask(options, what, **words)
    print(reply.get("state", "done"))
    return 0


def _status(options: Options) -> int:
    from callbox.app.commands.shown import status_line, status_text

    home = home_of(options)
    if not options.watch:
        reply = client.ask_once(home, "status")
        print_facts(options, reply, status_text(reply))
        return 0
    for reply in client.ask(home, "watch"):
        print_facts(options, reply, status_line(reply))
    return 0


def _press(options: Options) -> int:
    reply = ask(options, "press", button=options.button, hold_s=options.hold)
    print_facts(options, reply, f"{options.button} pressed; the box is {reply['state']}")
    return 0


def _knock(options: Options) -> int:
    options.knock = True
    return _call(options)


def _call(options: Options) -> int:
    reply: dict[str, Any] = {}
    for reply in client.ask(home_of(options), "call", contact=valid_name(options.contact), knock=options.knock):
        if "progress" in reply:
            progress(str(reply["progress"]))
    if options.json:
        print_facts(options, reply, "")
        return 0 if reply.get("ok") else 1
    client.checked(reply)
    print(f"{reply['contact']} {'is asked, by a light' if reply['state'] == 'asking' else 'rings'}")
    return 0


def _decline(options: Options) -> int:
    return _say(options, "decline", with_text=options.text)


def _switch(name: str) -> Callable[[Options], int]:
    def perform(options: Options) -> int:
        ask(options, name, on=options.state == "on")
        print(f"{name} {options.state}")
        return 0

    return perform


def _quiet(options: Options) -> int:
    if options.state in (["on"], ["off"]):
        (options.state,) = options.state
        return _switch("quiet")(options)
    span = None if options.state == ["never"] else ",".join(options.state)
    reply = ask_or_open(options, "quiet hours", span=span)
    print(f"quiet hours: {reply['quiet'] or 'none'}")
    return 0


def _message(options: Options) -> int:
    if (options.text is None) == (options.voice is None):
        raise WrongUse("What is the message?", "callbox message NAME 'text', or: callbox message NAME --voice FILE")
    if options.voice is not None:
        from callbox.app.commands.voices import send_voice

        return send_voice(options)
    reply = ask_or_open(options, "message", then="sent", contact=valid_name(options.contact), text=options.text)
    print_facts(options, reply, f"{reply['state']}: {options.text}")
    return 0


def _messages(options: Options) -> int:
    if options.save:
        from callbox.app.commands.voices import save_voice

        return save_voice(options)
    from callbox.app.commands.shown import thread_line

    contact = valid_name(options.contact) if options.contact else None
    reply = ask_or_open(options, "messages", contact=contact, last=options.last, read=options.read)
    lines = [thread_line(item) for item in reply["items"]]
    print_facts(options, reply, "\n".join(lines) or "Nothing yet.")
    return 0


def _why(options: Options) -> int:
    from callbox.app.commands.shown import why_lines

    reply = ask_or_open(options, "why")
    lines = [line for item in reply["items"] for line in why_lines(item)]
    print_facts(options, reply, "\n".join(lines) or "Every call that came has rung.")
    return 0
