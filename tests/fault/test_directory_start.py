"""Starts in a directory that something is wrong with: races, crashes, links, rights, full disks."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hypershell.access.keys import WORKER
from tests.helpers.access import NOBODY, Site, complaint, uid_of, until_up
from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, Farm, Process, rarely
from tests.helpers.waiting import until


def race(site: Site, number: int) -> None:
    """So many servers start at once: one wins, the others say who."""
    gate = site.farm.folder / "gate"
    script = f"until test -e {gate}; do sleep 0.05; done; exec $HYPERSHELL server start "
    script += f"--server-dir {site.path} -p 0"
    starts = [site.farm.spawn_shell(script) for _ in range(number)]

    gate.touch()

    def one_is_left() -> bool:
        return sum(start.is_running for start in starts) <= 1

    until(one_is_left, 100, "all but one have ended")
    (winner,) = [start for start in starts if start.is_running]
    until_up(winner)
    said = rf"server {uid_of(winner)}, pid {winner.pid} on"
    for start in starts:
        if start is not winner:
            complaint(start, 3, "a server is already running in", said)
    assert site.info()["pid"] == winner.pid
    assert ["001"] == site.runs()
    site.stop()
    assert 0 == winner.wait()
    gate.unlink()


@pytest.mark.parametrize("number", [5, rarely(16)])
def test_of_many_starts_at_once_one_wins(site: Site, number: int) -> None:
    """The kernel's lock decides; each loser names the winner."""
    race(site, number)

    assert site.is_clean()


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_of_fifty_starts_at_once_one_wins_each_time(farm: Farm) -> None:
    """Twenty times, each in a directory of its own."""
    for number in range(20):
        race(Site(farm, f"site{number}"), 50)


def test_a_start_after_a_kill_takes_over(site: Site) -> None:
    """The old run's directory is kept, the number is new, keys and ports are the same."""
    site.serve().kill()
    before = site.access()

    new = site.serve()

    after = site.access()
    assert before.endpoints == after.endpoints
    assert before.server_uid != after.server_uid
    assert ["001", "002"] == site.runs()
    assert site.record("001")["ended"] is None
    new.expect(f"continuing with the keys and ports of server {before.server_uid}, which died")


def test_a_start_after_a_clean_end_takes_nothing_over(site: Site) -> None:
    """A clean end leaves no keys in force."""
    site.serve()
    before = site.access()
    site.stop()

    site.serve()

    after = site.access()
    assert not {endpoint.key for endpoint in before.endpoints.values()} & {
        endpoint.key for endpoint in after.endpoints.values()
    }


def test_a_taken_port_of_a_dead_server_is_replaced(site: Site) -> None:
    """If another program has the dead one's port, the new server takes another, with its keys."""
    site.serve("-p", 0).kill()
    before = site.access()
    assert before.worker is not None
    other = Site(site.farm, "other")
    other.serve("-p", before.worker.port)

    site.serve()

    after = site.access().endpoints
    assert before.worker.key == after[WORKER].key
    assert before.worker.port != after[WORKER].port


@pytest.mark.campaign
def test_each_start_after_a_kill_is_a_run_of_its_own(site: Site) -> None:
    """Numbers go up, nothing is overwritten, and the last one answers."""
    for _ in range(4):
        site.serve().kill()

    site.serve()

    assert ["001", "002", "003", "004", "005"] == site.runs()
    assert "005" == os.readlink(site.path / "current")
    assert 5 == len({site.record(run)["server_uid"] for run in site.runs()})


def test_a_dangling_link_is_no_obstacle(site: Site) -> None:
    """`current` that leads nowhere, or to a file, is replaced."""
    site.path.mkdir(mode=0o700)
    for number, target in enumerate(("gone", "/etc/hostname", "007"), 1):
        (site.path / "current").symlink_to(target)

        info = site.run("server", "info")
        site.serve()

        complaint(info, 4, "no server was ever started" if number == 1 else "ended on")
        assert f"{number:03d}" == os.readlink(site.path / "current")
        site.stop()


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_something_else_in_the_place_of_the_link_is_left_alone(site: Site, kind: str) -> None:
    """A `current` that no server made is named; exit 3, nothing is touched, the lock is free."""
    current = site.path / "current"
    site.path.mkdir(mode=0o700)
    current.mkdir() if kind == "directory" else current.write_text("mine")

    process = site.run("server", "start")

    complaint(process, 3, "current is not a link that a server made", "move it away")
    assert (current.is_dir(), current.is_file()) == (kind == "directory", kind == "file")
    assert [] == site.runs()
    assert not (site.path / "claim").exists()


def test_a_link_to_the_directory_is_followed(site: Site) -> None:
    """A link of one's own may stand for the server directory."""
    real = Site(site.farm, "real")
    real.path.mkdir(mode=0o700)
    site.path.symlink_to("real")

    server = site.serve()

    assert real.info()["pid"] == server.pid


PLACES = {
    "a file": ("file", 3, "cannot use .*file as the server directory: "),
    "below a file": ("file/below", 3, "not a directory"),
    "a broken link": ("dangling", 3, "a broken link"),
    "an empty name": ("", 3, "the name is empty"),
    "open to others": ("open", 3, r"other users can write to .*open \(mode 0777\)"),
    "a name too long": ("x" * 300, 3, "name too long"),
    "/proc": ("/proc/nowhere", 3, "cannot use"),
}


def test_a_place_that_cannot_be_used_is_named(site: Site) -> None:
    """One clear line, exit 3, never a traceback."""
    (site.farm.folder / "file").touch()
    (site.farm.folder / "dangling").symlink_to("nowhere")
    (site.farm.folder / "open").mkdir()
    (site.farm.folder / "open" / "something").touch()
    (site.farm.folder / "open").chmod(0o777)

    tried = [
        (site.farm.start("server", "start", "-p", 0, "--server-dir", place), code, says)
        for place, code, says in PLACES.values()
    ]

    for process, code, says in tried:
        complaint(process, code, says)


def test_a_name_with_a_line_end_makes_no_two_lines(farm: Farm) -> None:
    """What is said of a directory is one line, whatever its name."""
    site = Site(farm, "a\nb")

    server = site.serve()

    assert all(line[2] == ":" == line[5] for line in server.err.strip().split("\n"))


def as_nobody(site: Site, *words: str) -> Process:
    """Run `hyper-shell WORDS` as an ordinary user whose home nobody can write."""
    if os.geteuid() != 0:
        return site.farm.start(*words)
    setpriv = shutil.which("setpriv") or lacks("setpriv is not installed")
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    python = [sys.executable, "-m", "hypershell"]
    probe = [setpriv, *ids, python[0], "-c", "import hypershell.app.serve"]
    seen = subprocess.run(probe, env=site.farm.environment, capture_output=True, check=False)
    if seen.returncode != 0:
        lacks("another user cannot run this Python")
    return site.farm.spawn([setpriv, *ids, *python, *words], cwd="/")


def open_to_nobody(path: Path) -> None:
    """Let other users come as far as this directory."""
    for folder in [path, *path.parents]:
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            if folder == Path("/root"):
                lacks("the tests lie where other users cannot come")
            folder.chmod(folder.stat().st_mode | 0o011)


def test_an_unwritable_directory_is_named_to_an_ordinary_user(site: Site) -> None:
    """Where one may not write no server starts: exit 3."""
    open_to_nobody(site.farm.folder)
    site.path.mkdir(mode=0o500)
    if os.geteuid() == 0:
        os.chown(site.path, NOBODY, NOBODY)

    within = as_nobody(site, "server", "start", "--server-dir", str(site.path))
    below = as_nobody(site, "server", "start", "--server-dir", str(site.path / "new"))

    complaint(within, 3, "cannot use .*site.* as the server directory: .*permission denied")
    complaint(below, 3, "cannot use .*site/new as the server directory: permission denied")


def test_a_directory_of_another_user_is_refused(site: Site) -> None:
    """Neither to start in, nor to look into: nothing in it is trusted."""
    open_to_nobody(site.farm.folder)
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's directory")
    site.serve()
    site.path.chmod(0o755)

    start = as_nobody(site, "server", "start", "--server-dir", str(site.path))
    info = as_nobody(site, "server", "info", "--server-dir", str(site.path))

    complaint(start, 3, "belongs to another user")
    complaint(info, 5, "permission denied")


def test_a_read_only_file_system_is_named(site: Site) -> None:
    """Exit 3 and the reason."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    site.path.mkdir(mode=0o700)
    mounted = f"mount -t tmpfs -o ro,mode=700 none {site.path} && exec " + " ".join(PROGRAM)
    try_it = ["unshare", "--mount", "true"]
    if subprocess.run(try_it, capture_output=True, check=False).returncode != 0:
        lacks("no mount namespaces here")

    process = site.farm.spawn(
        ["unshare", "--mount", "sh", "-c", f"{mounted} server start --server-dir {site.path}"]
    )

    complaint(process, 3, "cannot use .*site as the server directory: .*read-only file system")


def test_without_a_home_the_ways_out_are_named(site: Site) -> None:
    """No HOME and no option: exit 3. With a directory and a seal key HOME is not needed."""
    site.farm.environment.pop("HOME")
    words = ("-p", 0, "--server-dir", site.path)
    key = {"HYPERSHELL_SEAL_KEY": str(site.farm.folder / "seal.key")}

    complaint(site.farm.run("server", "start"), 3, "HOME is not set", "--server-dir DIR")
    complaint(site.farm.run("server", "info"), 3, "HOME is not set", "--server-dir DIR")
    complaint(site.farm.run("server", "start", *words), 3, "HOME is not set", "HYPERSHELL_SEAL_KEY")
    until_up(site.farm.start("server", "start", *words, env=key))


@pytest.mark.campaign
def test_a_home_that_is_no_directory_is_named(site: Site) -> None:
    """HOME that leads nowhere useful: one clear line."""
    homes = {"": "HOME is not set", "relative": "HOME is not set"}
    homes |= {"/proc/nowhere": "cannot use", "/dev/null": "cannot use"}
    for home, says in homes.items():
        process = site.farm.run("server", "start", env={"HOME": home})

        complaint(process, 3, says)


def test_a_full_disk_leaves_no_half_made_run(site: Site) -> None:
    """Where nothing more can be written no server starts, and nothing is published."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        lacks("no mount namespaces here")
    site.path.mkdir(mode=0o700)
    command = " ".join(PROGRAM)
    script = (
        f"mount -t tmpfs -o size=64k,mode=700 none {site.path} || exit 99; cd {site.path};"
        f" head -c 60k /dev/zero > fill; {command} server start -p 0 --server-dir {site.path};"
        f" code=$?; ls -A {site.path}; exit $code"
    )

    process = site.farm.spawn(["unshare", "--mount", "sh", "-c", script])

    complaint(process, 3, "cannot use the task database .*: database or disk is full")
    assert {"fill", "lock", "hyper-shell.db-lock"} == set(process.out.decode().split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.campaign
def test_a_signal_as_it_starts_leaves_no_link_behind(site: Site, number: int) -> None:
    """Whenever the signal comes the directory is free and clean, or was never begun."""
    for _ in range(3):
        server = site.start("server", "start", "-p", 0)
        until(lambda: (site.path / "claim").exists(), 15, "it has the directory")

        server.signal(number)

        # It dies of the signal as long as it does not handle signals yet.
        assert server.wait() in {128 + number, -number}
        assert not (site.path / "current").exists()
    site.serve()


def test_a_broken_record_of_a_dead_server_is_no_obstacle(site: Site) -> None:
    """A record or access file that a crash or a hand left unreadable: a new start says so."""
    for name, content, status in (("server.json", "{", 4), ("access.json", "", 5)):
        site.serve().kill()
        path = site.path / "current" / name
        path.chmod(0o600)
        path.write_text(content)

        info = site.run("server", "info")
        server = site.serve()

        assert status == info.wait(), info.err
        assert site.info()["pid"] == server.pid
        site.stop()


@pytest.mark.campaign
def test_who_else_holds_the_lock_is_waited_for_and_told(site: Site) -> None:
    """A lock that a stranger's process has, with no claim: refused within some seconds."""
    site.path.mkdir(mode=0o700)
    (site.path / "lock").touch(0o600)
    holder = site.farm.spawn(["flock", str(site.path / "lock"), "sleep", "20"])
    until(lambda: holder.descendants(), 15, "the lock is held")

    process = site.run("server", "start", seconds=10)

    complaint(process, 3, "a server is already running in .*: its owner is unknown")
    assert re.search("server stop", process.err)
    os.killpg(holder.pid, signal.SIGTERM)
