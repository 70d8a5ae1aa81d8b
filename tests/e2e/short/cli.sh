# Every command explains itself with two examples, refuses bad usage with exit code 2, and says JSON where it can.
set -euo pipefail
model=$ADZE_SOURCE/models/fashion-mnist/fashion-mnist.onnx
fail() { echo "$*"; exit 1; }

# says <exit code> <words on stderr> <command...>
says() {
    local want=$1 words=$2 code=0
    shift 2
    "$@" >out 2>err || code=$?
    [ $code = "$want" ] || { cat out err; fail "exit code $code, expected $want: $*"; }
    grep -qF -- "$words" err || { cat err; fail "not said: '$words': $*"; }
}

"$ADZE" --help >overview
"$ADZE" --version | grep -qE '^adze [0-9]+\.[0-9]+\.[0-9]+$'
says 2 "COMMAND" "$ADZE"
says 2 "unknown command 'nonsense'" "$ADZE" nonsense

commands=$(sed -n 's/^  \([a-z]*\)  *[A-Z].*/\1/p' overview)
[ "$(wc -w <<<"$commands")" -ge 4 ] || fail "commands found in the overview: $commands"
for command in $commands; do
    "$ADZE" "$command" --help >help || fail "$command --help: exit code $?"
    examples=$(sed -n '/^Examples:/,$p' help | grep -c "adze $command") || true
    [ "$examples" -ge 2 ] || fail "$command --help has $examples examples"
    says 2 "unknown option --no-such-option" "$ADZE" "$command" --no-such-option
    [ "$command" = tokenize ] && continue # takes any number of ids
    says 2 "Try 'adze $command --help'" "$ADZE" "$command" one two three four five
done

says 2 "needs" "$ADZE" inspect "$model" --threads
says 2 "no whole number" "$ADZE" inspect "$model" --threads many
says 2 "expected on or off" "$ADZE" run "$model" --fuse perhaps
says 2 "is missing" "$ADZE" run "$model"
says 2 "expected NAME=FILE" "$ADZE" run "$model" --input other=x.npy
says 3 "no such file" "$ADZE" inspect nowhere.onnx
says 3 "x.npy" "$ADZE" run "$model" --input image=x.npy
says 2 "" "$ADZE" inspect "$model" --shape nothing=1x2
says 1 "" "$ADZE" eval "$model" --data "$ADZE_SOURCE/models/fashion-mnist/t10k-images-idx3-ubyte.gz" \
    --preprocess "$ADZE_SOURCE/models/fashion-mnist/preprocess.json" --limit 300 --require "size<=1KB"
says 2 "expected bytes" "$ADZE" inspect "$model" --max-ram much
says 5 "raise --max-ram" "$ADZE" inspect "$model" --max-ram 10000
says 2 "expected seconds" "$ADZE" run "$model" --max-time soon
says 2 "" env ADZE_CPU=i386 "$ADZE" inspect "$model"

command -v python3 >/dev/null || { echo "no python3 to read JSON with"; exit 77; }
"$ADZE" inspect "$model" --shape image=1x1x28x28 --json >inspect.json
data=$ADZE_SOURCE/models/fashion-mnist
"$ADZE" bench "$model" --threads 1 --runs 20 --json >bench.json
"$ADZE" profile "$model" --threads 1 --runs 5 --json >profile.json
"$ADZE" eval "$model" --data "$data/t10k-images-idx3-ubyte.gz" --preprocess "$data/preprocess.json" --limit 500 --json \
    >eval.json 2>/dev/null
python3 - <<'PY'
import json
d = json.load(open("inspect.json"))
assert d["format"] == "ONNX" and d["inputs"][0]["shape"] == [1, 1, 28, 28], d["inputs"]
assert d["issues"] == [] and 10e6 < d["operations"] / 2 < 12e6, d["operations"]
assert abs(sum(o["share"] for o in d["operators"]) - 1) < 1e-9

b = json.load(open("bench.json"))
assert {"min", "mean", "p50", "p90", "p95", "p99"} <= set(b["latency_ms"]), b
assert b["threads"] == 1 and b["throughput_per_s"] > 0 and b["peak_rss_bytes"] > 1e6 and b["prepare_ms"] > 0
assert b["cpu_level"] in ("ref", "avx2", "avx512", "neon")
p = json.load(open("profile.json"))
assert p["steps"] and 0.99 < sum(s["share"] for s in p["steps"]) < 1.01
top1 = json.load(open("eval.json"))["metrics"]["top1"]
assert top1["n"] == 500 and 0.9 < top1["low"] < top1["value"] < top1["high"] < 1, top1
PY
