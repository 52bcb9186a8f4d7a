import socket
from contextlib import closing

import pytest

from headend.kit.listening import ListeningError, check_free
from simulator.processes import free_port

HOST = "127.0.0.1"


def listener(family, place, *options):
    made = socket.socket(family)
    for option in options:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    made.bind(place)
    made.listen()
    return closing(made)


@pytest.mark.parametrize(
    "options",
    [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)],
    ids=["alone", "again", "shared"],
)
def test_a_port_on_which_another_listens_is_refused_also_if_it_could_be_shared(options):
    port = free_port()
    with (
        listener(socket.AF_INET, (HOST, port), *options),
        pytest.raises(ListeningError, match=f"port {port} of 127.0.0.1: Address already in use"),
    ):
        check_free((HOST, port))
    check_free((HOST, port))


def test_a_port_with_nothing_but_the_end_of_old_connections_is_free():
    port = free_port()
    with (
        listener(socket.AF_INET, (HOST, port), socket.SO_REUSEADDR) as listening,
        socket.create_connection((HOST, port)),
    ):
        listening.accept()[0].close()  # who ends first keeps the connection for a minute
    check_free((HOST, port))


def test_a_name_that_is_no_address_of_this_machine_is_refused():
    with pytest.raises(ListeningError, match=r"port 80 of 192\.0\.2\.1: "):
        check_free(("192.0.2.1", 80))


def test_a_socket_that_a_killed_process_has_left_is_removed(tmp_path):
    path = tmp_path / "http.sock"
    with listener(socket.AF_UNIX, str(path)):
        pass
    assert path.is_socket()
    check_free(path)
    assert not path.exists()


def test_a_socket_that_is_answered_is_left_alone(tmp_path):
    path = tmp_path / "http.sock"
    with listener(socket.AF_UNIX, str(path)):
        with pytest.raises(ListeningError, match="another process listens there"):
            check_free(path)
        assert path.is_socket()


def test_where_no_socket_can_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    for path in (tmp_path / "file", tmp_path / "nowhere" / "http.sock", tmp_path / ("x" * 200)):
        with pytest.raises(ListeningError, match=path.name):
            check_free(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
