"""What must not have come of a story of full cards: something lost, twice, half there, or left waiting for ever."""

from collections import Counter
from typing import Any

from callbox.conversations.items import CallItem, Item, TextItem, VoiceItem
from callbox.testing.box import SimulatedBox
from scenarios.acts import all_idle, both_hear, mark_of
from scenarios.full_cards import EARLY, Story, Told

ARRIVED = {"delivered", "heard"}
OFF_AND_ON_S = 8.0


def judge(story: Story) -> list[str]:
    """Return what is wrong, in sentences; also after everything was switched off and on once more."""
    wrong = [*_compared(story), *_answered(story), *_waiting(story)]
    before = _held(story)
    _restart(story)
    after = _held(story)
    for name, facts in before.items():
        wrong += [f"{name} is another after a restart: {line}" for line in _differences(facts, after[name])]
    return [*wrong, *_goes_on(story)]


def content(box: SimulatedBox, item: Item) -> str:
    """Return what a person would call the same line: not its id, or nothing could be there twice."""
    if isinstance(item, TextItem):
        return f"text {item.text!r}"
    if isinstance(item, VoiceItem):
        return f"voice {hash(box.store.sound(item.id)) & 0xFFFF:x}"
    return f"call {item.id.hex()[:6]}"


def _items(box: SimulatedBox) -> list[Item]:
    return box.store.items(limit=1000)


def _compared(story: Story) -> list[str]:
    """What was written is with everybody who should have it, once, whole and marked."""
    wrong: list[str] = []
    kitchen, hall, workshop = story.kitchen, story.hall, story.workshop
    lines = {box.name: Counter(content(box, item) for item in _items(box)) for box in story.boxes}
    for name, counted in lines.items():
        wrong += [f"{name} has {line} {count} times" for line, count in counted.items() if count > 1]
    account = {*lines["kitchen"], *lines["hall"], *story.deleted}
    wrong += [f"only {name} has {line}" for line, name in _apart(account, set(lines["workshop"]), "the account")]
    own = {line for line in lines["kitchen"] if EARLY not in line}
    # A server that was killed may have told nobody of the new box: texts pass it by until its account's letter says so.
    told = story.trouble is None or (story.trouble.end, story.trouble.how) != ("server", "cut")
    apart = _apart(own, set(lines["hall"]), "kitchen", "hall") if told else []
    wrong += [f"only {name} has {line}" for line, name in apart]
    for box in (kitchen, hall, workshop):
        for item in _items(box):
            if isinstance(item, TextItem | VoiceItem) and item.outgoing and item.state not in ARRIVED:
                wrong.append(f"{box.name}: {content(box, item)} is {item.state} {item.problem}")
            if isinstance(item, VoiceItem) and not box.store.sound(item.id):
                wrong.append(f"{box.name}: {content(box, item)} has no sound")
            if isinstance(item, VoiceItem) and item.state in ("coming", "lost"):
                wrong.append(f"{box.name}: {content(box, item)} is {item.state}")
        wrong += [f"{box.name}: {line}" for line in box.logged if "was refused" in line][:2]
    if story.lossy:  # a line of a call is acknowledged to nobody: a power cut may take it
        wrong = [line for line in wrong if " has call " not in line]
    return wrong


def _apart(one: set[str], other: set[str], name: str, other_name: str = "workshop") -> list[tuple[str, str]]:
    return [*((line, name) for line in one - other), *((line, other_name) for line in other - one)]


def _answered(story: Story) -> list[str]:
    """What was promised holds; who was refused heard why."""
    wrong: list[str] = []
    for told in story.told:
        if told.promised:
            wrong += [f"promised, and not so: {told.box} {told.what} {told.words}"] if not _holds(story, told) else []
        elif told.reply is None:
            wrong += [] if story.lossy else [f"nobody answered {told.box} {told.what}"]
        elif not told.reply.get("error"):
            wrong.append(f"refused without a word: {told}")
    account = [(box.ask("contacts")["contacts"], box.box.people.controls) for box in (story.kitchen, story.hall)]
    if account[0] != account[1]:
        wrong += [f"kitchen and hall differ: {line}" for line in _differences(*account)]
    for box in (story.kitchen, story.workshop):
        here = {contact.name: contact.permission for contact in box.box.people.all() if contact.permission != "request"}
        there = dict(_desk(story).rows.all_of(box.name))
        wrong += [f"the server has {there}, {box.name} {here}"] if here != there else []
    return wrong


def _holds(story: Story, told: Told) -> bool:
    """Say whether what a box said it had done is so now."""
    box: SimulatedBox = getattr(story, told.box)
    people, words = box.box.people, told.words
    match told.what:
        case "message":
            return any(isinstance(item, TextItem) and item.text == words["text"] for item in _items(story.workshop))
        case "voice":
            assert told.reply is not None
            return box.box.post.threads.get(bytes.fromhex(told.reply["id"])) is not None
        case "allow":
            contact = people.get(words["contact"])
            erased = words["contact"] == "attic" and contact is None
            return erased or (contact is not None and contact.permission == words["row"])
        case "silence":
            contact = people.get(words["contact"])
            return contact is not None and contact.silenced
        case "quiet hours":
            return bool(people.controls.quiet)
        case "delete":
            return not story.deleted & {content(box, item) for item in _items(box)}
        case "erase contact":
            return people.get(words["contact"]) is None
    return True


def _waiting(story: Story) -> list[str]:
    """Nothing is left over, and nobody shows a fault."""
    wrong: list[str] = []
    desk = _desk(story)
    for box in story.boxes:
        inner = box.box
        left = {
            "letters": inner.post.waiting,
            "writes": not inner.core.ledger.idle,
            "fault": inner.front.fault,
            "untold": not inner.people.told_everything,
            "forgotten": len(inner.records._forgotten),
            "sounds to be dropped": len(inner.voice_messages.downloads._done),
            "copies": len(inner.voice_messages.copies._copies),
            "records to be put": not inner.own.devices.put,
            "prekeys to be published": not inner.own._keys.published,
            "mailbox": len(desk.mailboxes.of(inner.core.identity.device).marks),
        }
        wrong += [f"{box.name} is left with {what}: {value}" for what, value in left.items() if value]
    wrong += [f"{len(desk.shelf)} sounds are left at the server"] if len(desk.shelf) else []
    trouble = story.trouble
    if trouble is not None and trouble.how != "once" and story.seen_failing and not story.fault_shown:
        wrong.append(f"{trouble.end} never showed that its card was full")
    return wrong


def _held(story: Story) -> dict[str, dict[str, Any]]:
    """Return all that each box holds, and what the server does."""
    held: dict[str, dict[str, Any]] = {}
    for box in story.boxes:
        facts = box.ask("export")
        sounds = {item.id.hex(): len(box.store.sound(item.id)) for item in _items(box) if isinstance(item, VoiceItem)}
        lines = {item["id"]: item for item in facts["items"]}
        held[box.name] = {**{name: facts[name] for name in ("devices", "contacts", "consents", "controls")}}
        held[box.name] |= {"lines": lines, "sounds": sounds, "calls": _calls(box)}
    desk = _desk(story)
    rows = {owner: dict(desk.rows.all_of(owner)) for owner in ("kitchen", "workshop")}
    enabled = {owner: desk.directory.account(owner).calls_enabled for owner in ("kitchen", "workshop")}
    held["server"] = {"rows": rows, "calls": enabled, "blobs": len(desk.shelf)}
    return held


def _calls(box: SimulatedBox) -> list[str]:
    return [item.id.hex() for item in _items(box) if isinstance(item, CallItem)]


def _desk(story: Story) -> Any:
    assert story.world.server.core is not None
    return story.world.server.core._desk


def _differences(one: Any, other: Any) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        return [f"{name}: {line}" for name in names for line in _differences(one.get(name), other.get(name))]
    return [f"{one} -> {other}"]


def _restart(story: Story) -> None:
    """Switch everything off and on."""
    for box in story.boxes:
        box.kill()
    story.world.server.kill()
    story.world.run(1.0)
    story.world.server.start()
    for box in story.boxes:
        box.start()
    story.world.run(OFF_AND_ON_S)


def _goes_on(story: Story) -> list[str]:
    """A text each way and a call."""
    world, kitchen, workshop = story.world, story.kitchen, story.workshop
    workshop.ask("calls", on=True)
    workshop.ask("allow", contact="kitchen", row="ring")
    kitchen.ask("allow", contact="workshop", row="ring")
    if not (kitchen.ask("synced")["ok"] and workshop.ask("synced")["ok"]):
        return ["the server cannot be told of a permission"]
    sent = [(kitchen, kitchen.ask("message", contact="workshop", text="later")["id"])]
    sent.append((workshop, workshop.ask("message", contact="kitchen", text="later, too")["id"]))
    world.run(3.0)
    wrong = [
        f"a later text of {box.name} is {mark_of(box, one)}" for box, one in sent if mark_of(box, one) != "delivered"
    ]
    try:
        kitchen.ask("call", contact="workshop")
        world.run(0.6)
        workshop.press("talk")
        both_hear(world, kitchen, workshop)
        kitchen.press("talk")
        all_idle(world, *story.boxes)
    except AssertionError as error:
        wrong.append(f"a call does not work: {str(error)[:3000]}")
    return wrong
