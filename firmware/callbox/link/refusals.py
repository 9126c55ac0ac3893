"""What each refusal of the server means for a person, and how the link goes on after it."""

from collections.abc import Mapping
from dataclasses import dataclass

from callbox.wire.signals import RefusedWhy


@dataclass(frozen=True, slots=True)
class Refusal:
    """`lasting`: trying again soon will not help; the box says so (with the cure) and tries slowly."""

    sentence: str
    cure: str = ""
    lasting: bool = False


REFUSALS: Mapping[RefusedWhy, Refusal] = {
    "bad-invite": Refusal(
        "The server does not know this invite, or it was used before.",
        "Ask for a new one: callbox server invite NAME, on the server.",
        lasting=True,
    ),
    "invite-expired": Refusal(
        "This invite has expired.", "Ask for a new one: callbox server invite NAME, on the server.", lasting=True
    ),
    "name-taken": Refusal(
        "The name of this invite belongs to another box by now.",
        "Ask for an invite with another name: callbox server invite NAME, on the server.",
        lasting=True,
    ),
    "bad-record": Refusal(
        "The server does not accept this box's device record.",
        "Update the box and the server to the same release; then join again with a new invite.",
        lasting=True,
    ),
    "unknown-device": Refusal(
        "The server does not know this box.",
        "If the server lost its data, restore its backup; else join again with a new invite: callbox join INVITE.",
        lasting=True,
    ),
    "bad-signature": Refusal(
        "The server does not accept this box's signature.",
        "The box's identity does not fit its account: restore it from its backup, or join again with a new invite.",
        lasting=True,
    ),
    "revoked": Refusal(
        "This box was removed from its account.", "Join again with a new invite: callbox join INVITE.", lasting=True
    ),
    "epoch": Refusal("The server remembers a later connection than this box does: its storage is an older copy."),
    "bad-ticket": Refusal("The server did not take the media lane's ticket."),
    "too-slow": Refusal("The login took too long for the server."),
    "too-many": Refusal("The server has too many connections just now."),
    "malformed": Refusal(
        "The server did not understand this box.", "Update the box and the server to the same release.", lasting=True
    ),
    "replaced": Refusal(
        "Another box has logged in as this one.",
        "Two cards with the same identity? Only one of them may run; join the other anew with an invite of its own.",
        lasting=True,
    ),
    "stopping": Refusal("The server is stopping."),
}

SILENT = Refusal("The server has gone silent.")
OTHER_SERVER = Refusal(
    "What answers at the server's address is another server than the one this box joined.",
    "Check the address in box.toml; if the server was set up anew, join again with a new invite: callbox join INVITE.",
    lasting=True,
)
OTHER_CERTIFICATE_CURE = (
    "If the server was set up anew, join again with a new invite: callbox join INVITE. "
    "If not, somebody on the network may pose as the server: nothing was sent to it."
)
OTHER_VERSION = Refusal(
    "The server speaks no version of the protocol that this box knows.",
    "Update the box and the server to the same release.",
    lasting=True,
)
