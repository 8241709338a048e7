#!/bin/bash
#SBATCH --gres=mlu:mlu370:4
#SBATCH --cpus-per-gpu=6
#SBATCH --mem=96G
#SBATCH --time=240

python infer.py --device mlu
