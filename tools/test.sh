#!/bin/bash
# Does grokscope work here? Installs what is missing, builds into build/, tests. The last line counts the tests.
#   tools/test.sh          all but the labels ci and slow
#   tools/test.sh --ci     adds the label ci (one job in a Slurm of its own) and two short replications, on two ranks, held to their papers' numbers
#   tools/test.sh --all    adds the label slow (every job of the label slurm)
# Exit code: 0 all passed, 1 something failed, 2 unknown argument, 3 packages are missing. Needs no terminal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

case "${1:-}" in
  "") skipped_labels='^(ci|slow)$' ;;
  --ci) skipped_labels='^slow$' ;;
  --all) skipped_labels='^$' ;;
  *)
    echo "test.sh: unknown argument '$1' (there are --ci and --all), see the head of tools/test.sh" >&2
    exit 2
    ;;
esac

export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin" HOME="${HOME:-$PWD/build}"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
unset OPENBLAS_CORETYPE  # a setting for another processor costs a third of the speed
if [[ $EUID -eq 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say() { echo "[$((SECONDS / 60)) min $((SECONDS % 60)) s] $*"; }

passed=0
failed=0
finish() {
  say "finished"
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 && $passed -gt 0 ]]
  exit
}

# nproc answers OMP_NUM_THREADS where that is set.
cores=$(env -u OMP_NUM_THREADS nproc)

# A compiler with LibTorch's headers wants about 1 GB.
jobs_for_building() {
  local free_gb
  free_gb=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  echo $((free_gb < 1 ? 1 : free_gb < cores ? free_gb : cores))
}

build() {
  say "configuring and building into build/"
  cmake --preset release -DGROKSCOPE_TESTS=ON && cmake --build build -j "$(jobs_for_building)"
}

run_ctest() {
  local log=build/Testing/ctest.log
  mkdir -p build/Testing
  say "testing"
  ctest --test-dir build -j "$cores" --output-on-failure -LE "$skipped_labels" 2>&1 | tee "$log" || true
  local count
  count=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")
  if [[ -z $count ]]; then
    echo "test.sh: ctest gave no result (it found no test or was ended), see $log" >&2
    failed=1
    return
  fi
  failed=${count% *}
  passed=$((${count#* } - failed))
}

# A short replication passes where every line of its "claim against result" is [ok].
replicate() {
  local name=$1 run_dir=build/Testing/quick_$1 log=build/Testing/quick_$1.log
  say "configs/quick/$name.yaml on 2 ranks"
  if timeout --kill-after=60 600 mpirun --oversubscribe --bind-to none -n 2 build/grokscope run "configs/quick/$name.yaml" \
    "storage.output_dir=$run_dir" --fresh >"$log" 2>&1 && grep -aqF '[ok]' "$log" && ! grep -aq MISSED "$log"; then
    grep -aF '[ok]' "$log"
    passed=$((passed + 1))
  else
    tr '\r' '\n' <"$log" | tail -n 30
    echo "test.sh: configs/quick/$name.yaml does not show what it claims, see $log" >&2
    failed=$((failed + 1))
  fi
}

if [[ ${1:-} == "" ]]; then tools/install_packages.sh; else tools/install_packages.sh --ci; fi
if ! build; then
  echo "test.sh: the build failed (its own words are above), nothing was tested" >&2
  failed=1
  finish
fi
run_ctest
if [[ ${1:-} != "" ]]; then
  replicate 09_levi_linear
  replicate 08_doshi_polynomials
fi
finish
