#!/bin/bash
#SBATCH --array=1,5,17-19%2
#SBATCH --time=15
#SBATCH --mem=1G

./redo-chromosome $SLURM_ARRAY_TASK_ID
