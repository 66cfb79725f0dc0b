"""Hosts and addresses: IPv6, names, names that do not resolve here, and two machines."""

import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.access import Site, complaint, uid_of, until_up
from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, ROOT, Farm, Process

SERVICES = ROOT / "tests" / "services"

Machine = Callable[..., Process]


@pytest.fixture
def ipv6() -> None:
    """Skips where loopback has no IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        lacks("loopback has no IPv6 here")


def works(site: Site) -> None:
    """A client finds the server, and a task that is submitted runs there."""
    site.client()
    site.submit("echo done > done")
    assert ["done"] == site.farm.wait_for_lines("done", 1)
    site.stop()


@pytest.mark.usefixtures("ipv6")
def test_a_server_on_an_ipv6_address_is_found(site: Site) -> None:
    """-H ::1 listens there alone, and the access file says so."""
    site.serve("-H", "::1", "-p", site.farm.free_port())

    assert {"::1"} == {endpoint.host for endpoint in site.access().endpoints.values()}
    port = site.record()["worker_port"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)
    works(site)


@pytest.mark.usefixtures("ipv6")
def test_a_server_that_is_called_by_an_ipv6_address_is_found(site: Site) -> None:
    """--host ::1 makes the server listen where others are told to look."""
    site.serve("--host", "::1")

    works(site)


@pytest.mark.usefixtures("ipv6")
def test_an_access_file_with_an_ipv6_host_works(site: Site) -> None:
    """So does a file made beforehand."""
    ports = ("--worker-port", site.farm.free_port(), "--client-port", site.farm.free_port())
    site.farm.run("server", "generate-access", "v6.json", *ports, "--host", "::1")

    site.serve("--access-file", site.farm.folder / "v6.json")

    works(site)


def test_a_server_on_a_named_address_is_found(site: Site) -> None:
    """-H localhost, and the machine's own name, are in the file as they were given."""
    site.serve("-H", "localhost")

    assert {"localhost"} == {endpoint.host for endpoint in site.access().endpoints.values()}
    works(site)


def test_a_server_called_by_a_name_is_found_by_it(site: Site) -> None:
    """`server start --host HOST`: the file has the name, and both doors are behind it."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        lacks("this machine does not know its own name")

    site.serve("--host", name)

    assert {name} == {endpoint.host for endpoint in site.access().endpoints.values()}
    works(site)


def test_a_name_that_does_not_resolve_here_is_still_written(site: Site) -> None:
    """Others may know it: the server listens on all addresses, and says no error.

    Who is on this machine reaches it with -H.
    """
    server = site.serve("--host", "gateway.invalid")

    info = site.run("server", "info")
    client = site.start("client", "-H", "localhost")

    client.expect("joined")
    assert server.is_running
    assert {"gateway.invalid"} == {endpoint.host for endpoint in site.access().endpoints.values()}
    complaint(info, 4, "gateway.invalid")


def test_an_address_of_another_machine_cannot_be_listened_on(site: Site) -> None:
    """-H with an address that is not here: exit 3, and no run is left."""
    process = site.run("server", "start", "-H", "192.0.2.7")

    complaint(process, 3, "cannot listen on 192.0.2.7")
    assert [] == site.runs()


def test_a_short_key_is_refused_where_others_can_reach(site: Site) -> None:
    """--host of another name listens on all addresses: a short key will not do. Exit 5."""
    process = site.run("server", "start", "--host", "gateway.invalid", "-k", "short", "-p", 0)

    complaint(process, 5, "5 characters is too short")
    assert [] == site.runs()


@pytest.fixture
def machines(farm: Farm) -> Iterator[tuple[Machine, Machine]]:
    """Two machines: each starts `hyper-shell WORDS` in a network of its own."""
    name = f"hs{secrets.token_hex(3)}"
    up = subprocess.run(
        [SERVICES / "netns-up.sh", name], capture_output=True, text=True, check=False
    )
    if up.returncode == 77:
        lacks(up.stderr.strip())
    assert up.returncode == 0, up.stderr

    def machine(side: str) -> Machine:
        def start(*words: object) -> Process:
            inside = [shutil.which("ip") or "ip", "netns", "exec", f"{name}-{side}"]
            return farm.spawn([*inside, *PROGRAM, *map(str, words)])

        return start

    try:
        yield machine("a"), machine("b")
        farm.close()
    finally:
        subprocess.run([SERVICES / "netns-down.sh", name], check=True)


@pytest.mark.campaign
def test_two_machines_without_a_shared_file_system(
    farm: Farm, machines: tuple[Machine, Machine]
) -> None:
    """The worker host differs from the client host, and each part is all that its machine has.

    The server's machine is reached by its outer address for workers; people are on it already.
    """
    here, there = machines
    site, other = Site(farm, "here"), Site(farm, "there")
    hosts = ("--worker-host=10.99.0.1", "--client-host=127.0.0.1")
    ports = ("--client-port=6789", "--worker-port=1234")
    parts = ("--client-file=client.json", "--worker-file=worker.json")
    made = here("server", "generate-access", "full.json", *parts, *hosts, *ports)
    assert 0 == made.wait(), made.err
    other.path.mkdir(mode=0o700)
    (farm.folder / "worker.json").rename(other.path / "access.json")
    server = until_up(
        here("server", "start", "--access-file", "full.json", "--server-dir", site.path)
    )
    node = there("client", "--server-dir", other.path)

    submit = here("submit", "--access-file", "client.json", "--", "cat /proc/net/fib_trie > net")
    misled = there("server", "info", "--access-file", "client.json")

    node.expect("joined")
    assert 0 == submit.wait(), submit.err
    assert "10.99.0.2" in "\n".join(farm.wait_for_lines("net", 1))
    complaint(misled, 4, "127.0.0.1 port 6789")
    stop = here("server", "stop", "--access-file", "client.json")
    assert [0, 0, 0] == [stop.wait(), node.wait(), server.wait()]


@pytest.mark.campaign
def test_two_machines_with_a_shared_directory(
    site: Site, farm: Farm, machines: tuple[Machine, Machine]
) -> None:
    """With --host and a directory that both see, nothing else is to be carried about."""
    here, there = machines
    server = until_up(here("server", "start", "--host", "10.99.0.1", "--server-dir", site.path))
    node = there("client", "--server-dir", site.path)

    submit = there("submit", "--server-dir", site.path, "--", "echo done > done")
    stop_words = ("server", "stop", "--server-dir", site.path)

    node.expect("joined")
    assert 0 == submit.wait(), submit.err
    assert ["done"] == farm.wait_for_lines("done", 1)
    assert [0, 0, 0] == [there(*stop_words).wait(), node.wait(), server.wait()]


@pytest.mark.campaign
def test_a_server_on_loopback_is_out_of_reach_from_another_machine(
    site: Site, machines: tuple[Machine, Machine]
) -> None:
    """Without --host only its own machine reaches it; another is told that it is held: exit 4."""
    here, there = machines
    server = until_up(here("server", "start", "--server-dir", site.path))

    info = there("server", "info", "--server-dir", site.path)
    second = there("server", "start", "--server-dir", site.path)

    complaint(info, 4, f"cannot be reached from here: server {uid_of(server)}")
    complaint(second, 3, "a server is already running in")
