"""The shipped configurations between two ends that are looked at."""

import ssl
from functools import cached_property

from tests.deploy.certificates import CLIENT_USE, Authority
from tests.deploy.client import Client, parted
from tests.deploy.nginx import BOX, Nginx
from tests.deploy.upstream import answer, server_context


class Certificates:
    """All of one run: the relay's towards the boxes, and both ends of the line to the gateway."""

    def __init__(self, folder):
        self.folder = folder
        self.public, self.line = Authority("a public authority"), Authority("the line's authority")
        self.stranger = Authority("the line's authority")  # of the same name, with another key
        self.public_file = self.public.write(folder / "public-ca.pem")
        self.line_file = self.line.write(folder / "line-ca.pem")
        self.relay = self.public.issue(folder, "relay", "127.0.0.1")
        self.relay_line = self.line.issue(folder, "line", "relay", CLIENT_USE)
        self.gateway = self.line.issue(folder, "gateway", "gateway.example")
        self.other_name = self.line.issue(folder, "other-name", "elsewhere.example")
        self.forged = self.stranger.issue(folder, "forged", "gateway.example")
        self.forged_line = self.stranger.issue(folder, "forged-line", "relay", CLIENT_USE)

    def gateway_context(self, which=None):
        return server_context(*(which or self.gateway), self.line_file)

    @cached_property
    def imposters(self):
        """Servers that are not the gateway, or speak too weakly."""
        weak = self.gateway_context()
        weak.minimum_version = weak.maximum_version = ssl.TLSVersion.TLSv1_2
        return [self.gateway_context(self.forged), self.gateway_context(self.other_name), weak]


class RelayStage:
    """A box, the relay, and the gateway; `mutant` is (file, what stands there, what shall stand there)."""

    def __init__(self, folder, certificates, recorder, mutant=None):
        configuration = folder / "configuration"
        configuration.mkdir(parents=True)
        lay_out_relay(configuration, certificates)
        self.authority = certificates.public_file
        self.gateway, self.imposters = recorder, certificates.imposters
        recorder.drop()
        recorder.context = certificates.gateway_context()
        recorder.reply = lambda *_: answer()
        recorder.forget()
        values = {"server gateway.example:8443;": f"server 127.0.0.1:{recorder.port};"}
        self.nginx = Nginx(folder, "relay", values, mutant)
        self.box = Client(self.nginx.ports[443], self.authority)

    def stop(self):
        self.nginx.stop()


class GatewayStage:
    """The front of a headend, with a headend that records behind it; plain, as on loopback."""

    def __init__(self, folder, certificates, recorder, mutant=None):
        configuration = folder / "configuration"
        configuration.mkdir(parents=True)
        lay_out_gateway(configuration, certificates)
        recorder.context, recorder.reply = None, lambda *_: answer()
        recorder.drop()
        recorder.forget()
        self.headend, self.line_file, self.relay_line = (
            recorder,
            certificates.line_file,
            certificates.relay_line,
        )
        values = {"server 127.0.0.1:8080;": f"server 127.0.0.1:{recorder.port};"}
        self.nginx = Nginx(folder, "gateway", values, mutant)
        self.box = Client(self.nginx.ports[443], certificates.public_file)
        self.operator = Client(self.nginx.ports[9443], certificates.public_file)
        self.relay = Client(self.nginx.ports[8443], certificates.line_file, certificates.relay_line)
        self.strangers = [None, certificates.forged_line, certificates.gateway, certificates.relay]

    def ask(self, client, raw, name="127.0.0.1", source=BOX):
        """Status, header fields and body of one exchange."""
        with client.connect(source, name) as line:
            line.settimeout(4)
            line.sendall(raw)
            return parted(line.recv(99999))

    def stop(self):
        self.nginx.stop()


def lay_out_gateway(configuration, certificates):
    """What an operator lays beside the gateway's configuration."""
    for stem, source in (("headend", certificates.relay), ("line", certificates.gateway)):
        for path, suffix in zip(source, ("pem", "key"), strict=True):
            (configuration / f"{stem}.{suffix}").write_bytes(path.read_bytes())
    (configuration / "line-ca.pem").write_bytes(certificates.line_file.read_bytes())


def lay_out_relay(configuration, certificates):
    """What the relay's operator lays beside its configuration."""
    for stem in ("relay.pem", "relay.key", "line.pem", "line.key", "line-ca.pem"):
        (configuration / stem).write_bytes((certificates.folder / stem).read_bytes())
