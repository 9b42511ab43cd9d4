# shellcheck shell=bash
# What your cluster needs, in one place. Copy it to slurm/env.sh (which git ignores) and edit that.
# Every job reads it before it starts; the SBATCH_ variables also need `source slurm/env.sh` before sbatch.

# Who pays, and where it runs: sbatch reads these.
# export SBATCH_ACCOUNT=my_project
# export SBATCH_PARTITION=compute
# export SBATCH_QOS=normal

# What grokscope was built with. On Debian nothing is needed.
# module purge
# module load openmpi hdf5-mpi grokscope

# How ranks are started: auto (srun with PMIx where Slurm has it, otherwise mpirun), srun, mpirun.
# export GROKSCOPE_LAUNCH=auto

# Another program than build/grokscope or the one in PATH: an installed one, or a container (grokscope.sif).
# export GROKSCOPE=/path/to/bin/grokscope
# Where slurm/ and configs/ are, for jobs that are not submitted from the repository root. The modulefile sets it.
# export GROKSCOPE_HOME=/path/to/share/grokscope

# How often a job may go back into the queue by itself.
# export GROKSCOPE_MAX_REQUEUES=100

# HDF5's file locks: off, because many network file systems refuse them. TRUE where yours are known to work.
# export HDF5_USE_FILE_LOCKING=FALSE
