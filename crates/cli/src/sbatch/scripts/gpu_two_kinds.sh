#!/bin/bash
#SBATCH --gres=gpu:a100:1,gpu:t4:1
#SBATCH --constraint=ib
#SBATCH --cpus-per-gpu=4 --cpus-per-task=2
#SBATCH --time=1:00:00
#SBATCH --mem=16G

./train
