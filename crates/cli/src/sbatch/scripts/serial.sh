#!/bin/bash
#SBATCH --job-name=wordcount
#SBATCH --time=00:10:00
#SBATCH --mem=500
#SBATCH --output=wordcount-%j.out
#SBATCH --error=wordcount-%j.err

sort -u words.txt | wc -l
