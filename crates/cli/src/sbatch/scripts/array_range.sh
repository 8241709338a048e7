#!/bin/bash
#SBATCH --job-name=sweep
#SBATCH --array=0-99%10
#SBATCH --time=0:20:00
#SBATCH --mem=2G
#SBATCH --output=logs/%A_%a.out

python3 sweep.py --seed "$SLURM_ARRAY_TASK_ID" --of "$SLURM_ARRAY_TASK_COUNT"
