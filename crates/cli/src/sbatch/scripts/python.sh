#!/usr/bin/env python3
#SBATCH --job-name=pi
#SBATCH --time=5
#SBATCH --mem=1G

import os
print(os.environ["SLURM_JOB_ID"], 3.14159)
