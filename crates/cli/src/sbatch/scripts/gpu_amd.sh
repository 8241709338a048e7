#!/bin/bash
#SBATCH --gpus-per-node=mi250:8
#SBATCH --nodes=2
#SBATCH --time=6:00:00
#SBATCH --mem=400G
#SBATCH --gpu-bind=closest

rocm-smi
srun ./gemm
