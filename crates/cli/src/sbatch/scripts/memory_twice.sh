#!/bin/bash
#SBATCH --time=30
#SBATCH --mem=0
#SBATCH --mem-per-cpu=4G

./big
