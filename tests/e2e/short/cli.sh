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
says 2 "" env ADZE_CPU=i386 "$ADZE" inspect "$model"

command -v python3 >/dev/null || { echo "no python3 to read JSON with"; exit 77; }
"$ADZE" inspect "$model" --shape image=1x1x28x28 --json >inspect.json
python3 - <<'PY'
import json
d = json.load(open("inspect.json"))
assert d["format"] == "ONNX" and d["inputs"][0]["shape"] == [1, 1, 28, 28], d["inputs"]
assert d["issues"] == [] and 10e6 < d["operations"] / 2 < 12e6, d["operations"]
assert abs(sum(o["share"] for o in d["operators"]) - 1) < 1e-9
PY
