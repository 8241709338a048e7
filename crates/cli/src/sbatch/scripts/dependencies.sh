#!/bin/bash
#SBATCH --job-name=merge
#SBATCH --dependency=afterok:41:42,afterany:40
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --time=30
#SBATCH --mem=4G

cat part-*.csv > all.csv
