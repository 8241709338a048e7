#!/bin/bash
#SBATCH --export=PORTOLAN_JOB=7,1ST=x
#SBATCH --time=30
#SBATCH --mem=4G

./sample
