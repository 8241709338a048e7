#!/bin/bash
# SBATCH --mem=64G
##SBATCH --nodes=8
#sbatch --gres=gpu:a100:1
#PBS -l nodes=2
#SBATCH --time=20 --mem=2G
#SBATCH --job-name="of two words" # a comment: --nodes=9

echo begun
#SBATCH --nodes=4
./late
