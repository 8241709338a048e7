#!/bin/bash
#SBATCH --ntasks=4
#SBATCH --gpus-per-task=v100:1
#SBATCH --cpus-per-task=6
#SBATCH --time=3:00:00
#SBATCH --mem=60G

mpirun ./md
