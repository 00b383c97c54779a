#!/bin/bash
# Pre-train on several nodes: sbatch examples/slurm_pretraining.sh DATASET_DIR OUT_DIR [overrides]
# OUT_DIR is one that all nodes share. A job that is requeued, on any number of nodes that shares batch_size evenly, goes
# on behind its last checkpoint.
#SBATCH --job-name=mae-pretraining
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail
dataset_dir=$1 out_dir=$2
shift 2
bundle=bundles/cxr_mae_pretraining
first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" torchrun --nnodes "$SLURM_NNODES" --nproc_per_node "$SLURM_GPUS_ON_NODE" \
    --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$first_node:29500" \
    -m monai.bundle run training \
    --config_file "['$bundle/configs/train.json','$bundle/configs/multi_gpu_train.json']" --bundle_root "$bundle" \
    --dataset_dir "$dataset_dir" --ckpt_dir "$out_dir/models" --output_dir "$out_dir/train" "$@"
