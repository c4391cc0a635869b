#!/usr/bin/env bash
# Measures everything that README.md here says: 20 seeds of every job through `fedmesh simulate` (the real state
# machines and the real trainer under virtual time), then writes the table in README.md and accuracy.svg anew.
# FEDMESH_HEART names the folder with processed.{cleveland,hungarian,switzerland,va}.data. SEEDS=20 FIRST=1 JOBS=2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=${FEDMESH_HEART:-$root/../shared/data/heart-disease}
hospitals=(cleveland hungarian switzerland va)
export first=${FIRST:-1} seeds=${SEEDS:-20}

for hospital in "${hospitals[@]}"; do
  if [ ! -r "$data/processed.$hospital.data" ]; then
    echo "skipped: $data/processed.$hospital.data is not here; set FEDMESH_HEART to the folder that has it."
    exit 0
  fi
done

"$root/cmake/build.sh" fedmesh fedmesh-simulator
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export fedmesh=$root/build/release/bin/fedmesh here data out

# measure NAME JOB [ARGUMENTS OF simulate]
measure() {
  local name=$1 job=$2 sources=()
  shift 2
  for hospital in cleveland hungarian switzerland va; do
    sources+=(--data "$data/processed.$hospital.data?split=train:0.66:{seed}")
    sources+=(--test "$data/processed.$hospital.data?split=test:0.66:{seed}")
  done
  "$fedmesh" simulate "$here/$job.toml" "${sources[@]}" --seed "$first" --seeds "$seeds" --format json "$@" \
    >"$out/$name.json"
  echo "measured $name"
}
export -f measure

# A twentieth of epsilon for standardisation, the rest for five rounds.
private() {
  local epsilon=$1
  awk -v e="$epsilon" 'BEGIN { printf "--set privacy.epsilon_total=%.9f --set preprocessing.epsilon=%.9f " \
    "--set privacy.epsilon_per_round=%.9f", e, e * 0.05, e * 0.19 }'
}
public() {
  local epsilon=$1
  awk -v e="$epsilon" 'BEGIN { printf "--set privacy.epsilon_total=%.9f --set preprocessing.epsilon= " \
    "--set preprocessing.standardise=public --set privacy.epsilon_per_round=%.9f", e, e / 5 }'
}
worker() {
  awk -v e="$1" 'BEGIN { printf "--set privacy.epsilon_total=%.9f --set privacy.epsilon_per_round=%.9f", e, e / 5 }'
}
no_noise="--set privacy.mechanism=none --set privacy.epsilon_total= --set privacy.epsilon_per_round="

{
  echo "none heart --baselines"
  echo "clipped heart_private $no_noise --set preprocessing.epsilon="
  echo "worker-none heart_worker $no_noise"
  for epsilon in 0.1 0.2 0.5 1 2 4 8; do
    echo "private-$epsilon heart_private $(private $epsilon)"
    echo "public-$epsilon heart_private $(public $epsilon)"
  done
  for epsilon in 1 10 100; do echo "worker-$epsilon heart_worker $(worker $epsilon)"; done
} | xargs -P "${JOBS:-2}" -I{} bash -c 'set -e; measure {}'

python3 "$here/figures.py" "$out" "$here"
