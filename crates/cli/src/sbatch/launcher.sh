# portolan sbatch: puts the script where it runs, and says what Slurm would.
: "${SLURM_JOB_ID:=${PORTOLAN_JOB#job-}}" "${SLURM_JOB_NODELIST:=$PORTOLAN_NODELIST}"
export SLURM_JOB_ID SLURM_JOBID="$SLURM_JOB_ID"
export SLURM_JOB_NODELIST SLURM_NODELIST="$SLURM_JOB_NODELIST"
unset SLURM_EXPORT_ENV # an agent gives its own jobs no more than PATH; what srun starts gets all
[ "$PORTOLAN_EPOCH" -le 1 ] || export SLURM_RESTART_COUNT=$((PORTOLAN_EPOCH - 1))
if [ -n "${PORTOLAN_ARRAY_INDEX-}" ]; then
  task=$PORTOLAN_ARRAY_INDEX
  [ -z "${SLURM_ARRAY_LIST-}" ] || task=$(echo "$SLURM_ARRAY_LIST" | cut -d, -f$((task + 1)))
  export SLURM_ARRAY_TASK_ID="$task" SLURM_ARRAY_JOB_ID="${PORTOLAN_ARRAY#job-}"
fi
script=$PWD/slurm_script
printf %s "$1" >"$script" || exit
[ -z "$2" ] || cd -- "$2" || exit
interpreter=$3 option=$4
shift 4
exec "$interpreter" ${option:+"$option"} "$script" "$@"
