"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, within the quota of its cgroup."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    quota = _cgroup_quota()
    return max(1, min(cores, int(quota))) if quota else cores


def _cgroup_quota() -> float | None:
    """Cores that the cgroup may use (cgroups(7), cpu.max and its version 1 kin); None if all."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            for line in file:
                _, controllers, path = line.strip().split(":", 2)
                if controllers == "":
                    return _smallest_quota(path)
                if "cpu" in controllers.split(","):
                    return _version_1_quota(f"/sys/fs/cgroup/{controllers}{path}")
    except (OSError, ValueError):
        pass
    return None


def _smallest_quota(path: str) -> float | None:
    """The least of the quotas of a group and of all above it."""
    found = []
    while True:
        try:
            with open(f"/sys/fs/cgroup{path}/cpu.max", encoding="ascii") as file:
                limit, period = file.read().split()
            if limit != "max":
                found.append(int(limit) / int(period))
        except (OSError, ValueError):
            pass
        if path in ("", "/"):
            return min(found, default=None)
        path = os.path.dirname(path)


def _version_1_quota(folder: str) -> float | None:
    with open(f"{folder}/cpu.cfs_quota_us", encoding="ascii") as file:
        limit = int(file.read())
    with open(f"{folder}/cpu.cfs_period_us", encoding="ascii") as file:
        period = int(file.read())
    return limit / period if limit > 0 else None
