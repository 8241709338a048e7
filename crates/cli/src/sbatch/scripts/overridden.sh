#!/bin/bash
#SBATCH --partition=gpu --constraint=skylake
#SBATCH --dependency=singleton
#SBATCH --time=30 --mem-per-cpu=1G -n 4
# try: -p lingang --constraint= --dependency= --mem=8G -t 1-0 -c2

./overridden
