#!/bin/bash
#SBATCH --dependency=afterok:3?afterok:4
#SBATCH --begin=now+1hour
#SBATCH --time=30
#SBATCH --mem=4G

./first-come
