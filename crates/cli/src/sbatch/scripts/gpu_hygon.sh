#!/bin/bash
#SBATCH -p kunshan
#SBATCH -N 2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gres=dcu:4
#SBATCH -t 12:00:00
#SBATCH --mem=90G

module purge
module load compiler/dtk/24.04
mpirun -np 8 ./hydro
