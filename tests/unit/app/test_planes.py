"""Where a server listens, and what its access file says: from options, files and the dead."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypershell.access.endpoints import Access, generate
from hypershell.access.keys import CLIENT, DEFAULT_WORKER_PORT, PLANES, WORKER
from hypershell.app.planes import PlaneOptions, PlannedPlane, facts_of, plan
from hypershell.core.errors import AddressInUse, KeyTooShort
from hypershell.serverdir.directory import ServerDirectory
from hypershell.serverdir.holder import this_host


def planned(**options: Any) -> dict[str, PlannedPlane]:
    """Both planes of a server with these options."""
    return plan(PlaneOptions(**options)).plans


@pytest.fixture
def file() -> Access:
    """What a file made beforehand opens."""
    return generate(("w.invalid", 1111), ("127.0.0.1", 2222))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def test_by_default_only_this_machine_is_let_in() -> None:
    """Both planes on loopback, the worker plane on its known port if that is free, new keys."""
    plans = planned()

    assert {"localhost"} == {it.bind_host for it in plans.values()}
    assert (DEFAULT_WORKER_PORT, 0) == (plans[WORKER].port, plans[CLIENT].port)
    assert plans[WORKER].others_do
    assert plans[CLIENT].others_do
    assert plans[WORKER].key != plans[CLIENT].key


def test_a_port_that_was_asked_for_is_not_replaced(taken: int) -> None:
    """AddressInUse, for either plane."""
    for options in (PlaneOptions(worker_port=taken), PlaneOptions(client_port=taken)):
        with pytest.raises(AddressInUse), plan(options).bind():
            pass


def test_a_default_port_moves_only_for_clients_that_read_a_file() -> None:
    """Clients that were given a key look at the default port."""
    with_key = planned(key="a-key-that-was-given")

    assert not with_key[WORKER].others_do
    assert with_key[CLIENT].others_do
    assert "a-key-that-was-given" == with_key[WORKER].key
    assert "a-key-that-was-given" != with_key[CLIENT].key


@pytest.mark.parametrize("host", ["node1.invalid", "192.0.2.1", "2001:db8::1", "localhost.invalid"])
def test_a_host_that_others_know_opens_all_addresses(host: str) -> None:
    """Whether it resolves here or not; and the name is what the file says."""
    plans = planned(host=host)

    assert {"*"} == {it.bind_host for it in plans.values()}
    assert {host} == {it.host for it in plans.values()}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.9", "::1"])
def test_a_host_that_is_loopback_opens_nothing_more(host: str) -> None:
    """No other machine gets in by a name for this one."""
    plans = planned(host=host)

    assert {"*"}.isdisjoint(it.bind_host for it in plans.values())


def test_the_machines_own_name_opens_all_addresses() -> None:
    """Though many a machine lists its own name under 127.0.1.1."""
    assert "*" == planned(host=this_host())[WORKER].bind_host


@pytest.mark.parametrize("address", ["127.0.1.1", "127.0.0.1", "::1"])
def test_the_machines_full_name_opens_all_addresses(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its own hosts file has for it."""
    full = f"{this_host().partition('.')[0]}.example.org"
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: look_up(address, *a, **k))

    assert "*" == planned(host=full)[WORKER].bind_host


def test_bind_says_where_to_listen_whatever_the_name() -> None:
    """-H limits what --host would open."""
    plans = planned(host="node1.invalid", bind_host="127.0.0.1")

    assert {"127.0.0.1"} == {it.bind_host for it in plans.values()}


def test_a_file_settles_all(file: Access) -> None:
    """Its keys and ports, and per plane what its host means."""
    plans = plan(PlaneOptions(), prepared=file).plans

    for plane in PLANES:
        endpoint = file.endpoints[plane]
        it = plans[plane]
        assert (endpoint.host, endpoint.port, endpoint.key) == (it.host, it.port, it.key)
        assert not it.others_do
    assert ("*", "127.0.0.1") == (plans[WORKER].bind_host, plans[CLIENT].bind_host)


def test_a_key_of_the_environment_does_not_change_a_file(file: Access) -> None:
    """The file's key is what clients have."""
    plans = plan(PlaneOptions(key="a-key-of-the-environment"), prepared=file).plans

    assert file.worker is not None
    assert file.worker.key == plans[WORKER].key


def test_what_a_dead_server_had_is_gone_on_with(file: Access) -> None:
    """Keys, hosts and ports; another port will do, as the directory says where."""
    plans = plan(PlaneOptions(), predecessor=file).plans

    assert [1111, 2222] == [plans[plane].port for plane in (WORKER, CLIENT)]
    assert all(plans[plane].key == file.endpoints[plane].key for plane in PLANES)
    assert all(it.others_do for it in plans.values())


def test_options_come_before_what_a_dead_server_had(file: Access) -> None:
    """Port, key and host, each by itself."""
    options = PlaneOptions(host="new.invalid", worker_port=3333, key="a-key-that-was-given")
    plans = plan(options, predecessor=file).plans

    assert (3333, 2222) == (plans[WORKER].port, plans[CLIENT].port)
    assert "a-key-that-was-given" == plans[WORKER].key
    assert plans[CLIENT].key == file.endpoints[CLIENT].key
    assert {"new.invalid"} == {it.host for it in plans.values()}


def test_what_is_bound_is_what_the_file_says() -> None:
    """The ports that were really taken, and a name for each address."""
    with plan(PlaneOptions(worker_port=0)).bind() as planes:
        access = planes.access("abcd2345")
        ports = {planes.worker.getsockname()[1], planes.client.getsockname()[1]}

    assert ports == {endpoint.port for endpoint in access.endpoints.values()}
    assert {"localhost"} == {endpoint.host for endpoint in access.endpoints.values()}


def test_all_addresses_are_called_by_the_machines_name() -> None:
    """Where nobody gave a name, others are told this one."""
    with plan(PlaneOptions(worker_port=0, bind_host="0.0.0.0")).bind() as planes:
        access = planes.access("abcd2345")

    assert {this_host()} == {endpoint.host for endpoint in access.endpoints.values()}


def test_planes_are_closed_when_the_second_cannot_be_bound(taken: int) -> None:
    """The first one's port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    options = PlaneOptions(worker_port=free, client_port=taken)

    with pytest.raises(AddressInUse), plan(options).bind():
        pass

    socket.create_server(("127.0.0.1", free)).close()


def test_a_short_key_is_refused_where_others_can_come() -> None:
    """And its socket is closed."""
    plane = PlannedPlane("0.0.0.0", None, 0, "short", others_do=True)

    with pytest.raises(KeyTooShort):
        plane.bind()


def test_facts_have_no_key(file: Access, tmp_path: Path) -> None:
    """What `info` tells of a server opens nothing."""
    with ServerDirectory(tmp_path).hold() as held:
        facts = facts_of(file, held, None)

    assert "w.invalid" == facts["worker_host"]
    assert 2222 == facts["client_port"]
    assert not any(endpoint.key in str(facts) for endpoint in file.endpoints.values())
