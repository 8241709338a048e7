#!/bin/bash
#SBATCH --clusters=lingang,zhangjiang
#SBATCH --partition=gpu
#SBATCH --time=30
#SBATCH --mem=4G
#SBATCH --hold
#SBATCH --no-requeue
#SBATCH --tmp=20G --time-min=10

echo $SLURM_CLUSTER_NAME $SLURM_LOCALID
