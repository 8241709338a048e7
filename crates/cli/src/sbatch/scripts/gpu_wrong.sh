#!/bin/bash
#SBATCH --gres=gpu:a1000:2,nvme:1
#SBATCH --gpus=3
#SBATCH --nodes=2
#SBATCH --time=1:00:00
#SBATCH --mem=16G

./train
