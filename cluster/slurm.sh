#!/bin/bash
# A study on Slurm. In the folder of the study, with the environment activated in which emotune is installed:
#
#   sbatch --nodes=4 --gpus-per-node=4 --cpus-per-task=32 --time=8:00:00 PATH/cluster/slurm.sh my.yaml --gpus-per-worker 1
#   sbatch --array=1-8 --cpus-per-task=8 --time=8:00:00 PATH/cluster/slurm.sh my.yaml
#
# Behind the script stand the study and options of `python -m emotune.ablate`. A job of several nodes starts Ray on all of
# them, for itself alone; a job of one node needs no cluster, and the tasks of an array share the runs of one folder. Before
# the time limit, or when Slurm preempts the job, runs finish their step and write a checkpoint, and the job goes back into
# the queue, from where it continues. How to watch it, to stop it, and what may be wrong: docs/tutorials/slurm.md.
#
# Options, as variables of the environment, which sbatch hands over:
#   EMOTUNE_SETUP         a file that is sourced first: modules, conda, a virtual environment
#   EMOTUNE_TMP           a folder on the disk of each node, at most 18 bytes long, for Ray's sockets and logs (/tmp)
#   EMOTUNE_GPUS          the number of GPUs of each node, where Slurm does not manage them
#   EMOTUNE_MAX_RESTARTS  how often the job goes back into the queue (100)
#
# Options of sbatch, which its command line overrides:
#SBATCH --job-name=emotune
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

set -u
say() { echo "slurm.sh, $(date '+%F %T'): $*"; }
fail() { say "$*" && exit 2; }

# A signal that finds no trap would end this shell, so traps come first.
wish='' ablate=''
# shellcheck disable=SC2329  # traps call it
stop() {
    wish=$2
    say "signal $1: runs finish their step and write a checkpoint"
    [ -z "$ablate" ] || kill -TERM "$ablate" 2> /dev/null
}
trap 'stop USR1 requeue' USR1 # from Slurm, before the time limit and at preemption
trap 'stop USR2 end' USR2     # from a person
trap 'stop TERM "${wish:-end}"' TERM # from Slurm, which ends all processes of the job at this moment

[ -n "${SLURM_JOB_ID:-}" ] || fail "give me to Slurm: sbatch [options of sbatch] $0 STUDY [options of emotune.ablate]"
job=$SLURM_JOB_ID
# To Slurm's commands, the number of an array's last task means the whole array.
name=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
name=${name:-$job}
nodes=${SLURM_JOB_NUM_NODES:-1} restarts=${SLURM_RESTART_COUNT:-0}
if [ -n "${EMOTUNE_SETUP:-}" ]; then
    set +u # what others have written may use variables that are not set
    # shellcheck disable=SC1090
    . "$EMOTUNE_SETUP" || fail "EMOTUNE_SETUP=$EMOTUNE_SETUP: ended with an error"
    set -u
fi
python -c 'import emotune' || fail "$(command -v python || echo python) on $(hostname) cannot import emotune: activate its" \
    "environment before sbatch, or name a file that does it in EMOTUNE_SETUP"
# A field of the job, which Slurm may show among other tasks of its array.
of_job() { scontrol show job --oneliner "$job" | grep "^JobId=$job " | tr ' ' '\n' | sed -n "s/^$1=//p"; }

# The command that shows the state of the study's runs, with the options that choose them.
status=(python -m emotune.ablate status) value=''
for word in "$@"; do
    case $value$word in
        --runs | --seeds | --test-on) status+=("$word") value='its value: ' ;;
        'its value: '* | --runs=* | --seeds=* | --test-on=* | --aa | *.yaml | *.yml) status+=("$word") value='' ;;
    esac
done

# The address of this machine for another one; its own name may mean 127.0.1.1 here.
address_for() {
    python -c '
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    way.connect((sys.argv[1], 9))  # which sends nothing
    print(way.getsockname()[0])' "$1"
}
answers() { (exec 3<> "/dev/tcp/${1%:*}/${1#*:}") 2> /dev/null; }

# Ray on one node, the cluster's "head" or an "other" one, until the step ends of which this is a task.
# shellcheck disable=SC2329  # srun calls it
node() {
    local cpus gpus devices own ray try
    cpus=$(python -c 'from emotune.core.host import available_cpus; print(available_cpus())') || exit
    IFS=, read -ra devices <<< "${CUDA_VISIBLE_DEVICES:-}"
    gpus=${EMOTUNE_GPUS:-${SLURM_GPUS_ON_NODE:-${#devices[@]}}}
    own=$([ "$1" = head ] && echo "${RAY_ADDRESS%:*}" || address_for "${RAY_ADDRESS%:*}") || exit
    echo "$(hostname), $own: $cpus CPUs, $gpus GPUs"
    if [ "$1" = head ]; then
        set -- --head --port="$port" --ray-client-server-port=$((port + 1)) --dashboard-port=$((port + 2)) \
            --include-dashboard=false --temp-dir="$RAY_TMPDIR"
    else
        set -- --address="$RAY_ADDRESS"
    fi
    trap try=last TERM # Ray gets it, too; then this shell tidies up
    # Ray gives up if Python takes 15 s to start, as it may from a disk that many nodes read: later it is in memory.
    for try in 1 2 3 4; do
        rm -rf "${RAY_TMPDIR%/r}" && mkdir -m 700 "${RAY_TMPDIR%/r}" || exit # Ray opens its own folder to everyone
        ray start --block "$@" --log-color=false --node-ip-address="$own" --num-cpus="$cpus" --num-gpus="$gpus" \
            --disable-usage-stats --object-store-memory=200000000 --min-worker-port=0 --max-worker-port=0 \
            --dashboard-agent-listen-port=0 --include-log-monitor=false &
        ray=$!
        while kill -0 "$ray" 2> /dev/null; do wait "$ray"; done
        # A node may be too busy to start in time, or come back; a cluster whose head was lost does not.
        [ "$try" != last ] || break
        if [ "$1" = --head ]; then [ ! -e "$ready" ] || break; else answers "$RAY_ADDRESS" || break; fi
    done
    rm -rf "${RAY_TMPDIR%/r}"
}

# A step that starts Ray on so many of the job's nodes, from the given one on.
start_ray() {
    srun --export=ALL --relative="$2" --nodes="$3" --ntasks="$3" --ntasks-per-node=1 --cpu-bind=none --label \
        ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} bash -c "node $1" >> "$log" 2>&1 &
}

unset RAY_ADDRESS
log='' steps=()
if [ "$nodes" -gt 1 ]; then
    other=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 2p)
    other=$(scontrol show node --oneliner "$other" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
    own=$(address_for "$other") || fail "no way from $(hostname) to $other"
    port=$((20000 + 3 * (job % 4000))) # it and the next two ports are free, unless another job began to search here
    while answers "$own:$port" || answers "$own:$((port + 1))" || answers "127.0.0.1:$((port + 2))"; do
        port=$((port + 3))
    done
    RAY_AUTH_TOKEN=$(od -An -N32 -tx1 -v /dev/urandom | tr -d ' \n')
    export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_ADDRESS=$own:$port RAY_TMPDIR=${EMOTUNE_TMP:-/tmp}/emotune-$job/r
    [ ${#RAY_TMPDIR} -le 38 ] || fail "EMOTUNE_TMP=$EMOTUNE_TMP: the name is too long for Ray's sockets (at most 18 bytes)"
    export RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
    export RAY_raylet_start_wait_time_s=60 RAY_enable_worker_prestart=0 RAY_prestart_worker_first_driver=0
    export -f node address_for answers
    export port ready=$RAY_TMPDIR/ray_current_cluster # Ray writes it when its head is ready
    log=emotune-ray-$job.log
    rm -rf "${RAY_TMPDIR%/r}" # a job that was killed may have left it
    start_ray head 0 1
    steps=($!)
    until [ -n "$wish" ] || [ -e "$ready" ]; do
        kill -0 "${steps[0]}" 2> /dev/null || fail "Ray did not start on $(hostname): see $log"
        sleep 1
    done
    start_ray other 1 $((nodes - 1))
    steps+=($!)
fi

say "job $name on $SLURM_JOB_NODELIST, start $((restarts + 1)), until $(of_job EndTime)"
say "watch: ${status[*]}; tail -f $(of_job StdOut)"
say "stop: scancel --signal=USR2 --batch $name (USR1: stop and go back into the queue)"
python -m emotune.ablate "$@" &
ablate=$!
[ -z "$wish" ] || kill -TERM $ablate
while kill -0 $ablate 2> /dev/null; do wait $ablate; done # a signal ends `wait`, too
wait $ablate
code=$?
trap '' USR1 USR2 TERM # from here on they can only be late

if [ -n "$log" ]; then
    [ "$code" != 2 ] || answers "$RAY_ADDRESS" || code=75 # Ray was the reason, not the study
    scancel --signal=TERM "$name" # Ray ends before the job does, and leaves no files
    for _ in {1..20}; do kill -0 "${steps[@]}" 2> /dev/null && sleep 1; done
fi
case $code in
    0) say "all runs are done" ;;
    1)
        # Other tasks of the array train the rest: this is what an array is for.
        "${status[@]}" --json | python -c '
import json, sys
states = json.load(sys.stdin)["states"]
sys.exit(not states.get("running") or bool(states.keys() - {"running", "done"}))' 2> /dev/null &&
            say "no run is left to this job; others are training" && exit 0
        say "not all runs are done, see above"
        ;;
    2) say "nothing was trained, see above" ;;
    75)
        say "Ray was lost, or did not start in time${log:+; the end of $log: $(tail -n 20 "$log")}"
        [ "$SECONDS" -lt 300 ] || wish=${wish:-requeue} # else it would be in vain again
        ;;
    130 | 143) ;;
    137) say "emotune.ablate was killed; if for lack of memory, ask for more with --mem" ;;
    *) say "emotune.ablate ended with exit code $code" ;;
esac
case $code in 75 | 130 | 143)
    if [ "$wish" != requeue ] || [ "$(of_job JobState)" = CANCELLED ]; then
        say "stopped; the same sbatch continues"
    elif [ "$restarts" -ge "${EMOTUNE_MAX_RESTARTS:-100}" ]; then
        say "stopped for good after $restarts restarts; the same sbatch continues"
    elif scontrol requeue "$name"; then
        say "back in the queue"
    else
        say "Slurm did not take the job back; the same sbatch continues"
    fi
    ;;
esac
exit $code
