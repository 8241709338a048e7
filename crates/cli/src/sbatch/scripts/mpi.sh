#!/bin/bash
#SBATCH --job-name=lammps-melt
#SBATCH --partition=kunshan
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=32
#SBATCH --time=1-12:00:00
#SBATCH --mem-per-cpu=2G
#SBATCH --account=university
#SBATCH --exclusive
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=someone@university.example

module load lammps
srun --mpi=pmix lmp -in melt.in
