#!/bin/bash
#SBATCH --partition=gpu
# try: SBATCH_TIMELIMIT=45 SBATCH_PARTITION=kunshan SBATCH_MEM_PER_NODE=3G -J named script argument --time=9

./overridden
