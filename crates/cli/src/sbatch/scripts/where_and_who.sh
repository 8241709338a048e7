#!/bin/bash
#SBATCH --partition=GPU_Short
#SBATCH --account=Phys_Dept
#SBATCH --nodelist=node[01-04]
#SBATCH --exclude=node07
#SBATCH --licenses=abaqus:4
#SBATCH --reservation=course
#SBATCH --input=data.in
#SBATCH --time=30
#SBATCH --mem=4G

./abaqus
