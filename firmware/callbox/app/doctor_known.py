"""What `callbox doctor` can know of a box and its machine: plain facts, without any judgement.

Each area is a struct of facts, or `NotLooked` with the reason: what nobody could see is never taken for good. A running
box holds its store, its sound card and its pins; those areas are then `Held`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotLooked:
    """An area that could not be looked at, and why: the end of the sentence "not looked at: ..."."""

    why: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An area that the running box holds. `faulty`: that box reports a fault, which may be of this area."""

    faulty: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that failed, as it was told."""

    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package that Callbox needs. `there`: the version installed, None if it is missing."""

    name: str
    needed: str
    there: str | None


@dataclass(frozen=True, slots=True)
class PythonFacts:
    version: tuple[int, int, int]
    callbox: str
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """The box's folder. `modes`: permission bits of the folder (as ".") and of the files in it that are private."""

    path: str
    there: bool
    readable: bool
    holds_box: bool
    owner: str
    user: str
    modes: tuple[tuple[str, int], ...] = ()
    service_folder: str = ""  # where the service of this machine keeps its box, if that is another folder


@dataclass(frozen=True, slots=True)
class DiskFacts:
    free_bytes: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """`problems`: everything that is wrong with box.toml, each with its file and line."""

    file: str
    there: bool
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """Whether a box runs in the folder, and what it says of itself. `trouble`: it runs, but could not be asked."""

    running: bool
    state: str = ""
    link: str = ""
    server: str = ""
    fault: str = ""
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What systemd says of the service that should run this box. `denied`: lines that its unit lacks for this box."""

    load: str = "loaded"
    active: str = "active"
    result: str = "success"
    starts_by_itself: bool = True
    exit_status: int = 0
    restarts: int = 0
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """`trouble` is None after the store was opened with its key, read, and written."""

    account: str = ""
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """When the server's certificate is valid, as Unix times."""

    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`trouble`: why the server could not be reached, proven or logged in to. `proven_by_box`: a running box did."""

    address: str
    trouble: Trouble | None = None
    proven_by_box: bool = False
    latency_ms: float | None = None
    certificate: Certificate | None = None
    ahead_s: float | None = None  # how far the server's clock is ahead of ours


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """`synchronised`: what systemd-timesyncd says; None where it does not run. `server_ahead_s`: see ServerFacts."""

    wall_ms: int
    synchronised: bool | None = None
    server_ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """`trouble` is None after microphone and speaker were opened and gave sound. `cards`: what the kernel lists."""

    backend: str
    input: str
    output: str
    cards: tuple[str, ...] = ()
    refused: bool = False  # the kernel's sound devices are there, but not for this user
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class MixerFacts:
    """What is known of the box's cards, whoever has them open.

    `muted`: card id, control and whether it is the microphone's. `twins`: names in box.toml by which one of two equal
    cards is meant, each with the name of its socket.
    """

    muted: tuple[tuple[str, str, bool], ...] = ()
    twins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CodecFacts:
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class SpeechFacts:
    """`trouble` is None after the voice has said something, or if none is wanted."""

    wanted: bool
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A pin that something else holds."""

    section: str
    pin: int
    holder: str


@dataclass(frozen=True, slots=True)
class PinFacts:
    """`problems` are those of the board file. `busy` is None where the lines were not looked at.

    `shared`: parts on pins of a bus that is switched on; the holder is the bus.
    """

    backend: str
    board: str
    problems: tuple[str, ...] = ()
    trouble: Trouble | None = None
    busy: tuple[HeldLine, ...] | None = None
    shared: tuple[HeldLine, ...] = ()
    activity_light: str = ""  # why the Pi's own light cannot be used, though the board names it


@dataclass(frozen=True, slots=True)
class WifiFacts:
    """Wi-Fi interfaces that are up, and whether each saves power; None: nobody could say."""

    power_save: tuple[tuple[str, bool | None], ...] = ()


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """The bits of the Pi's `get_throttled`: 0 under-voltage, 1 to 3 slowed down or hot; 16 to 19: it has been so."""

    throttled: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that could be found out."""

    python: PythonFacts | NotLooked
    folder: FolderFacts
    box: BoxFacts | NotLooked
    service: ServiceFacts | None  # None: it does not run this box
    settings: SettingsFacts | NotLooked
    disk: DiskFacts | NotLooked
    store: StoreFacts | Held | NotLooked
    server: ServerFacts | NotLooked
    clock: ClockFacts
    sound: SoundFacts | Held | NotLooked
    mixer: MixerFacts
    codec: CodecFacts | NotLooked
    speech: SpeechFacts | NotLooked
    pins: PinFacts | NotLooked
    wifi: WifiFacts | NotLooked
    power: PowerFacts | NotLooked
