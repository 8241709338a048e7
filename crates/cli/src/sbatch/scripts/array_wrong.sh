#!/bin/bash
#SBATCH --array=10-1
#SBATCH --time=15
#SBATCH --mem=1G

./step $SLURM_ARRAY_TASK_ID
