"""Whether locks reach other machines, from what the kernel says of a mount."""

from pathlib import Path

import pytest

from hypershell.runtime.mounts import lock_reaches_all

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:40 / /home rw shared:5 - nfs4 server:/home rw,vers=4.2,proto=tcp,local_lock=none,addr=::1
31 22 0:41 / /old rw - nfs server:/old rw,vers=3,nolock,proto=tcp,local_lock=all
32 22 0:42 / /some rw - nfs server:/some rw,vers=3,proto=tcp,local_lock=flock
33 22 0:43 / /scratch rw - lustre mgs@tcp:/fs rw,flock,lazystatfs
34 22 0:44 / /work rw - lustre mgs@tcp:/fs rw,localflock
35 22 0:45 / /plain rw - lustre mgs@tcp:/fs rw,lazystatfs
36 22 0:46 / /a\040b rw - beegfs beegfs_nodev rw
37 22 0:47 / /auto rw - autofs systemd-1 rw,fd=1
38 37 0:48 / /auto rw - nfs4 server:/auto rw,local_lock=none
39 22 0:49 / /fuse rw - fuse.sshfs user@host: rw
40 22 0:50 / /tmp rw master:1 propagate_from:2 - tmpfs tmpfs rw
damaged line
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A table of mounts of many kinds."""
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    return str(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/farm", True),
        ("/tmp/farm", True),
        ("/home/u/farm", True),
        ("/homely", True),
        ("/auto/u", True),
        ("/scratch/u", True),
        ("/old/farm", False),
        ("/some/farm", False),
        ("/work/u", False),
        ("/plain/u", False),
        ("/a b/c", False),
        ("/fuse/u", False),
    ],
)
def test_only_what_certainly_reaches_counts(table, path, expected):
    """Locks that are local to each machine, and kinds that are not known, do not."""
    assert expected is lock_reaches_all(Path(path), table)


def test_without_a_table_nothing_is_certain(tmp_path):
    """Where there is no /proc."""
    assert not lock_reaches_all(tmp_path, str(tmp_path / "none"))
