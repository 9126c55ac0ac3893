"""The keys of one call: a fresh, authenticated agreement between one caller device and one callee device.

    caller                                                          callee
    offer    call_id, C = SHA256("DMCALL1 commit" | call_id | callee device | e_c | r32), suites   ->
                                             <-   ringing  call_id, e_r                 still silent
    reveal   call_id, e_c, r32, mac = HMAC(k_c, "reveal" | th)                                     ->
                                                           checks C and mac; only now may it ring
                                             <-   answer   call_id, mac = HMAC(k_r, "answer" | th)
    ack      call_id, mac = HMAC(k_c, "ack" | th)                                                  ->

    dh  = X25519(e_c, e_r), all-zero refused
    th  = SHA512("DMCALL1" | lp(offer) | lp(ringing) | lp(reveal without mac))
    okm = HKDF-SHA512(salt = th, ikm = dh, info = "DMCALL1" | AKc | ed_c | AKr | ed_r | call_id), 213 bytes:
          base_c2r 64 | base_r2c 64 | k_c 32 | k_r 32 | route_token 16 | code 5

`lp(x)` is a u32 big-endian length and x. Inside th: offer = call_id | C | flags u8 (1 resume, 2 knock) | suites u16
each; ringing = call_id | e_r; reveal = call_id | e_c | r32. AK are the account keys, ed the Olm signing keys
(Ed25519), HMAC is HMAC-SHA256, a device is its 16 hex digits in ASCII. tests/vectors/call-keys.json has whole runs.

Why so: the messages travel inside Olm, which names the sender but may replay the first letter of a session; the mac
over the callee's fresh e_r proves a caller that is there *now*, whatever the clocks say. The commitment binds the
caller before it sees e_r, so that nobody in the middle can search for keys that give both sides the same code.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.crypto.errors import HandshakeRefused
from callbox.wire.bodies import CallAck, CallAnswer, CallOffer, CallReveal, CallRinging

SUITE = 5  # AES_256_GCM_SHA512_128 of RFC 9605, the only one we speak
RINGING_LIFE_S = 60.0
MARK_BYTES = 8
_LABEL = b"DMCALL1"
_KEYS_BYTES = 64 + 64 + 32 + 32 + 16 + 5


@dataclass(frozen=True, slots=True)
class CallKeys:
    """What a proven handshake gives one side. In memory only; drop every reference at hang-up."""

    send_base: bytes = field(repr=False)  # 64 bytes, for sframe.Sealer
    receive_base: bytes = field(repr=False)  # 64 bytes, for sframe.Opener
    route_token: bytes = field(repr=False)  # 16 bytes, opens the media route at the server
    code: str = field(repr=False)  # "1234 5678 9012", read to each other


@dataclass(frozen=True, slots=True)
class _Secrets:
    transcript: bytes
    caller_to_callee: bytes
    callee_to_caller: bytes
    caller_mac_key: bytes
    callee_mac_key: bytes
    route_token: bytes
    code: str

    def mac(self, key: bytes, label: bytes) -> bytes:
        return hmac.digest(key, label + self.transcript, "sha256")


class CallerHandshake:
    """The caller's side towards one callee device. Each step is taken once; a failed one ends it."""

    def __init__(
        self,
        call_id: bytes,
        *,
        my_account_key: bytes,
        my_olm_signing_key: bytes,
        peer_account_key: bytes,
        peer_device_id: str,
        peer_olm_signing_key: bytes,
        chance: Chance,
        resume: bool = False,
        knock: bool = False,
    ) -> None:
        self._private: X25519PrivateKey | None = X25519PrivateKey.from_private_bytes(chance.token(32))
        self._ephemeral = self._private.public_key().public_bytes_raw()
        self._nonce = chance.token(32)
        self._identities = my_account_key + my_olm_signing_key + peer_account_key + peer_olm_signing_key
        self._secrets: _Secrets | None = None
        self._answered = False
        commitment = _commitment(call_id, peer_device_id, self._ephemeral, self._nonce)
        self.offer = CallOffer(call_id, commitment, (SUITE,), resume, knock)

    @property
    def keys(self) -> CallKeys:
        """The keys as the caller uses them. Raises HandshakeRefused before `ringing`."""
        secrets = self._known()
        return CallKeys(secrets.caller_to_callee, secrets.callee_to_caller, secrets.route_token, secrets.code)

    def ringing(self, ringing: CallRinging) -> CallReveal:
        """Take the callee's fresh key and open the commitment. Raises HandshakeRefused, also for a second one.

        A key for an earlier offer of this call, late by a lost link, uses nothing up.
        """
        _same_call(self.offer.call_id, ringing.call_id)
        if ringing.offer not in (b"", _mark(self.offer)):
            raise HandshakeRefused("this key is for an earlier offer")
        private, self._private = self._private, None
        if private is None:
            raise HandshakeRefused("this offer was revealed already")
        shared = _shared_secret(private, ringing.ephemeral)
        secrets = _derive(self.offer, ringing, self._ephemeral, self._nonce, shared, self._identities)
        self._secrets = secrets
        return CallReveal(
            self.offer.call_id, self._ephemeral, self._nonce, secrets.mac(secrets.caller_mac_key, b"reveal")
        )

    def answered(self, answer: CallAnswer) -> CallAck:
        """Take the callee's answer. Raises HandshakeRefused, also for a second one."""
        secrets = self._known()
        _same_call(self.offer.call_id, answer.call_id)
        if self._answered:
            raise HandshakeRefused("this call was answered already")
        _check_mac(answer.mac, secrets.mac(secrets.callee_mac_key, b"answer"), "answer")
        self._answered = True
        return CallAck(self.offer.call_id, secrets.mac(secrets.caller_mac_key, b"ack"))

    def forget(self) -> None:
        """Drop every secret: the call is over, or another device took it."""
        self._private = self._secrets = None

    def _known(self) -> _Secrets:
        if self._secrets is None:
            raise HandshakeRefused("there are no keys for this call")
        return self._secrets


class CalleeHandshake:
    """The callee device's side. Silent until `revealed` has returned without an error."""

    def __init__(
        self,
        offer: CallOffer,
        *,
        my_account_key: bytes,
        my_device_id: str,
        my_olm_signing_key: bytes,
        peer_account_key: bytes,
        peer_olm_signing_key: bytes,
        chance: Chance,
        now: Instant,
    ) -> None:
        if SUITE not in offer.suites or any(suite > 0xFFFF for suite in offer.suites):
            raise HandshakeRefused("the caller offers no cipher suite that we speak")
        self.offer = offer
        self.expires: Instant = now + RINGING_LIFE_S
        self._private: X25519PrivateKey | None = X25519PrivateKey.from_private_bytes(chance.token(32))
        self._device = my_device_id
        self._identities = peer_account_key + peer_olm_signing_key + my_account_key + my_olm_signing_key
        self._secrets: _Secrets | None = None
        self._answered = self._acked = False
        self.ringing = CallRinging(offer.call_id, self._private.public_key().public_bytes_raw(), _mark(offer))

    @property
    def waiting(self) -> bool:
        """Whether e_r is still unused."""
        return self._private is not None

    @property
    def proven(self) -> bool:
        """Whether the caller has proven to be there now."""
        return self._secrets is not None

    @property
    def keys(self) -> CallKeys:
        """The keys as the callee uses them. Raises HandshakeRefused before `revealed`."""
        secrets = self._known()
        return CallKeys(secrets.callee_to_caller, secrets.caller_to_callee, secrets.route_token, secrets.code)

    def revealed(self, reveal: CallReveal, now: Instant) -> None:
        """Check the opened commitment and the caller's mac. e_r is used up by it, whatever comes out.

        Raises HandshakeRefused: wrong, too late (60 s), or the second one. After it returns, the box may ring.
        """
        private, self._private = self._private, None
        if private is None:
            raise HandshakeRefused("this key was used already")
        if now >= self.expires:
            raise HandshakeRefused("the caller revealed too late")
        _same_call(self.offer.call_id, reveal.call_id)
        opened = _commitment(self.offer.call_id, self._device, reveal.ephemeral, reveal.nonce)
        if not hmac.compare_digest(opened, self.offer.commitment):
            raise HandshakeRefused("the caller revealed another key than it committed to")
        shared = _shared_secret(private, reveal.ephemeral)
        secrets = _derive(self.offer, self.ringing, reveal.ephemeral, reveal.nonce, shared, self._identities)
        _check_mac(reveal.mac, secrets.mac(secrets.caller_mac_key, b"reveal"), "reveal")
        self._secrets = secrets

    def answer(self) -> CallAnswer:
        """Somebody answers here. Raises HandshakeRefused before `revealed` and the second time."""
        secrets = self._known()
        if self._answered:
            raise HandshakeRefused("this call was answered already")
        self._answered = True
        return CallAnswer(self.offer.call_id, secrets.mac(secrets.callee_mac_key, b"answer"))

    def acked(self, ack: CallAck) -> None:
        """The caller chose this device: only now may a microphone sample pass. Raises HandshakeRefused."""
        secrets = self._known()
        _same_call(self.offer.call_id, ack.call_id)
        if not self._answered or self._acked:
            raise HandshakeRefused("no ack is due")
        _check_mac(ack.mac, secrets.mac(secrets.caller_mac_key, b"ack"), "ack")
        self._acked = True

    def forget(self) -> None:
        """Drop every secret."""
        self._private = self._secrets = None

    def _known(self) -> _Secrets:
        if self._secrets is None:
            raise HandshakeRefused("the caller has not proven itself")
        return self._secrets


def _mark(offer: CallOffer) -> bytes:
    """Return what tells one offer of a call from another; whoever sends it has proven who they are already."""
    return offer.commitment[:MARK_BYTES]


def _commitment(call_id: bytes, device: str, ephemeral: bytes, nonce: bytes) -> bytes:
    return hashlib.sha256(b"DMCALL1 commit" + call_id + device.encode() + ephemeral + nonce).digest()


def _shared_secret(private: X25519PrivateKey, public: bytes) -> bytes:
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # cryptography refuses an all-zero result, which a key of small order gives
        raise HandshakeRefused("the other side's key is unusable") from None
    if not any(shared):
        raise HandshakeRefused("the other side's key is unusable")
    return shared


def _derive(
    offer: CallOffer, ringing: CallRinging, ephemeral: bytes, nonce: bytes, shared: bytes, identities: bytes
) -> _Secrets:
    """Return everything that th and dh give; `identities` is AKc | ed_c | AKr | ed_r."""
    suites = b"".join(suite.to_bytes(2, "big") for suite in offer.suites)
    flags = bytes([offer.resume | offer.knock << 1])
    parts = (
        offer.call_id + offer.commitment + flags + suites,
        ringing.call_id + ringing.ephemeral,
        offer.call_id + ephemeral + nonce,
    )
    transcript = hashlib.sha512(_LABEL + b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    info = _LABEL + identities + offer.call_id
    okm = HKDF(SHA512(), _KEYS_BYTES, salt=transcript, info=info).derive(shared)
    code = int.from_bytes(okm[208:213], "big") % 10**12
    digits = f"{code:012d}"
    spoken = f"{digits[:4]} {digits[4:8]} {digits[8:]}"
    return _Secrets(transcript, okm[:64], okm[64:128], okm[128:160], okm[160:192], okm[192:208], spoken)


def _same_call(expected: bytes, got: bytes) -> None:
    if expected != got:
        raise HandshakeRefused("message of another call")


def _check_mac(got: bytes, expected: bytes, step: str) -> None:
    if not hmac.compare_digest(got, expected):
        raise HandshakeRefused(f"the {step}'s proof is wrong")
