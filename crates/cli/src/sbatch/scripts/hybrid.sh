#!/bin/bash
#SBATCH --ntasks=24 --cpus-per-task=4   # 24 ranks of 4 threads
#SBATCH --ntasks-per-node=8
#SBATCH --time=2-0
#SBATCH --mem=128G
#SBATCH --distribution=block:cyclic

echo "$SLURM_NTASKS ranks on $SLURM_JOB_NODELIST ($SLURM_TASKS_PER_NODE)"
mpirun ./weather
