#!/usr/bin/env bash
# MNIST's 10,000 published test images as eight workers' data: 0 to 7,999 are shared out for training, 8,000 to 9,999
# held out. By default real processes (coordinator, eight workers, eight trainers) for a few rounds, then the model's
# accuracy; --simulate runs all 20 rounds in one process instead and prints the same accuracy.
#   run.sh [--simulate] [iid | dirichlet:0.5 | shards:2] [SEED] [ROUNDS]
# FEDMESH_MNIST names the folder with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${FEDMESH_MNIST:-$root/../shared/data/mnist}
simulate=no
if [ "${1:-}" = "--simulate" ]; then simulate=yes; shift; fi
rule=${1:-iid}
seed=${2:-1}
rounds=${3:-}

images=$data/t10k-images-idx3-ubyte.gz
labels=$data/t10k-labels-idx1-ubyte.gz
if [ ! -r "$images" ] || [ ! -r "$labels" ]; then
  echo "skipped: $images or $labels is not here; set FEDMESH_MNIST to the folder that has both."
  exit 0
fi

job=$root/examples/mnist/mnist.toml
train="$images,$labels#0-7999?partition=$rule:8"
test="$images,$labels#8000-9999"
bin=$root/build/release/bin
if [ "$simulate" = yes ]; then
  "$root/cmake/build.sh" fedmesh fedmesh-simulator
  exec "$bin/fedmesh" simulate "$job" --workers 8 --seed "$seed" --data "$train:{worker}:{seed}" --test "$test" \
    --set "federation.rounds=${rounds:-20}"
fi

"$root/cmake/build.sh" fedmesh fedmesh-coordinator fedmesh-worker fedmesh-trainer
home=$(mktemp -d)
sed "s/^rounds = .*/rounds = ${rounds:-3}/" "$job" >"$home/mnist.toml"
workers=()
for worker in 0 1 2 3 4 5 6 7; do workers+=(--data "$train:$worker:$seed"); done
"$bin/fedmesh" demo --job "$home/mnist.toml" --home "$home/demo" "${workers[@]}"
echo
echo "accuracy on the 2,000 held-out images after ${rounds:-3} rounds:"
"$bin/fedmesh" evaluate "$home/demo/model.safetensors" --job "$home/mnist.toml" --data "$test"
