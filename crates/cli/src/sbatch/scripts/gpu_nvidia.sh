#!/bin/bash
#SBATCH --job-name=finetune
#SBATCH --gres=gpu:a100:2
#SBATCH --cpus-per-task=16
#SBATCH --mem=120G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append

trap 'touch $PORTOLAN_CHECKPOINT/stop' USR1
python3 train.py --resume "$PORTOLAN_CHECKPOINT" &
wait
