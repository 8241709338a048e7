#!/bin/bash
#SBATCH --array=1-8
#SBATCH -d aftercorr:57
#SBATCH -t 30
#SBATCH --mem=4G

./second-half $SLURM_ARRAY_TASK_ID
