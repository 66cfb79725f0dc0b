#!/bin/bash
# End what slurm-up.sh started in FOLDER, with the jobs that run there, and remove FOLDER.
#
#   slurm-down.sh FOLDER
set -euo pipefail

folder=${1:?usage: slurm-down.sh FOLDER}
[ -d "$folder/run" ] || exit 0
folder=$(cd "$folder" && pwd -P)
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$folder/slurm.conf

is_ours() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF "$folder/"; }
end() { # PID: TERM, and KILL where that is not obeyed within 5 s
    kill -CONT "$1" 2>/dev/null || true
    kill -TERM "$1" 2>/dev/null || true
    for _ in {1..50}; do is_ours "$1" || return 0; sleep 0.1; done
    kill -KILL "$1" 2>/dev/null || true
}

# Jobs first, while their nodes can be reached. `scancel` alone would spare the batch scripts.
if jobs=$(timeout 10 squeue -h -o %A 2>/dev/null | sort -u) && [ -n "$jobs" ]; then
    # shellcheck disable=SC2086
    timeout 10 scancel --full $jobs >/dev/null 2>&1 || true
    for _ in {1..50}; do [ -n "$(timeout 5 squeue -h -o %A 2>/dev/null)" ] || break; sleep 0.2; done
fi
for name in "$folder"/run/slurmd-*.pid "$folder"/run/slurmctld.pid "$folder"/run/munged.pid; do
    case $name in *.own.pid) continue ;; esac
    pid=$(cat "$name" 2>/dev/null) || continue
    if is_ours "$pid"; then end "$pid"; fi
done
# The steps of a node that was killed go on, and carry the path of its configuration.
for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null)" = slurmstepd ] || continue
    if tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qxF "SLURM_CONF=$SLURM_CONF"; then
        kill -KILL "${process#/proc/}" 2>/dev/null || true
    fi
done
rm -rf "$folder"
