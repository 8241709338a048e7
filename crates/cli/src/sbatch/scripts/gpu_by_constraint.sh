#!/bin/bash
#SBATCH --gres=gpu:4
#SBATCH --constraint="a100|h800"
#SBATCH --time=1:00:00
#SBATCH --mem=200G

nvidia-smi
