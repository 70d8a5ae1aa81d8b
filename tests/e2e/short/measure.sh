# bench, profile, eval and device on the model that comes with adze: what they say, and exit codes.
set -euo pipefail
folder=$ADZE_SOURCE/models/fashion-mnist
model=$folder/fashion-mnist.onnx
fail() { echo "$*"; exit 1; }
has() { for key in "${@:2}"; do grep -q "\"$key\"" "$1" || fail "$1 has no \"$key\""; done; }

"$ADZE" bench "$model" --threads 1 --runs 5 --json >bench.json
has bench.json latency_ms min mean p50 p90 p95 p99 throughput_per_s peak_rss_bytes prepare_ms threads cpu_level runs
grep -q '"runs": 5' bench.json || fail "not 5 runs"
"$ADZE" bench "$model" --shape image=4x1x28x28 --seconds 0.1 | grep -q "latency ms" || fail "no text"

printf 'run 3\nwalk\nrun 1\n' | "$ADZE" bench "$model" --threads 1 --commands >answers
[ "$(sed -n 1p answers)" = ready ] || fail "not ready"
[ "$(sed -n 2p answers | wc -w)" = 3 ] || fail "not 3 times"
sed -n 3p answers | grep -q expected || fail "bad command not answered"
[ "$(sed -n 4p answers | wc -w)" = 1 ] || fail "not 1 time"

"$ADZE" profile "$model" --threads 1 --runs 20 --json >profile.json
has profile.json steps operators bottleneck peak_share run_ms
"$ADZE" device --threads 1 --json >device.json
has device.json processor cores memory_bytes identity peaks read_bytes_per_s f32_operations_per_s i8_operations_per_s

data=(--data "$folder/t10k-images-idx3-ubyte.gz" --preprocess "$folder/preprocess.json" --limit 500)
"$ADZE" eval "$model" "${data[@]}" --json >eval.json 2>progress
has eval.json metrics top1 top5 f1 value low high n per_class confusion
"$ADZE" eval "$model" "${data[@]}" --against "$model" --require 'top1>=original-1%' --require 'agreement>=0.99' \
    --require 'peak_memory<=200MB' --require 'size<=1*original' --json >gates.json 2>progress || fail "gates: exit code $?"
[ "$(grep -c '"verdict": "pass"' gates.json)" = 4 ] || fail "not four passed"
code=0
"$ADZE" eval "$model" "${data[@]}" --require 'top1>=0.999' >out 2>progress || code=$?
[ $code = 1 ] || fail "a gate that fails: exit code $code"
grep -q 'top1>=0.999: fail' out || fail "verdict not shown"
code=0
"$ADZE" eval "$model" "${data[@]}" --require 'beauty>=1' >out 2>err || code=$?
[ $code = 2 ] && grep -q 'there is no metric "beauty"' err || fail "malformed requirement: exit code $code"
code=0
"$ADZE" eval "$model" --data nowhere >out 2>err || code=$?
[ $code = 3 ] || fail "missing data: exit code $code"
