# Language models as a user meets them, on the model in the repository: text, ids, figures, files, errors.
set -euo pipefail
model=$ADZE_SOURCE/models/stories260K/stories260K-f16.gguf
text=$ADZE_SOURCE/ARCHITECTURE.md

fail() { echo "$*"; exit 1; }
# expect_failure CODE WORD command...: the exit code, one line on stderr that has the word, nothing new in the folder
expect_failure() {
    local code=$1 word=$2 found=0
    shift 2
    ls >before
    "$@" >out 2>err </dev/null || found=$?
    [ $found = "$code" ] || { cat err; fail "exit code $found, expected $code: $*"; }
    [ "$(grep -c . err)" -ge 1 ] && grep -q "$word" err || { cat err; fail "no word of '$word': $*"; }
    ls | grep -vxFf before | grep -vxE 'out|err' && fail "left behind by: $*"
    return 0
}

story=$("$ADZE" generate "$model" --prompt "Once upon a time" --tokens 40)
[[ $story == "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."* ]] ||
    fail "said: $story"

# The continuation begins with its own space.
[ "$("$ADZE" generate "$model" --prompt "Once upon" --tokens 3)" = "Once upon a time," ] || fail "the first space"

"$ADZE" inspect "$model" --json >inspect.json
grep -q '"architecture": "llama"' inspect.json && grep -q '"kv_cache_per_token"' inspect.json || fail "inspect: $(cat inspect.json)"

# Ids of a file, and back.
"$ADZE" tokenize "$model" --file "$text" --ids >ids
[ "$(wc -l <ids)" -le 1 ] && [ "$(wc -w <ids)" -gt 1000 ] || fail "ids: $(head -c 200 ids)"

# To a folder and back, the tokenizer too.
"$ADZE" convert "$model" folder >/dev/null 2>&1 && "$ADZE" convert folder again.gguf >/dev/null 2>&1 || fail "convert"
[ -s folder/tokenizer.json ] && [ -s folder/tokenizer_config.json ] || fail "no tokenizer in the folder"
for other in folder again.gguf; do
    "$ADZE" tokenize $other --file "$text" --ids | cmp - ids || fail "other ids in $other"
    again=$("$ADZE" generate $other --prompt "Once upon a time" --tokens 40)
    [ "$again" = "$story" ] || fail "$other said: $again"
done

# Perplexity, a saved base, a smaller type against it.
"$ADZE" perplexity "$model" --file "$text" --context 128 --chunks 4 --save-base f16.base --json >f16.json 2>/dev/null
"$ADZE" imatrix "$model" --file "$text" --output m.gguf --chunks 2 --context 128 >/dev/null 2>&1
"$ADZE" quantize "$model" q8.gguf --type Q8_0 --imatrix m.gguf >/dev/null 2>&1
"$ADZE" quantize "$model" q4.gguf --type Q4_0 --imatrix m.gguf >/dev/null 2>&1
kld() { "$ADZE" perplexity "$1" --file "$text" --context 128 --chunks 4 --kl-divergence-base f16.base --json 2>/dev/null |
    awk '/"kld"/ { at = 1 } at && /"mean"/ { gsub(/[^-0-9.e+]/, "", $2); print $2; exit }'; }
low=$(kld q8.gguf) high=$(kld q4.gguf)
awk -v low="$low" -v high="$high" 'BEGIN { exit !(low > 0 && low < 0.02 && high > 2 * low && high < 2) }' ||
    fail "divergence of q8_0: $low, of q4_0: $high"

# A type for every tensor: inside the limit, and better than the mix of that size.
cat "$ADZE_SOURCE"/*.md "$ADZE_SOURCE"/docs/*.md >text.txt
"$ADZE" optimize "$model" --calibration text.txt --require 'size<=300KB' --judge-chunks 2 --probe-tokens 128 --output best >report.txt 2>/dev/null ||
    { cat report.txt; fail "optimize"; }
[ "$(stat -c %s best/best.gguf)" -le 300000 ] || fail "too large: $(stat -c %s best/best.gguf)"
[ -s best/report.html ] && [ -s best/best.recipe.json ] || fail "no report"
ls best | grep -E 'trial|base$' && fail "left behind in best/"

# An embedding for each line, whatever bytes it has.
printf 'a\0b\n\nc\r\nd' >lines.txt
[ "$("$ADZE" embed "$model" --file lines.txt | wc -l)" = 4 ] || fail "embed: lines"
[ "$("$ADZE" embed "$model" --file lines.txt | sed -n 3p)" = "$("$ADZE" embed "$model" --text c)" ] || fail "embed: \\r"

"$ADZE" bench "$model" --prompt 32 --generate 8 --repetitions 1 --json | grep -q '"generate_tokens_per_s"' || fail "bench"

# What goes wrong.
head -c 300000 "$model" >cut.gguf
printf 'caf\xe9 \xff\xfe \xc3(' >invalid.txt
expect_failure 3 cut.gguf "$ADZE" generate cut.gguf --prompt x
expect_failure 3 cut.gguf "$ADZE" quantize cut.gguf out.gguf --type Q8_0
expect_failure 4 'is a language model' "$ADZE" run "$model"
expect_failure 4 'is a language model' "$ADZE" graph folder
expect_failure 3 nowhere "$ADZE" inspect nowhere.gguf
expect_failure 2 size "$ADZE" optimize "$model" --calibration text.txt --require 'sise<=1KB' --output no
choose() { "$ADZE" optimize "$model" --calibration text.txt --judge-chunks 1 --probe-tokens 64 --output small "$@"; }
expect_failure 2 "expected size<=" choose --require 'size>=1KB'
expect_failure 2 "'q9': there are" choose --require 'size<=300KB' --type q9
expect_failure 2 "at least 0, found -1" choose --require 'size<=300KB' --judge-chunks -1
mkdir small
expect_failure 3 "invalid.txt: too short" choose --require 'size<=300KB' --test invalid.txt
expect_failure 3 "cannot be compared" choose --require 'size<=300KB' --compare "$ADZE_SOURCE/tests/golden/llm/llama"
choose --require 'size<=300KB' --require 'size<=270KB' >/dev/null 2>&1 && [ "$(stat -c %s small/best.gguf)" -le 270000 ] ||
    fail "the narrower of two limits"
rm -r small
mkdir small
expect_failure 5 smallest "$ADZE" optimize "$model" --calibration text.txt --require 'size<=20KB' --judge-chunks 1 --probe-tokens 64 --output small
[ ! -e small/best.gguf ] || fail "a model beyond the limit"
expect_failure 3 fewer "$ADZE" perplexity "$model" --file invalid.txt
"$ADZE" tokenize "$model" --file invalid.txt --ids >/dev/null || fail "text that is not UTF-8"
cp "$model" nan.gguf
printf '\377\377' | dd of=nan.gguf bs=1 seek=500000 conv=notrunc status=none
expect_failure 3 "nan.gguf: .* no numbers" "$ADZE" generate nan.gguf --prompt "Once upon a time"
expect_failure 3 "nan.gguf: .* no numbers" "$ADZE" perplexity nan.gguf --file text.txt --context 64 --json
expect_failure 3 "m.gguf: .*importance matrix" "$ADZE" quantize m.gguf out.gguf --type Q4_0
cp "$model" own.gguf
cp text.txt own.txt
cp m.gguf own.imatrix
mkdir own
cp "$model" own/best.gguf
expect_failure 2 "own.gguf: is a file of the model" "$ADZE" imatrix own.gguf --file text.txt --chunks 1 --output own.gguf
expect_failure 2 "own.txt: is read" "$ADZE" imatrix own.gguf --file own.txt --chunks 1 --output own.txt
expect_failure 2 "folder/config.json: is a file" "$ADZE" imatrix folder --file text.txt --chunks 1 --output folder/config.json
expect_failure 2 "own.gguf: is a file of the model" "$ADZE" perplexity own.gguf --file text.txt --chunks 1 --save-base own.gguf
expect_failure 2 "own.txt: is read" "$ADZE" perplexity own.gguf --file own.txt --chunks 1 --save-base own.txt
expect_failure 2 "base to compare" "$ADZE" perplexity "$model" --file "$text" --context 128 --chunks 4 --kl-divergence-base f16.base --save-base f16.base
expect_failure 2 "is the importance matrix" "$ADZE" quantize own.gguf own.imatrix --type Q4_0 --imatrix own.imatrix
expect_failure 2 "own/best.gguf: is a file" "$ADZE" optimize own/best.gguf --calibration text.txt --require 'size<=300KB' --judge-chunks 1 --probe-tokens 64 --output own
cmp "$model" own.gguf && cmp text.txt own.txt && cmp m.gguf own.imatrix && cmp "$model" own/best.gguf || fail "an input was written"
expect_failure 3 "no/m.gguf" "$ADZE" imatrix "$model" --file text.txt --output no/m.gguf
expect_failure 3 "invalid.txt: .* fewer" "$ADZE" imatrix "$model" --file invalid.txt --output out.gguf
expect_failure 3 "fewer .* --skip" "$ADZE" perplexity "$model" --file text.txt --skip 9223372036854775807
expect_failure 2 "at least 0" "$ADZE" generate "$model" --tokens -1
expect_failure 2 "found 'nan'" "$ADZE" generate "$model" --temperature nan
expect_failure 5 "the prompt has .* --context" "$ADZE" generate "$model" --prompt "Once upon a time" --context 4
expect_failure 5 "the text has 9 tokens.* --context" "$ADZE" generate "$model" --prompt "Once upon a time" --context 8
other=$ADZE_SOURCE/tests/golden/tokenizers/spm.json
expect_failure 3 "of another model" "$ADZE" generate "$model" --prompt x --tokenizer "$other"
code=0
"$ADZE" tokenize "$model" --file "$text" --ids >/dev/full 2>err || code=$?
[ $code = 5 ] && grep -q "standard output" err || fail "a full disk behind standard output: $code"
expect_failure 2 requantize "$ADZE" quantize q4.gguf out.gguf --type Q8_0
