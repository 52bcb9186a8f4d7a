"""The doors, one file each: how input is drawn, and what may never come of it."""

from tests.fuzz.engine import Target
from tests.fuzz.targets.kodi_stream import KodiStream
from tests.fuzz.targets.socket_lines import SocketLines
from tests.fuzz.targets.socket_stream import SocketStream
from tests.fuzz.targets.xmltv_guide import XmltvGuide

TARGETS: tuple[Target, ...] = (SocketLines(), SocketStream(), KodiStream(), XmltvGuide())
