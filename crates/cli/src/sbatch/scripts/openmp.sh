#!/bin/bash
#SBATCH -J stream
#SBATCH -t 30
#SBATCH -n 1
#SBATCH -c 16
#SBATCH --mem=32G
#SBATCH --hint=nomultithread

export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
export OMP_PROC_BIND=close
./stream
