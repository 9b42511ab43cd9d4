#!/bin/bash
# How does a run live inside a Slurm job? run.sbatch and array.sbatch call: slurm/launch.sh CONFIG [key=value ...], or
# slurm/launch.sh COMMAND ... with analyze, export, reproduce, or run itself.
# Starts grokscope on all tasks of the job, passes Slurm's warning before the time limit on to it, and puts the job back
# into the queue when it leaves with code 75 (checkpointed). The job's exit code is the run's. What can be set, and where,
# is in slurm/env.example.sh.
set -uo pipefail
exec </dev/null

say() { echo "[$(date '+%F %T')] job ${job:-?}: $*"; }
fail() {
  echo "launch.sh: $*" >&2
  exit 3
}

settings=$(dirname "${BASH_SOURCE[0]}")/env.sh
if [[ -f $settings ]]; then
  set +u  # the scripts of module systems use variables that are not set
  # shellcheck source=/dev/null
  source "$settings" || fail "$settings failed (its own words are above), mend it"
  set -u
fi
[[ -n ${SLURM_JOB_ID:-} ]] || fail "this is no Slurm job (SLURM_JOB_ID is not set), use sbatch slurm/run.sbatch"

# The number of an array's last task is also that of the whole array.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}
restarts=${SLURM_RESTART_COUNT:-0}
tasks=${SLURM_NTASKS:-1}
program=${GROKSCOPE:-build/grokscope}
if [[ ! -x $program && -z ${GROKSCOPE:-} ]]; then program=$(command -v grokscope || echo build/grokscope); fi
[[ -x $program ]] || fail "no program at $program (jobs are submitted from the repository root, where it was built)," \
  "build it, or name it in GROKSCOPE"

# Only this shell hears of the time limit (B: in --signal) and passes it on. A cancellation reaches every process.
launcher=
told=
cancelled=
signalled=
trap 'signalled=yes; told=yes; say "told to checkpoint"; [[ -z $launcher ]] || kill -USR1 "$launcher"' USR1
trap 'signalled=yes; cancelled=yes; say "told to end"' TERM

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
# Network file systems often refuse HDF5's locks, and nothing here needs them: published files are never changed.
export HDF5_USE_FILE_LOCKING=${HDF5_USE_FILE_LOCKING:-FALSE}
# What the modules have set must reach the tasks, also after `sbatch --export=NONE`.
export SLURM_EXPORT_ENV=ALL
# When a job is cancelled or preempted Slurm signals mpirun as well, which kills the ranks after this time, by default one
# second. It waits that long, twice, after every stop.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-10}
if [[ $EUID -eq 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

launch_form=${GROKSCOPE_LAUNCH:-auto}
if [[ $launch_form == auto ]]; then
  if srun --mpi=list 2>&1 | grep -qw pmix; then launch_form=srun; else launch_form=mpirun; fi
fi
case $launch_form in
  # srun does not inherit --cpus-per-task since 22.05. When a task dies, the others would wait for it for ever.
  srun) launch=(srun --mpi=pmix --ntasks="$tasks" --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --wait=30) ;;
  # Without binding: mpirun would put the first ranks of every job on a shared node onto the same cores.
  mpirun) launch=(mpirun -n "$tasks" --bind-to none) ;;
  *) fail "GROKSCOPE_LAUNCH=$launch_form is unknown (there are auto, srun and mpirun), see slurm/env.example.sh" ;;
esac

command=run
case ${1:-} in
  run | analyze | export | reproduce) command=$1 && shift ;;
esac

# --fresh deletes what is there: once, and not again after every requeue.
arguments=()
for argument in "$@"; do
  [[ $argument == --fresh && $restarts -gt 0 ]] || arguments+=("$argument")
done

say "start $((restarts + 1)) on ${SLURM_JOB_NODELIST:-?}: ${launch[*]} $program $command ${arguments[*]}"
"${launch[@]}" "$program" "$command" "${arguments[@]}" &
launcher=$!
[[ -z $told ]] || kill -USR1 "$launcher"  # it came before there was anyone to tell
while :; do
  signalled=
  wait "$launcher"
  code=$?
  [[ -n $signalled ]] || break  # a signal interrupts wait, the run goes on to its checkpoint
done
say "the run left with code $code"

# 138 is the end by SIGUSR1: it came before the run could listen, and nothing had begun.
if [[ -z $cancelled && ($code -eq 75 || (-n $told && $code -eq 138)) ]]; then
  trap '' TERM  # requeueing ends this shell
  most=${GROKSCOPE_MAX_REQUEUES:-100}
  if [[ $restarts -ge $most ]]; then
    say "stopped, and started again $restarts times already (GROKSCOPE_MAX_REQUEUES is $most): submit it again to go on"
  elif scontrol requeue "$job"; then
    say "back in the queue"
  else
    say "Slurm does not requeue it: submit it again to go on"
  fi
fi
exit "$code"
