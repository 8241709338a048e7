#!/bin/bash
#SBATCH --dependency=singleton,afternotok:3,afterok:4_2,afterok:,later:5
#SBATCH --time=30
#SBATCH --mem=4G

./nightly
