#!/bin/bash
#SBATCH -N 2
#SBATCH -n 7
#SBATCH -t 1:30
#SBATCH --mem=8G

mpirun -np $SLURM_NPROCS ./ring
