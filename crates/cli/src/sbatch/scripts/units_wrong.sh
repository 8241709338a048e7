#!/bin/bash
#SBATCH --time=2h
#SBATCH --mem=1.5G
#SBATCH --nodes=two
#SBATCH --cpus-per-task=0
#SBATCH --nice=low
#SBATCH --deadline=tomorrow

./units
