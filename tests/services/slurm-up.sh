#!/bin/bash
# A Slurm cluster for tests on this one machine: a munged, a slurmctld, and for each node a slurmd.
# All of it lies in FOLDER and talks over loopback; /etc/slurm and /etc/munge are not read. There
# are no cgroups and no accounting: what a node claims to have is not enforced. Where this machine
# lets us, each node has a host name of its own (n1, n2, ...). Run again, it starts what has ended
# and keeps the jobs.
#
#   slurm-up.sh FOLDER [NODES [PORT]]   two nodes of two CPUs; the controller has PORT (16817), the
#                                       nodes have the ports after it
#   . FOLDER/env.sh; srun -N2 hostname
#   kill -KILL $(cat FOLDER/run/slurmd-n2.pid)    loses a node, DOWN some 20 s later
#   slurm-down.sh FOLDER
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -euo pipefail

folder=${1:?usage: slurm-up.sh FOLDER [NODES [PORT]]}
nodes=${2:-2}
port=${3:-16817}
cpus=2
PATH=$PATH:/usr/sbin:/sbin
for name in $(compgen -e | grep -E '^(SLURM|SBATCH|SALLOC|SRUN|SQUEUE|SCANCEL|SINFO)_'); do unset "$name"; done

cannot() { echo "slurm-up: $1" >&2; exit 77; }
broken() { echo "slurm-up: $1" >&2; tail -n 15 "$folder"/log/* >&2 || true; exit 1; }

[ "$(id -u)" = 0 ] || cannot "a slurmd starts jobs as their users, and so needs root"
for program in slurmctld slurmd srun sbatch scontrol munged munge unmunge; do
    command -v "$program" >/dev/null || cannot "$program is not installed"
done
umask 022
mkdir -p "$folder"/{munge,state,spool,log,run}
folder=$(cd "$folder" && pwd -P)
# The path of a socket has at most 107 bytes.
[ ${#folder} -le 70 ] || cannot "the path $folder is too long for sockets"
chmod 700 "$folder/state"
export SLURM_CONF=$folder/slurm.conf

machine=$(cat /proc/sys/kernel/hostname)
machine=${machine%%.*}
own_names=no
if unshare --uts --mount --propagation slave true 2>/dev/null; then own_names=yes; fi
if [ "$nodes" = 1 ]; then range=n1 ports=$((port + 1)); else range="n[1-$nodes]" ports="[$((port + 1))-$((port + nodes))]"; fi
node_host=$machine
if [ $own_names = yes ]; then
    node_host=$range
    { cat /etc/hosts; for ((i = 1; i <= nodes; i++)); do echo "127.0.0.1 n$i"; done; } >"$folder/hosts"
fi
listening=
if getent ahostsv4 "$machine" | grep -q '^127\.0\.0\.1 '; then
    listening='CommunicationParameters=NoInAddrAny,NoCtldInAddrAny'
fi
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$machine(127.0.0.1)
SlurmUser=root
SlurmdUser=root
$listening
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmctldPort=$port
SlurmctldPidFile=$folder/run/slurmctld.own.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdPidFile=$folder/run/slurmd-%n.own.pid
SlurmdLogFile=$folder/log/slurmd-%n.log
SlurmdSpoolDir=$folder/spool/%n
StateSaveLocation=$folder/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/ended-jobs.txt
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MailProg=/bin/true
NodeName=$range NodeHostname=$node_host NodeAddr=127.0.0.1 Port=$ports CPUs=$cpus RealMemory=1024 State=UNKNOWN
PartitionName=main Nodes=$range Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
CONF
# A slurmd wants a plugin for cgroups though nothing uses one; this one looks for none at its start.
cat >"$folder/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupAutomount=no
CgroupMountpoint=$folder/none
CONF
echo "export SLURM_CONF='$SLURM_CONF'" >"$folder/env.sh"

is_running() { # NAME: whether the process noted in run/NAME.pid is ours, and no zombie
    local pid
    pid=$(cat "$folder/run/$1.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$folder/"
}
start() { # NAME COMMAND...: in a session of its own
    local name=$1
    shift
    if is_running "$name"; then kill -CONT "$(cat "$folder/run/$name.pid")"; return; fi
    setsid "$@" >"$folder/log/$name.out" 2>&1 </dev/null &
    echo $! >"$folder/run/$name.pid"
}
wait_until() { # WHAT COMMAND...: for a minute at most, and while all that was started runs
    local what=$1 end=$((SECONDS + 60)) note name
    shift
    until "$@" >/dev/null 2>&1; do
        for note in "$folder"/run/*.pid; do
            name=$(basename "$note" .pid)
            case $name in *.own) continue ;; esac
            is_running "$name" || broken "$name has ended"
        done
        [ $SECONDS -lt $end ] || broken "$what after 60 s"
        sleep 0.1
    done
}
munge_works() { munge -n -S "$folder/munge/socket" | unmunge -S "$folder/munge/socket"; }
nodes_work() { [ "$(sinfo -h -N -o %T | grep -cE '^(idle|mixed|allocated|completing)$')" = "$nodes" ]; }

[ -s "$folder/munge/key" ] || (umask 077; head -c 128 /dev/urandom >"$folder/munge/key")
start munged munged --foreground --key-file "$folder/munge/key" --socket "$folder/munge/socket" \
    --pid-file "$folder/run/munged.own.pid" --log-file "$folder/log/munged.log" \
    --seed-file "$folder/munge/seed"
wait_until "munged does not answer" munge_works
start slurmctld slurmctld -D -f "$SLURM_CONF"
for ((i = 1; i <= nodes; i++)); do
    mkdir -p "$folder/spool/n$i"
    if [ $own_names = yes ]; then
        start "slurmd-n$i" unshare --uts --mount --propagation slave sh -c '
            echo "$1" >/proc/sys/kernel/hostname && mount --bind "$2" /etc/hosts || exit 1
            exec slurmd -D -f "$3" -N "$1"' sh "n$i" "$folder/hosts" "$SLURM_CONF"
    else
        start "slurmd-n$i" slurmd -D -f "$SLURM_CONF" -N "n$i"
    fi
done
wait_until "not all $nodes nodes are there" nodes_work
