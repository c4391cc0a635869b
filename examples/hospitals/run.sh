#!/usr/bin/env bash
# Four hospitals, four files of the UCI heart-disease data, four worker processes: trains one model together on the
# training part of each file and prints its accuracy on the held-out part, per hospital and pooled.
#   run.sh [SEED] [heart | heart_private | heart_worker]
# FEDMESH_HEART names the folder with processed.{cleveland,hungarian,switzerland,va}.data.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${FEDMESH_HEART:-$root/../shared/data/heart-disease}
hospitals=(cleveland hungarian switzerland va)
seed=${1:-1}
job=$root/examples/hospitals/${2:-heart}.toml

for hospital in "${hospitals[@]}"; do
  if [ ! -r "$data/processed.$hospital.data" ]; then
    echo "skipped: $data/processed.$hospital.data is not here."
    echo "Get the four processed.*.data files of the UCI heart-disease collection and set FEDMESH_HEART to their folder."
    exit 0
  fi
done

"$root/cmake/build.sh" fedmesh fedmesh-coordinator fedmesh-worker fedmesh-trainer
bin=$root/build/release/bin
home=$(mktemp -d)
train=() test=()
for hospital in "${hospitals[@]}"; do
  train+=(--data "$data/processed.$hospital.data?split=train:0.66:$seed")
  test+=(--data "$data/processed.$hospital.data?split=test:0.66:$seed")
done
"$bin/fedmesh" demo --job "$job" --home "$home" "${train[@]}"
echo
echo "accuracy on the held-out 34 % of each hospital:"
"$bin/fedmesh" evaluate "$home/model.safetensors" --job "$job" "${test[@]}"
