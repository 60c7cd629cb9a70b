#!/usr/bin/env bash
# A job array of `itermask bids --shard` on a Slurm of one node, which is set up for this and taken down again.
#
#     benchmarks/slurm_one_node.sh BIDS_DIR OUT [SHARDS] [OPTIONS OF itermask bids …]
#
# Needs root and the Debian packages slurm-wlm and munge. One task of the array is cancelled midway and submitted
# again. Exit code: that of the group level, which tells whether any scan could not be processed.
set -euo pipefail
bids=$(realpath "$1") out=$(realpath -m "$2") shards=${3:-2}
shift $(($# < 3 ? $# : 3))
itermask=${ITERMASK:-$(realpath "$(dirname "$0")/../.venv/bin/itermask")}
work=$(mktemp -d /tmp/slurm-one-node.XXXXXX)
chmod 755 "$work"
started=()
finish() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

head -c 128 /dev/urandom > "$work/munge.key"
chmod 600 "$work/munge.key"
munged --foreground --force --key-file "$work/munge.key" --socket "$work/munge.socket" --pid-file "$work/munged.pid" \
    --seed-file "$work/munge.seed" >"$work/munged.log" 2>&1 & started+=($!)

cores=$(nproc)
cat > "$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
MpiDefault=none
NodeName=localhost CPUs=$cores State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
mkdir -p "$work/state" "$work/spool"
export SLURM_CONF=$work/slurm.conf
slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 & started+=($!)
slurmd -D -f "$SLURM_CONF" -N localhost >/dev/null 2>&1 & started+=($!)
for _ in $(seq 60); do
    [ "$(sinfo --noheader --format %T 2>/dev/null || true)" = idle ] && break
    sleep 1
done
sinfo

cat > "$work/job.sh" <<JOB
#!/bin/bash
#SBATCH --job-name=itermask
#SBATCH --cpus-per-task=1
exec "$itermask" bids "$bids" "$out" participant --skip-bids-validation --shard "\${SLURM_ARRAY_TASK_ID}/$shards" $*
JOB
submit() { sbatch --parsable --array="$1" --output="$work/task-%a.log" "$work/job.sh"; }
await() { while [ -n "$(squeue --noheader --job "$1" 2>/dev/null)" ]; do sleep 1; done; }

job=$(submit "1-$shards")
until [ -n "$(ls "$out/manifest" 2>/dev/null)" ]; do sleep 0.2; done
scancel --signal=KILL --full "${job}_1" || true
await "$job"
again=$(submit 1)
await "$again"
tail -n 1 "$work"/task-*.log
status=0
"$itermask" bids "$bids" "$out" group --skip-bids-validation "$@" || status=$?
exit $status
