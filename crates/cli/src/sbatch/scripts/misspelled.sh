#!/bin/bash
#SBATCH --job_name=typo
#SBATCH --ntask-per-node=4
#SBATCH --nod=2
#SBATCH --requeue=yes
#SBATCH -Z
#SBATCH --mem = 4G
#SBATCH -J two words
#SBATCH --time

./typo
