#!/bin/bash
#SBATCH --gpus=h100:16
#SBATCH --nodes=2
#SBATCH --ntasks-per-gpu=1
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-gpu=120G
#SBATCH --time=UNLIMITED

torchrun train.py
