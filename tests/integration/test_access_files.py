"""Access files made beforehand: generated, split, moved, sealed, shown; and wrong parts."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from hypershell.access.keys import CLIENT, WORKER, plane_secret
from hypershell.core.errors import KeyRefused, PlaneRefused
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.plane import dial
from tests.helpers.access import (
    Site,
    Terminal,
    complaint,
    free_ports,
    generate,
    opened,
    until_up,
)
from tests.helpers.farm import PROMPT, Process, rarely
from tests.helpers.waiting import until

PORTS = ("--client-port=6789", "--worker-port=1234")


@pytest.fixture
def parts(site: Site) -> list[Path]:
    """Full, client and worker file of a server that does not run."""
    generate(site.farm, "full.json", "--client-file", "client.json", "--worker-file", "worker.json")
    return [site.farm.folder / f"{name}.json" for name in ("full", "client", "worker")]


def mode_of(path: Path) -> int:
    """The mode bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


# The commands that the manual names.


def test_a_file_made_beforehand_starts_a_server(site: Site) -> None:
    """generate-access, then `server start --access-file`: keys, ports and content are the file's.

    The server's own access.json opens the same.
    """
    worker, client = free_ports(site.farm)
    made = generate(site.farm, "myaccess.json", worker=worker, client=client)

    site.serve(f"--access-file={made}")

    assert opened(made, site.farm.environment) == site.access()
    assert (worker, client) == tuple(site.record()[f"{it}_port"] for it in ("worker", "client"))
    assert 0 == site.farm.run("server", "info", "--access-file", made).wait()


def test_full_client_and_worker_files_are_made_together(site: Site) -> None:
    """The three have one server uid, the same keys, and mode 0400; each its part alone."""
    names = ("full.json", "--client-file=client.json", "--worker-file=worker.json")

    made = site.farm.run("server", "generate-access", *names, *PORTS)

    assert 0 == made.wait(), made.err
    full, client, worker = (
        opened(site.farm.folder / f"{name}.json", site.farm.environment)
        for name in ("full", "client", "worker")
    )
    assert (6789, 1234) == (full.client.port, full.worker.port)  # type: ignore[union-attr]
    assert (full.client, None) == (client.client, client.worker)
    assert (None, full.worker) == (worker.client, worker.worker)
    assert 1 == len({it.server_uid for it in (full, client, worker)})
    assert {0o400} == {mode_of(path) for path in site.farm.folder.glob("*.json")}


def test_hosts_of_the_planes_may_differ(site: Site) -> None:
    """--worker-host and --client-host name the planes; --host stands for what is not named."""
    one = generate(site.farm, "one", "--worker-host=w.example", "--client-host=c.example")
    two = generate(site.farm, "two", "--host=h.example", "--client-host=c.example")

    first, second = (opened(path, site.farm.environment) for path in (one, two))

    assert ["c.example", "w.example"] == [endpoint.host for endpoint in first.endpoints.values()]
    assert ["c.example", "h.example"] == [endpoint.host for endpoint in second.endpoints.values()]


def test_parts_carry_tasks_between_two_file_systems(site: Site) -> None:
    """Two directories stand for two file systems, each with a part renamed to access.json.

    A task submitted by the one runs on a client that has the other, and a server that is killed
    and started again with the same file is found by both without new files.
    """
    worker, client = free_ports(site.farm)
    parts = ("--client-file", "client.json", "--worker-file", "worker.json")
    full = generate(site.farm, "full.json", *parts, worker=worker, client=client)
    near, far = Site(site.farm, "near"), Site(site.farm, "far")
    for place, name in ((near, "client.json"), (far, "worker.json")):
        place.path.mkdir(mode=0o700)
        shutil.move(site.farm.folder / name, place.path / "access.json")
    server = site.serve("--access-file", full)
    node = far.client()

    near.submit("echo one >> done")
    site.farm.wait_for_lines("done", 1)
    server.kill()
    site.serve("--access-file", full)
    until(lambda: near.info()["clients"], PROMPT, "the client is back")
    near.submit("echo two >> done")

    assert ["one", "two"] == site.farm.wait_for_lines("done", 2)
    assert ["access.json"] == os.listdir(far.path)
    near.stop()
    assert 0 == node.wait()


# Parts in the wrong place.

WRONG_PARTS = {
    "client given to client": (["client"], "client", "worker part"),
    "worker given to submit": (["submit"], "worker", "client part"),
    "worker given to stop": (["server", "stop"], "worker", "client part"),
    "worker given to info": (["server", "info"], "worker", "client part"),
    "worker given to wait": (["server", "wait"], "worker", "client part"),
    "client given to start": (["server", "start"], "client", "both parts"),
    "worker given to start": (["server", "start"], "worker", "both parts"),
}


@pytest.mark.usefixtures("parts")
def test_a_wrong_part_is_refused_with_what_is_needed(site: Site) -> None:
    """Exit 5: which part the file has, and which the command needs."""
    tried = []
    for words, has, needs in WRONG_PARTS.values():
        tail = ["--", "true"] if words == ["submit"] else []
        process = site.farm.start(*words, "--access-file", f"{has}.json", *tail)
        tried.append((process, has, needs))

    for process, has, needs in tried:
        complaint(process, 5, f"{has}.json has only the {has} part", f"needs (the )?{needs}")


def test_a_worker_key_opens_nothing_on_the_client_plane(site: Site) -> None:
    """Offered honestly it is told which plane it is for; passed off as the other, TLS refuses."""
    site.serve()
    access = site.access()
    assert access.worker is not None
    assert access.client is not None
    secret = plane_secret(access.worker.key, WORKER)
    where = (access.client.host, access.client.port)

    with pytest.raises(PlaneRefused):
        dial(where, secret, WORKER)
    with pytest.raises(KeyRefused):
        ClientPlaneProxy(*where, secret).info()
    with pytest.raises(KeyRefused):
        ClientPlaneProxy(*where, plane_secret(access.worker.key, CLIENT)).stop(False)

    assert 0 == sum(site.info()["tasks"].values())


@pytest.mark.campaign
def test_a_client_key_opens_nothing_on_the_worker_plane(site: Site) -> None:
    """The other way round as well, through the command line."""
    site.serve()
    access = site.access()
    assert access.worker is not None
    assert access.client is not None

    process = site.farm.run("client", "-p", access.worker.port, "-k", access.client.key)

    complaint(process, 5, "refused this key")


def test_a_client_sent_to_the_client_port_is_told_so(site: Site) -> None:
    """-p with the other plane's port: exit 5 at once, and which plane that is."""
    site.serve()

    process = site.run("client", "-p", site.record()["client_port"])

    complaint(process, 5, "is the client port", "`hyper-shell client.*` uses the worker port")


# What generate-access refuses.

BAD_GENERATE = {
    "one port": (["--worker-port", "1"], 2, "needs both --worker-port and --client-port"),
    "no port": ([], 2, "needs both"),
    "same ports": (["--worker-port", "9", "--client-port", "9"], 2, "both ports are 9"),
    "port 0": (
        ["--worker-port", "0", "--client-port", "9"],
        2,
        "--worker-port must be .* 1 to 65535",
    ),
    "port 65536": (["--worker-port", "9", "--client-port", "65536"], 2, "--client-port must be"),
    "port of letters": (["--worker-port", "x", "--client-port", "9"], 2, "whole number"),
    "host with a blank": ([*PORTS, "--host", "two words"], 2, "is not a valid host"),
    "foreign option": ([*PORTS, "--forever"], 2, "there is no option --forever"),
    "a server directory": ([*PORTS, "--server-dir", "d"], 2, "there is no option --server-dir"),
    "no directory": ([*PORTS, "--client-file", "no/where.json"], 3, "no/where.json: no such file"),
    "same name twice": ([*PORTS, "--client-file", "new.json"], 3, "new.json already exists"),
    "existing part": ([*PORTS, "--worker-file", "old"], 3, "old already exists"),
    "no passphrase file": ([*PORTS, "--passphrase-file", "nowhere"], 5, "nowhere cannot be used"),
}


def test_an_empty_host_is_not_taken_for_none(site: Site) -> None:
    """A script's variable that is not set must not make the file say localhost."""
    process = site.farm.run("server", "generate-access", "new.json", *PORTS, "--worker-host", "")

    complaint(process, 2, "is not a valid host")


def test_what_cannot_be_generated_leaves_nothing(site: Site) -> None:
    """All files or none are made, and none is written over."""
    tried = []
    for case, (words, code, says) in BAD_GENERATE.items():
        folder = site.farm.folder / case
        folder.mkdir()
        (folder / "old").write_text("kept")
        process = site.farm.start("server", "generate-access", "new.json", *words, cwd=folder)
        tried.append((process, folder, code, says))

    for process, folder, code, says in tried:
        complaint(process, code, says)
        assert ["old"] == os.listdir(folder)
        assert "kept" == (folder / "old").read_text()


def test_an_existing_file_is_never_overwritten(site: Site, parts: list[Path]) -> None:
    """Neither a file, nor what a link leads to; the parts are then not made either."""
    before = parts[0].read_bytes()
    (site.farm.folder / "link.json").symlink_to("target.json")

    again = site.farm.run("server", "generate-access", "full.json", *PORTS, "--client-file=new")
    through = site.farm.run("server", "generate-access", "link.json", *PORTS)

    complaint(again, 3, "full.json already exists, and is not overwritten")
    complaint(through, 3, "link.json already exists")
    assert before == parts[0].read_bytes()
    assert not (site.farm.folder / "new").exists()
    assert not (site.farm.folder / "target.json").exists()


@pytest.mark.campaign
def test_of_many_that_make_one_file_one_wins(site: Site) -> None:
    """The file is one of theirs, whole; the others say that there is something."""
    makers = [site.farm.start("server", "generate-access", "one", *PORTS) for _ in range(6)]

    codes = sorted(maker.wait() for maker in makers)

    assert [0, 3, 3, 3, 3, 3] == codes
    assert "full" == opened(site.farm.folder / "one", site.farm.environment).part


def test_options_beside_an_access_file_must_not_contradict_it(
    site: Site, parts: list[Path]
) -> None:
    """-k, ports and --host are the file's business: exit 2."""
    for option in (["-k", "x" * 20], ["-p", "77"], ["--client-port", "78"], ["--host", "h"]):
        process = site.run("server", "start", "--access-file", parts[0], *option)

        complaint(process, 2, "--access-file cannot be used together")


def test_a_port_that_the_file_names_must_be_free(site: Site) -> None:
    """The clients will look there: no other is taken. Exit 3, and no run is left."""
    first = Site(site.farm, "first")
    first.serve()
    taken = first.record()["worker_port"]
    path = generate(site.farm, "taken.json", worker=taken, client=free_ports(site.farm)[0])

    process = site.run("server", "start", "--access-file", path)

    complaint(process, 3, f"port {taken} on localhost is in use")
    assert [] == site.runs()


# Seals and passphrases.


@pytest.fixture
def words(site: Site) -> Path:
    """A file with a passphrase."""
    path = site.farm.folder / "words.txt"
    path.touch(0o600)
    path.write_text("correct horse\n")
    return path


def test_a_passphrase_comes_from_a_file_or_the_environment(site: Site, words: Path) -> None:
    """A file that is to travel opens without any seal key, by either way."""
    worker, client = free_ports(site.farm)
    made = generate(site.farm, "t.json", "--passphrase-file", words, worker=worker, client=client)
    elsewhere = {"HYPERSHELL_SEAL_KEY": str(site.farm.folder / "none")}
    by_variable = {**elsewhere, "HYPERSHELL_PASSPHRASE": "correct horse"}
    by_file = ("--access-file", made, "--passphrase-file", words)
    place = ("--server-dir", site.path)
    until_up(site.farm.start("server", "start", *place, *by_file, env=elsewhere))

    info = site.farm.run("server", "info", *by_file, env=elsewhere)
    client_there = site.farm.start("client", "--access-file", made, env=by_variable)
    submit = site.farm.run("submit", "--access-file", made, "--", "true", env=by_variable)

    client_there.expect("joined")
    assert [0, 0] == [info.wait(), submit.wait()], info.err + submit.err
    assert not (site.farm.folder / "none").exists()
    assert not (site.farm.folder / ".config").exists()


def test_a_passphrase_that_is_missing_or_wrong_is_told_apart(site: Site, words: Path) -> None:
    """Exit 5 each: how it is sealed; or that it does not open."""
    made = generate(site.farm, "t.json", "--passphrase-file", words)
    wrong = {"HYPERSHELL_PASSPHRASE": "wrong"}

    tried = []
    for verb in (["client"], ["server", "info"], ["server", "start"], ["access", "reseal"]):
        file = [made, "out"] if verb[0] == "access" else ["--access-file", made]
        tried.append((site.farm.start(*verb, *file), site.farm.start(*verb, *file, env=wrong)))

    for without, with_wrong in tried:
        complaint(without, 5, "is sealed with a passphrase", "--passphrase-file FILE")
        complaint(with_wrong, 5, r"cannot open \S*t\.json: the passphrase is wrong")


def test_a_passphrase_file_that_others_can_read_is_refused(site: Site, words: Path) -> None:
    """It is as secret as the key."""
    words.chmod(0o644)

    process = site.farm.run(
        "server", "generate-access", "t.json", *PORTS, "--passphrase-file", words
    )

    complaint(process, 5, "other users can access the passphrase file", "chmod 600")


@pytest.mark.parametrize(
    "verb",
    [["client"], ["server", "start"], rarely(["server", "info"]), rarely(["submit"])],
    ids=" ".join,
)
def test_a_terminal_is_asked_for_a_passphrase(site: Site, words: Path, verb: list[str]) -> None:
    """A verb on a terminal asks for the passphrase that nobody gave, and does not echo it."""
    worker, client = free_ports(site.farm)
    made = generate(site.farm, "t.json", "--passphrase-file", words, worker=worker, client=client)
    if verb != ["server", "start"]:
        site.serve("--access-file", made, "--passphrase-file", words)
    place = ["--server-dir", site.path] if verb == ["server", "start"] else []
    command = ["--", "true"] if verb == ["submit"] else []
    terminal = Terminal(site.farm, *verb, *place, "--access-file", made, *command)

    terminal.answer("assphrase", "correct horse")

    if verb in (["client"], ["server", "start"]):
        terminal.expect("joined" if verb == ["client"] else "listening on")
    else:
        assert 0 == terminal.wait(), terminal.text
    assert "correct" not in terminal.text


def test_wait_asks_for_a_passphrase_once(site: Site, words: Path) -> None:
    """While it waits it does not ask again and again."""
    made = generate(site.farm, "t.json", "--passphrase-file", words)
    terminal = Terminal(site.farm, "server", "wait", "--timeout", 1, "--access-file", made)

    terminal.answer("assphrase", "correct horse")

    assert 4 == terminal.wait(5)
    assert 1 == terminal.text.count("assphrase")


def test_info_of_a_file_never_shows_a_key(site: Site, parts: list[Path]) -> None:
    """Hosts, ports, parts, format and seal are shown; the keys are not, sealed or open."""
    full = opened(parts[0], site.farm.environment)

    table = site.farm.run("access", "info", "full.json").out.decode()
    facts = json.loads(site.farm.run("access", "info", "worker.json", "--json").out)

    for word in ("verified", "full", full.server_uid, "localhost port 1", "key-file"):
        assert word in table
    assert (True, "worker", 1) == (facts["verified"], facts["part"], facts["format"])
    assert "client_plane" not in facts
    for endpoint in full.endpoints.values():
        assert endpoint.key not in table + json.dumps(facts)
    assert "gAAAA" not in table + json.dumps(facts)


def test_info_without_the_seal_says_unverified(site: Site, parts: list[Path]) -> None:
    """Where the seal key is not, all that the file says may be invented."""
    elsewhere = {"HYPERSHELL_SEAL_KEY": str(site.farm.folder / "none")}

    table = site.farm.run("access", "info", "full.json", env=elsewhere)
    facts = json.loads(site.farm.run("access", "info", "full.json", "--json", env=elsewhere).out)
    use = site.farm.run("server", "info", "--access-file", "full.json", env=elsewhere)

    assert "no: it cannot be opened here" in table.out.decode()
    assert 0 == table.wait()
    assert facts["verified"] is False
    complaint(use, 5, "sealed with the seal key", "access reseal full.json OUT")
    assert not (site.farm.folder / "none").exists()


def test_a_resealed_file_opens_the_same_elsewhere(site: Site, parts: list[Path]) -> None:
    """reseal writes another file, with mode 0400, under a passphrase; and back to a seal key."""
    words = site.farm.folder / "words"
    words.touch(0o600)
    words.write_text("one two")
    elsewhere = {"HYPERSHELL_SEAL_KEY": str(site.farm.folder / "other.key")}
    phrase = ("--passphrase-file", words)

    there = site.farm.run("access", "reseal", "worker.json", "travel.json", *phrase)
    back = site.farm.run(
        *("access", "reseal", "travel.json", "back.json"),
        *("--old-passphrase-file", words),
        env=elsewhere,
    )
    again = site.farm.run("access", "reseal", "worker.json", "travel.json", *phrase)

    assert [0, 0] == [there.wait(), back.wait()], there.err + back.err
    complaint(again, 3, "travel.json already exists")
    before = opened(parts[2], site.farm.environment)
    phrase_only = {"HYPERSHELL_PASSPHRASE": "one two"}
    assert before == opened(site.farm.folder / "travel.json", phrase_only)
    assert before == opened(site.farm.folder / "back.json", site.farm.environment | elsewhere)
    assert {0o400} == {mode_of(path) for path in site.farm.folder.glob("*.json")}


def test_a_reseal_on_a_terminal_asks_twice(site: Site, parts: list[Path]) -> None:
    """Two words that differ are told apart from a missing one, and nothing is written."""
    good = Terminal(site.farm, "access", "reseal", "worker.json", "good.json")
    good.answer("Passphrase for", "one two")
    good.answer("Again", "one two")
    bad = Terminal(site.farm, "access", "reseal", "worker.json", "bad.json")
    bad.answer("Passphrase for", "one two")
    bad.answer("Again", "one tow")

    assert 0 == good.wait()
    assert 2 == bad.wait()
    assert not (site.farm.folder / "bad.json").exists()
    phrase = {"HYPERSHELL_PASSPHRASE": "one two"}
    assert "worker" == opened(site.farm.folder / "good.json", phrase).part
    assert "the two passphrases differ" in bad.text


def test_a_file_that_others_can_read_is_refused(site: Site, parts: list[Path]) -> None:
    """Mode 0644, or group's: exit 5 and `chmod 600`, for every verb that would use it."""
    for mode in (0o644, 0o440):
        parts[0].chmod(mode)
        processes: list[Process] = [
            site.farm.start("client", "--access-file", "full.json"),
            site.farm.start("server", "info", "--access-file", "full.json"),
            site.farm.start("access", "info", "full.json"),
            site.run("server", "start", "--access-file", parts[0]),
        ]

        for process in processes:
            complaint(process, 5, f"other users can access .* \\(mode 0?{mode:o}\\)", "chmod 600")


def test_a_file_of_another_owner_is_refused(site: Site, parts: list[Path]) -> None:
    """Its owner could change it at any time: exit 5."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(parts[0], 65534, 65534)

    process = site.farm.run("client", "--access-file", "full.json")

    complaint(process, 5, "belongs to another user", "chmod 600")
