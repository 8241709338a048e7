#!/bin/bash
#SBATCH --array=10-50:10
#SBATCH --time=15
#SBATCH --mem=1G

./bench --size $SLURM_ARRAY_TASK_ID --run ${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
