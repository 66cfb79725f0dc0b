#!/bin/bash
# End the servers that ssh-up.sh FOLDER started, with what is logged in there, and remove FOLDER.
# May be run again.
set -euo pipefail

folder=${1:?usage: ssh-down.sh FOLDER}
[ -d "$folder" ] || exit 0
folder=$(cd "$folder" && pwd -P)

# A process and all below it, each a line.
family() {
    local children child
    echo "$1"
    read -ra children < <(cat "/proc/$1"/task/*/children 2>/dev/null | tr '\n' ' ') || true
    for child in "${children[@]}"; do family "$child"; done
}

for file in "$folder"/h*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    # After a crash the number may be anybody's.
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$folder/sshd_config" || continue
    mapfile -t all < <(family "$pid")
    kill -KILL "${all[@]}" 2>/dev/null || true
done
rm -rf "$folder"
