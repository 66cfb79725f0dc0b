#!/usr/bin/env bash
# A farm on this machine, from start to end: a server, two clients, failed lines captured into a
# file, runs over that file until it is empty, and retries. Exit status 0: all went as the text says. Needs
# `hyper-shell` on the PATH; `make demo` sees to that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

command -v hyper-shell >/dev/null || {
    echo "demo.sh: hyper-shell is not on the PATH; \`make demo\` makes one and puts it there" >&2
    exit 1
}
scratch=$(mktemp -d)
children=()
clean_up() {
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }
expect() {
    local what=$1
    shift
    if "$@"; then echo "  as promised: $what"; else
        echo "  NOT AS PROMISED: $what" >&2
        exit 1
    fi
}

# Each command has a minute, so that nothing can hang; it takes a few seconds.
bounded() { timeout --foreground 60 "$@"; }

python=$(command -v python3 || command -v python)
free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("localhost", 0)); print(s.getsockname()[1])'
}

# Run a server over the file $1 that captures failed lines in $2, with two clients of two slots.
# What the tasks print goes to $3; the server's exit status is left in $status.
farm() {
    local lines=$1 failed=$2 output=$3 port clients=() number
    port=$(free_port)
    echo "  \$ hyper-shell server $lines -p $port -f $failed"
    bounded hyper-shell server "$lines" -p "$port" -f "$failed" &
    local server=$!
    children+=("$server")
    for number in 1 2; do
        echo "  \$ hyper-shell client -p $port -N 2        # client $number"
        bounded hyper-shell client -p "$port" -N 2 >"$output.$number" 2>"$output.$number.log" &
        clients+=("$!")
        children+=("$!")
    done
    status=0
    wait "$server" || status=$?
    for number in 0 1; do
        wait "${clients[$number]}" || {
            cat "$output.$((number + 1)).log" >&2
            expect "client $((number + 1)) ends with 0 when all is done" false
        }
    done
    children=()
    cat "$output.1" "$output.2" >"$output"
    printf '  client %s brought %s results\n' 1 "$(wc -l <"$output.1")" 2 "$(wc -l <"$output.2")"
}

# The lines of a file of tasks, sorted, without comments and blank lines.
tasks_of() { grep -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' "$1" | LC_ALL=C sort; }

# A key made up for this run. In the environment it does not show in `ps`, and both sides find it.
HYPERSHELL_AUTH=$("$python" -c 'import secrets; print("hs1_" + secrets.token_urlsafe(32))')
export HYPERSHELL_AUTH
# Whatever else this user runs, and however it is set up, this demonstration is apart from it.
export HYPERSHELL_SERVER_DIR=$scratch/server-directory
unset HYPERSHELL_DATABASE HYPERSHELL_RUN
export CALIBRATION=$scratch/calibration
mkdir "$CALIBRATION"
touch "$CALIBRATION/first" "$CALIBRATION/third"

say "1. Twelve measurements; one of three sensors is not calibrated, so four of them fail."
farm measurements.txt "$scratch/failed.txt" "$scratch/output"
echo "  the server ended with $status, and failed.txt holds:"
sed 's/^/    | /' "$scratch/failed.txt"
tasks_of measurements.txt | grep 'second' >"$scratch/expected"
tasks_of "$scratch/failed.txt" >"$scratch/captured"
expect "exit status 1 says that tasks failed" [ "$status" -eq 1 ]
expect "exactly the four failed lines were captured, byte for byte" \
    cmp -s "$scratch/expected" "$scratch/captured"
expect "the other eight have their results" [ "$(wc -l <"$scratch/output")" -eq 8 ]

say "2. The same again over failed.txt: nothing is mended yet, so the same four fail."
farm "$scratch/failed.txt" "$scratch/still.txt" "$scratch/output"
tasks_of "$scratch/still.txt" >"$scratch/captured"
expect "exit status 1 again" [ "$status" -eq 1 ]
expect "the same four lines were captured" cmp -s "$scratch/expected" "$scratch/captured"

say "3. The sensor is calibrated, and the failed lines run once more."
touch "$CALIBRATION/second"
farm "$scratch/still.txt" "$scratch/none.txt" "$scratch/output"
sed 's/^/    | /' "$scratch/output"
expect "exit status 0: every task succeeded" [ "$status" -eq 0 ]
expect "no failed line is left" [ ! -s "$scratch/none.txt" ]
expect "the four missing results are there" [ "$(wc -l <"$scratch/output")" -eq 4 ]

say "4. Flaky tasks fail once and then succeed: retried within one run, everything in one command."
echo "  \$ hyper-shell cluster flaky.txt -N 2 -r 1 -f flaky-failed.txt"
status=0
bounded hyper-shell cluster flaky.txt -N 2 -r 1 -f "$scratch/flaky.txt" >"$scratch/output" ||
    status=$?
sed 's/^/    | /' "$scratch/output"
expect "exit status 0: each task succeeded in the end" [ "$status" -eq 0 ]
expect "each task had two attempts" [ "$(grep -c 'attempt 2' "$scratch/output")" -eq 3 ]
expect "no line was captured, as none failed for good" [ ! -s "$scratch/flaky.txt" ]

say "All as promised."
