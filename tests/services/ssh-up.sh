#!/bin/bash
# OpenSSH servers for tests, each on a port of 127.0.0.1 and reached as a host h1, h2, ... Keys,
# known hosts and configuration lie in FOLDER; neither /etc/ssh nor ~/.ssh is read or written.
# Only the user who runs this can log in. Run again, it starts those that have ended.
#
#   ssh-up.sh FOLDER [HOSTS [PORT]]    one host if HOSTS is not given; h1 has PORT (2222), h2 the next
#   ssh -F FOLDER/ssh_config h1 COMMAND
#   ssh-down.sh FOLDER
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -euo pipefail

folder=${1:?usage: ssh-up.sh FOLDER [HOSTS [PORT]]}
hosts=${2:-1}
port=${3:-2222}
PATH=$PATH:/usr/sbin:/sbin

cannot() { echo "ssh-up: $1" >&2; exit 77; }
broken() { echo "ssh-up: $1" >&2; tail -n 20 "$folder"/*.log >&2 || true; exit 1; }

for program in sshd ssh ssh-keygen setsid; do
    command -v "$program" >/dev/null || cannot "$program is not installed"
done
umask 077
mkdir -p "$folder"
folder=$(cd "$folder" && pwd -P)
# The unprivileged part of a server that runs as root lives in an empty directory.
[ "$(id -u)" != 0 ] || [ -d /run/sshd ] || mkdir -m 755 /run/sshd

for key in host user; do
    [ -s "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$folder/$key"
done
cat >"$folder/sshd_config" <<CONF
ListenAddress 127.0.0.1
HostKey $folder/host
AuthorizedKeysFile $folder/user.pub
AllowUsers $(id -un)
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
# FOLDER may lie below a directory that others can write, such as /tmp.
StrictModes no
# Commands find what is found here, such as a Python of a virtual environment.
SetEnv PATH=$PATH
UseDNS no
PrintMotd no
PidFile none
CONF
{
    for ((number = 1; number <= hosts; number++)); do
        printf 'Host h%s\n    HostName 127.0.0.1\n    Port %s\n' $number $((port + number - 1))
    done
    cat <<CONF
Host *
    User $(id -un)
    IdentityFile $folder/user
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile $folder/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    HostKeyAlias test
    BatchMode yes
    ConnectTimeout 10
    LogLevel ERROR
CONF
} >"$folder/ssh_config"
echo "test $(cut -d ' ' -f 1,2 "$folder/host.pub")" >"$folder/known_hosts"

# Whether the server of a host runs: after a crash the number in its file may be anybody's.
runs() {
    local pid
    pid=$(cat "$folder/h$1.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$folder/sshd_config"
}

for ((number = 1; number <= hosts; number++)); do
    runs $number && continue
    setsid "$(command -v sshd)" -D -f "$folder/sshd_config" -p $((port + number - 1)) \
        -E "$folder/h$number.log" </dev/null >/dev/null 2>&1 &
    echo $! >"$folder/h$number.pid"
done
for ((number = 1; number <= hosts; number++)); do
    up=
    for _ in {1..100}; do
        if ssh -F "$folder/ssh_config" "h$number" true </dev/null 2>"$folder/ssh.log"; then
            up=yes
            break
        fi
        sleep 0.1
    done
    [ -n "$up" ] || broken "nobody can log in to h$number, port $((port + number - 1))"
done
