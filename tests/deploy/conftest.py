import pytest

from tests.deploy.stages import Certificates, GatewayStage, RelayStage
from tests.deploy.upstream import Recorder


@pytest.fixture(scope="package")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="package")
def recorder(certificates):
    made = Recorder(certificates.gateway_context())
    yield made
    made.close()


@pytest.fixture
def make_relay(tmp_path, certificates, recorder):
    """Start a relay, mutated if wanted; each in a folder of its own, stopped at the end."""
    made = []

    def make(mutant=None):
        made.append(RelayStage(tmp_path / f"relay-{len(made)}", certificates, recorder, mutant))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def make_gateway(tmp_path, certificates, recorder):
    """Start the headend's front, mutated if wanted."""
    made = []

    def make(mutant=None):
        made.append(GatewayStage(tmp_path / f"gateway-{len(made)}", certificates, recorder, mutant))
        return made[-1]

    yield make
    for one in made:
        one.stop()
