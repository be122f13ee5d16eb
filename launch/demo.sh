#!/usr/bin/env bash
# demo.sh: from a bare Debian 12 to a trained model. Installs what is missing, builds Weir, trains DeepFM on the census
# data of examples/adult with 2 workers and 2 servers, and evaluates it. The last line on stdout is the evaluation, in
# JSON. About a quarter of an hour on 2 cores the first time, seconds from then on.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
say() { echo "demo: $*" >&2; }

say "1/4 setting up (packages, and wheels into .venv)"
bash launch/setup.sh
say "2/4 building (the first time takes minutes)"
bash launch/build.sh

if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
output=output/demo
# The demo shows a training run, so it starts one each time; weir itself would go on from the last commit.
rm -rf "$output" "$output.json"
mkdir -p "$(dirname "$output")"
say "3/4 training DeepFM on examples/adult with 2 workers and 2 servers"
mpirun --bind-to none --oversubscribe -n 4 build/weir train examples/adult/deepfm.textproto \
  cluster.servers=2 metrics.every_s=0.5 "output=$output" >"$output.json" || { say "training failed; see $output/logs"; exit 1; }
say "4/4 evaluating the checkpoint on examples/adult/adult.test"
result=$(build/weir eval "$output" data.eval.uri=examples/adult/adult.test | tail -n 1)

cat >&2 <<END

demo: the model is in $output:
  checkpoints/        the last commits: rows, net, position in the data
  metrics.jsonl       how training went; events for TensorBoard beside it
  logs/               what each rank said
Next, for example:
  build/weir checkpoint ls $output
  build/weir predict $output --out output/scores.parquet data.eval.uri=examples/adult/adult.test
  build/weir export $output --out output/export
  .venv/bin/tensorboard --logdir output        (after bash launch/setup.sh --tests)
  build/weir validate examples/adult/deepfm.textproto
  build/weir train examples/adult/deepfm.textproto output=output/mine train.epochs=3

END
echo "$result"
