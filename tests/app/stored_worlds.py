"""A small world whose stores are files: as this version of Callbox writes them, for later versions to open.

    python tests/app/stored_worlds.py        writes tests/vectors/stores-vN/, N the version of the box's store

One folder per version of the store; what is there is never made anew by a later program.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

from callbox.conversations.stores.sqlite import SqliteStore
from callbox.conversations.stores.sqlite_schema import SCHEMA_VERSION
from callbox.crypto.fields import FieldCipher
from callbox.server.stores.sql import SqlStore
from callbox.testing.authority import AUTHORITY
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World

VECTORS = Path(__file__).parent.parent / "vectors"
NAMES = ("kitchen", "workshop", "attic")
AUTHORITIES = {"stores-v1": b"the certificate of a simulated authority"}
KEY = hashlib.sha256(b"the key of stored worlds").digest()


def box_of(world: World, name: str, folder: Path) -> SimulatedBox:
    """Return a box, switched off, whose store is `folder/NAME.sqlite`."""
    box = SimulatedBox(world, name, "breadboard", 500.0 + 170.0 * len(world.boxes))
    store: Any = SqliteStore(folder / f"{name}.sqlite", FieldCipher(KEY))
    box.store = store
    world.boxes[name] = box
    return box


def server_of(world: World, folder: Path, authority: bytes = AUTHORITY) -> None:
    """Let the world's server use the store `folder/server.sqlite`, and the authority that its boxes know."""
    world.server.kill()
    store: Any = SqlStore(folder / "server.sqlite", may_migrate=True)
    store.open()
    world.server.store, world.server.authority = store, authority
    world.server.start()


def close(world: World) -> None:
    """End the world; its files stay."""
    for box in world.boxes.values():
        if box.on:
            box.kill()
        box.store.close()
    world.server.kill()
    world.server.store.close()


def _switch_on(world: World, box: SimulatedBox) -> None:
    box.start()
    world.until(lambda: box.box.core.link.up, 5.0, f"{box.name} connects")


def tell(folder: Path) -> None:
    """Let three boxes live for a while: calls, texts in every state, a request, controls, letters that wait."""
    world = World(seed=1)
    server_of(world, folder)
    boxes = [box_of(world, name, folder) for name in NAMES]
    kitchen, workshop, attic = boxes
    for box in boxes:
        box.join(world.server.invite(box.name))
        _switch_on(world, box)
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        box.ask("allow", contact=other.name, row="ring", dial=1)
        box.ask("synced")
    kitchen.ask("message", contact="workshop", text="Is the soup ready?")
    world.run(1.0)
    workshop.ask("messages", contact="kitchen", last=9, read=True)
    workshop.ask("message", contact="kitchen", text="In ten minutes.")
    world.run(1.0)
    world.call(kitchen, workshop)
    world.run(2.0)
    kitchen.press("talk")
    world.run(1.0)
    workshop.ask("quiet hours", span="22:00-07:00")
    workshop.ask("quiet", on=True)
    kitchen.ask_later("call", contact="workshop")
    world.run(50.0)
    workshop.ask("quiet", on=False)
    kitchen.ask("message", contact="workshop", text="Never mind, soup is on the table.")
    attic.ask("allow", contact="kitchen", row="message")
    attic.ask("message", contact="kitchen", text="Hello from upstairs")
    world.run(2.0)
    number = kitchen.ask("number", contact="workshop")["number"]
    kitchen.ask("verify", contact="workshop", number=number)
    workshop.stop()
    kitchen.ask("message", contact="workshop", text="This one waits at the server.")
    world.run(1.0)
    world.server.kill()
    world.run(1.0)
    kitchen.ask("message", contact="workshop", text="This one waits in the outbox.")
    world.run(1.0)
    close(world)


def main() -> int:
    """Write the folder of the present version, unless it is there."""
    folder = VECTORS / f"stores-v{SCHEMA_VERSION}"
    if folder.exists():
        print(f"{folder} is there; it is never made anew.", file=sys.stderr)
        return 1
    folder.mkdir()
    tell(folder)
    print("\n".join(f"{file.name}: {file.stat().st_size} bytes" for file in sorted(folder.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
