"""A full or read-only card, or server's disk, at every single write of a story: nothing lost, nothing half, words.

`full_cards` tells the story, `full_cards_judged` says what must not come of it.
"""

import pytest

from scenarios.full_cards import ENDS, How, Story, Trouble
from scenarios.full_cards_judged import judge

# Each found a fault of its own once.
FOUND = [
    Trouble("kitchen", 13),  # a box that was just linked took a contact for a stranger and dropped a voice message
    Trouble("attic", 2),  # the invite was used up, and the keys of the new account were gone
    Trouble("server", 11),  # a linked box whose record the server could not keep; a text that passed the new box by
    Trouble("server", 16),  # wishes, and a contact that one box had erased and the other one told of
    Trouble("kitchen", 61, "cut"),  # the answer to an offer did not open, and the call was not offered again
    Trouble("server", 109, "once"),  # a sound that was fetched and stayed
]
SAMPLED = [Trouble("kitchen", 30, "cut"), Trouble("hall", 25, "spell", "read-only"), Trouble("workshop", 20)]
WAYS: tuple[How, ...] = ("once", "spell", "cut")


def told(trouble: Trouble | None) -> Story:
    story = Story(trouble)
    story.tell()
    return story


def flawless(trouble: Trouble | None) -> None:
    wrong = judge(told(trouble))
    assert not wrong, "\n".join([str(trouble), *wrong])


def test_without_trouble_the_story_leaves_nothing_to_be_desired() -> None:
    story = told(None)
    assert all(one.promised for one in story.told)
    assert not judge(story)
    assert set(story.cards) == set(ENDS)
    assert all(card.writes > 1 and not card.failed for card in story.cards.values())


@pytest.mark.parametrize("trouble", [*FOUND, *SAMPLED], ids=str)
def test_a_disk_that_is_full_for_a_while(trouble: Trouble) -> None:
    flawless(trouble)


# Some 1,300 stories: ten minutes and more.
@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_a_disk_that_is_full_at_every_single_write(end: str, way: How) -> None:
    wrong: dict[str, list[str]] = {}
    writes = told(None).cards[end].writes
    for at in range(1, writes + 1):
        trouble = Trouble(end, at, way, "read-only" if at % 4 == 3 else "full")
        try:
            found = judge(told(trouble))
        except AssertionError as error:
            found = [str(error)[:2000]]
        if found:
            wrong[str(trouble)] = found
    assert not wrong, "\n".join(f"{trouble}: {line}" for trouble, lines in wrong.items() for line in lines[:4])
