#!/bin/bash
#SBATCH --signal=KILL@30
#SBATCH --time=30
#SBATCH --mem=4G

./sample
