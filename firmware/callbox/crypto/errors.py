"""What can be wrong with something that claims to come from a peer. All are ValueErrors: refuse it and go on."""


class Untrusted(ValueError):
    """A record, key or letter whose signatures or identities do not hold."""


class Undecryptable(ValueError):
    """Ciphertext that no session of ours opens: damaged, replayed, forged, or for a session that is gone."""


class NoSuchPrekey(Undecryptable):
    """The first letter of a session, under a prekey that this device does not have: used up, lost, or never made."""


class NotTried(Undecryptable):
    """So many letters of this device did not open lately that this one was not even tried."""


class NoSession(ValueError):
    """Nothing can be sealed for this device yet: claim a prekey and start a session first."""


class HandshakeRefused(ValueError):
    """A call message that is forged, replayed, too late or out of order. Nothing rings because of it."""


class FieldDamaged(ValueError):
    """A stored field that does not open: damaged, moved to another place, or sealed under another key."""
