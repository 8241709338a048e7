#!/bin/bash
#SBATCH --ntasks=1 --mem=4G --time=30
#SBATCH hetjob
#SBATCH --ntasks=64 --mem-per-cpu=1G

srun --het-group=0 ./coordinator : --het-group=1 ./solver
