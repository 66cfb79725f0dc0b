#!/bin/bash
# Open MPI for tests: see that its mpirun works here, and write FOLDER/env.sh, with which it works
# as root too, with more processes than there are cores, and on loopback alone. Nothing stays
# running, so there is nothing to take down.
#
#   mpi-up.sh FOLDER
#   . FOLDER/env.sh; mpirun -np 4 COMMAND
#
# Exit status 77: this machine does not let us, and the reason is on standard error.
set -euo pipefail

folder=${1:?usage: mpi-up.sh FOLDER}

command -v mpirun >/dev/null || { echo "mpi-up: mpirun is not installed" >&2; exit 77; }
version=$(mpirun --version 2>&1 || true)
case $version in
    *"Open MPI"*) ;;
    *) echo "mpi-up: $(command -v mpirun) is not that of Open MPI" >&2; exit 77 ;;
esac

mkdir -p "$folder"
cat >"$folder/env.sh" <<'CONF'
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
CONF
# shellcheck source=/dev/null
. "$folder/env.sh"

# shellcheck disable=SC2016 # the ranks expand it
ranks=$(timeout 60 mpirun -np 2 sh -c 'echo "$OMPI_COMM_WORLD_RANK"' 2>"$folder/log" | sort | tr '\n' ' ')
[ "$ranks" = "0 1 " ] || { echo "mpi-up: mpirun does not work" >&2; cat "$folder/log" >&2; exit 1; }
