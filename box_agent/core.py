"""The agent's core: the store, the household's answer and the recorder. It is what an agent starts with.

It imports little (see `box_agent.lean`), so that the first event is taken while everything else is still
being loaded. Whoever uses it takes turns: one thread at a time.
"""

from __future__ import annotations

from box_agent.consent import Consent
from box_agent.recorder import Recorder
from box_agent.store import ANONYMOUS_TABLES, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from shared.clock import Clock

STORE_NAME = "box.sqlite"
DAMAGED_COPY = ".damaged"
"""Behind the store's name: the file that `box_agent.salvage` has read what it could out of."""


class Core:
    """What records. `state` is the agent's folder, `witness` where the consent stands a second time.

    Raises, when it is made:
        StoreError: the store cannot be opened; its subclass says why.
    """

    def __init__(self, state: str, witness: str | os.PathLike[str], clock: Clock, boot: str = "") -> None:
        self.clock = clock
        self.store = Store(f"{state}/{STORE_NAME}")
        self.door = self.store.door(ANONYMOUS_TABLES)
        self.consent = Consent(self.door, witness, boot)
        self.recorder = Recorder(self.door, self.consent, clock, boot)
