#!/bin/bash
#SBATCH --job-name=pangu
#SBATCH --nodes=2
#SBATCH --gres=npu:910B3:8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --mem=1T
#SBATCH --time=2-00:00:00
#SBATCH --qos=high

source /usr/local/Ascend/ascend-toolkit/set_env.sh
torchrun --nnodes=$SLURM_NNODES --nproc-per-node=$SLURM_GPUS_ON_NODE train.py
