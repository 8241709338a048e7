#!/bin/bash
#SBATCH --time=90:30
#SBATCH --mem=1536000K
#SBATCH --nodes=2-4
#SBATCH --nice=50
#SBATCH --deadline=now+2days
#SBATCH --comment="monthly run"

./units
