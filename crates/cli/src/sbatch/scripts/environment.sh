#!/bin/bash -l
#SBATCH --export=ALL,SEED=17,HOME_OF_DATA,MISSING
#SBATCH --chdir=/scratch/university/run
#SBATCH --time=30
#SBATCH --mem=4G
#SBATCH --get-user-env

./sample --seed $SEED
