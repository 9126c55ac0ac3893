"""Makes tests/vectors/call-keys.json: whole runs of the call handshake, every byte of them, from fixed seeds.

A second implementation takes `private_key` and `nonce` in place of its own randomness and must come to every other
value. Run this file to write the vectors anew; a test compares them with what the code does.
"""

import json
from pathlib import Path

from callbox.base.chance import SeededChance
from callbox.crypto.handshake import CalleeHandshake, CallerHandshake

VECTORS = Path(__file__).parents[1] / "vectors" / "call-keys.json"
RUNS = (("plain", False, False), ("knock", False, True), ("resume", True, False))


class _Remembering:
    """Chance that keeps what it gave: the secrets of a run."""

    def __init__(self, seed: str) -> None:
        self._chance = SeededChance(seed)
        self.given: list[bytes] = []

    def token(self, size: int) -> bytes:
        self.given.append(self._chance.token(size))
        return self.given[-1]

    def between(self, low: float, high: float) -> float:
        return self._chance.between(low, high)


def run(name: str, resume: bool, knock: bool) -> dict[str, object]:
    """Return one run with all its values in hex."""
    seeded = SeededChance(f"call vectors {name}")
    call_id, device = seeded.token(16), seeded.token(8).hex()
    keys = {who: seeded.token(32) for who in ("caller_account", "caller_olm", "callee_account", "callee_olm")}
    caller_chance, callee_chance = _Remembering(f"caller {name}"), _Remembering(f"callee {name}")
    caller = CallerHandshake(
        call_id,
        my_account_key=keys["caller_account"],
        my_olm_signing_key=keys["caller_olm"],
        peer_account_key=keys["callee_account"],
        peer_device_id=device,
        peer_olm_signing_key=keys["callee_olm"],
        chance=caller_chance,
        resume=resume,
        knock=knock,
    )
    callee = CalleeHandshake(
        caller.offer,
        my_account_key=keys["callee_account"],
        my_device_id=device,
        my_olm_signing_key=keys["callee_olm"],
        peer_account_key=keys["caller_account"],
        peer_olm_signing_key=keys["caller_olm"],
        chance=callee_chance,
        now=0.0,
    )
    reveal = caller.ringing(callee.ringing)
    callee.revealed(reveal, 0.0)
    answer = callee.answer()
    ack = caller.answered(answer)
    callee.acked(ack)
    return {
        "name": name,
        "call_id": call_id.hex(),
        "callee_device": device,
        "identities": {who: key.hex() for who, key in keys.items()},
        "caller": {"private_key": caller_chance.given[0].hex(), "nonce": caller_chance.given[1].hex()},
        "callee": {"private_key": callee_chance.given[0].hex()},
        "offer": {
            "commitment": caller.offer.commitment.hex(),
            "suites": list(caller.offer.suites),
            "resume": resume,
            "knock": knock,
        },
        "ringing": {"ephemeral": callee.ringing.ephemeral.hex()},
        "reveal": {"ephemeral": reveal.ephemeral.hex(), "nonce": reveal.nonce.hex(), "mac": reveal.mac.hex()},
        "answer": {"mac": answer.mac.hex()},
        "ack": {"mac": ack.mac.hex()},
        "keys": {
            "base_c2r": caller.keys.send_base.hex(),
            "base_r2c": caller.keys.receive_base.hex(),
            "route_token": caller.keys.route_token.hex(),
            "code": caller.keys.code,
        },
    }


def vectors() -> list[dict[str, object]]:
    """Return all runs."""
    return [run(*arguments) for arguments in RUNS]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
