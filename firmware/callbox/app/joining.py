"""`callbox join`: make this box's identity, enrol it with the server of an invite, and keep both."""

from callbox import __version__
from callbox.app.assembly import open_store
from callbox.app.home import Home
from callbox.app.keys import PREKEYS
from callbox.app.saved import IDENTITY, Membership, first_writes
from callbox.app.world import clock_trusted, wall_clock_ms
from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError
from callbox.crypto.identity import Identity
from callbox.link.joining import Joining
from callbox.link.session import Credentials
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import join as run_joining
from callbox.wire.cards import Invite

FIRST_EPOCH = 1


async def join(home: Home, invite: Invite) -> str:
    """Join; returns the account's name. Nothing is kept unless the server took the box."""
    chance = SystemChance()
    store = open_store(home)
    try:
        if "membership" in store.load(IDENTITY):
            raise CallboxError(
                f"The folder {home.folder} holds a box already.", "Use another folder (--home), or remove this one."
            )
        identity = Identity.create(invite.name, chance, wall_clock_ms())
        prekeys = identity.new_prekeys(PREKEYS, fallback=True)
        credentials = Credentials(
            identity.account, identity.device, identity.sign_login, lambda: FIRST_EPOCH, __version__
        )
        joining = Joining(invite, identity.record, credentials, prekeys, chance)
        joined = await run_joining(joining, parse_address(invite.server), clock_trusted())
        identity.mark_published()
        membership = Membership(invite.server, joined.authority, joined.server_id)
        store.commit(first_writes(identity, membership, FIRST_EPOCH))
    finally:
        store.close()
    return identity.account
