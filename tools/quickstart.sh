#!/bin/bash
# From a fresh Debian 12 to a first result: installs packages, builds into build/, trains configs/09_levi_linear.yaml
# on two ranks while its gradient outer product is tracked, and draws the plots. Run it again at any time: what is
# done is not done again, and a run that was interrupted is resumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

run_dir=results/09_levi_linear
run_log=$run_dir.log
build_log=build/quickstart.log

export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin" HOME="${HOME:-$PWD/build}"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
unset OPENBLAS_CORETYPE  # a setting for another processor costs a third of the speed
if [[ $EUID -eq 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say() { echo "[$((SECONDS / 60)) min $((SECONDS % 60)) s] $*"; }

# Prints the newest line of a log that matches, every 15 seconds until the process ends; returns its exit code.
# What a script starts in the background does not see Ctrl-C: it is told with SIGUSR1, which lets a run checkpoint.
watch() {
  local pid=$1 log=$2 pattern=$3 ticks=0
  trap 'kill -USR1 "$pid"; wait "$pid"; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    ticks=$((ticks + 1))
    if [[ $((ticks % 15)) -eq 0 ]]; then
      grep -a "$pattern" "$log" 2>/dev/null | tail -n 1 | cut -c1-110 || true
    fi
  done
  trap - INT TERM
  wait "$pid"
}

say "1/4 packages"
tools/install_packages.sh

say "2/4 building build/grokscope (10 minutes the first time, on two cores)"
mkdir -p build
(cmake --preset release && cmake --build build --target grokscope) >"$build_log" 2>&1 &
watch $! "$build_log" '^\[' || {
  tail -n 30 "$build_log"
  echo "quickstart.sh: the build failed (the end of $build_log is above)" >&2
  exit 1
}

say "3/4 training on two ranks: a linear student that memorises near step 2,400 and generalises near 23,000"
mkdir -p results
mpirun --oversubscribe --bind-to none -n 2 build/grokscope run configs/09_levi_linear.yaml >"$run_log" 2>&1 &
watch $! "$run_dir/log.txt" ' epoch ' || {
  code=$?
  tr '\r' '\n' <"$run_log" | tail -n 20
  echo "quickstart.sh: the run ended with code $code (the end of $run_log is above), run this script again to resume" >&2
  exit "$code"
}
grep -a -F -e 't_mem' -e '[ok]' -e MISSED "$run_log" || true

say "4/4 drawing"
tools/visualize_gop.py --results_dir "$run_dir"

say "done"
cat <<END
Look at   $run_dir/plots/summary.png and the other figures there
          $run_dir/metrics.h5, gop_full.h5, gop_layers.h5 (README.md, "A first look")
          $run_log
Next      mpirun -n 2 build/grokscope run configs/09_levi_linear.yaml data.n_train=2000
          build/grokscope list; build/grokscope describe 09_levi_linear
          tools/test.sh
END
