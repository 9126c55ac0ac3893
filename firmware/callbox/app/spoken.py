"""The box for people who do not look at it: the desks that speak, joined.

speaking     one utterance after the other           announcing   what the box says of itself
reading      messages aloud, one for each press      menus        the spoken menu
"""

from callbox.app.announcing import Announcing
from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.menus import LinkAsks, Menus
from callbox.app.people import People
from callbox.app.phrases import load_phrases
from callbox.app.post import Post
from callbox.app.reading import Reading
from callbox.app.speaking import Speaking
from callbox.base.time import Instant, earliest


class Spoken:
    """Made once per box. Raises WrongUse for a language that the box has no sentences in."""

    def __init__(self, core: Core, people: People, post: Post, calling: Calling, server: str, one_button: bool) -> None:
        self.speaking = Speaking(core, load_phrases(core.settings.speech.language))
        self.reading = Reading(core, people, post, self.speaking)
        self.announcing = Announcing(core, people, post, calling, self.speaking, self.reading)
        self.menus = Menus(core, people, post, self.speaking, self.reading, self.announcing, server, one_button)
        self.announcing.on_call = self.menus.close

    def join_linking(self, linking: LinkAsks) -> None:
        """Let a further box be linked from the menu; whoever is at this one hears that it asks."""
        self.menus.linking = linking
        linking.on_asked = lambda numbers: self.announcing.link_asked()

    @property
    def deadline(self) -> Instant | None:
        """When something is due to be said, or the menu to close."""
        return earliest(self.announcing.deadline, self.menus.deadline)

    def tick(self) -> None:
        """Look at what the event that is being handled has changed."""
        self.announcing.tick()
        self.menus.tick()

    def status(self) -> str:
        """Return "on", "off", or why the box cannot speak."""
        return self.speaking.fault or ("on" if self.speaking.says else "off")
