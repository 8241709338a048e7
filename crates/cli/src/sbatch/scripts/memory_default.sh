#!/bin/bash
#SBATCH --nodes=4 --ntasks=2
#SBATCH --time=30
#SBATCH --signal=SIGTERM
#SBATCH --gres=none
#SBATCH --constraint=a100

./small
