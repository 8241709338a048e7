#!/bin/bash
#SBATCH --gpus=c500:4
#SBATCH --time=45
#SBATCH --mem=64G

./mxbench
