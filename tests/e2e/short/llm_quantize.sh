# Quantizing a language model: killed, stopped, on a full disk, from a cut-off or damaged file.
set -euo pipefail
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); }
wrong() { failed=$((failed + 1)); echo "FAILED $*"; }

# ---- a model of random float16 (base64 text, read as such, is always finite), 4 layers ----
u32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
u64() { u32 $(($1 & 0xffffffff)); u32 $(($1 >> 32)); }
text() { u64 ${#1}; printf %s "$1"; }
width=1024 rows=2048 layers=8
{
    printf GGUF; u32 3; u64 $layers; u64 2
    text general.architecture; u32 8; text llama
    text llama.block_count; u32 4; u32 $layers
    for ((i = 0; i < layers; i++)); do
        text blk.$i.ffn_up.weight; u32 2; u64 $width; u64 $rows; u32 1; u64 $((i * width * rows * 2))
    done
} >header
size=$(stat -c %s header)
start=$(((size + 31) / 32 * 32))
{
    cat header
    head -c $((start - size)) /dev/zero
    head -c $((layers * width * rows * 2)) < <(base64 -w0 </dev/urandom 2>/dev/null || true)
} >in.gguf

export ADZE_CPU=ref # slow enough to be caught at work
ram=${ADZE_TEST_RAM:-40M} # sanitizers take some for themselves
# the same command as in interrupted, where it must be the shell's own child
quantize() { "$ADZE" quantize in.gguf "$1" --type Q5_1 --threads 1 --max-ram "$ram"; }
lines() { { wc -l <"$1.part.journal" || echo 0; } 2>/dev/null; }
begin=$(date +%s%N)
quantize whole.gguf >out 2>err || { cat err; exit 1; }
took=$((($(date +%s%N) - begin) / 1000000))

# interrupted <signal> <output>: a run that was caught at work, at half of its time or earlier
interrupted() {
    local tries child
    for tries in 2 3 4 6 8 12; do
        rm -f "$2" "$2.part" "$2.part.journal"
        "$ADZE" quantize in.gguf "$2" --type Q5_1 --threads 1 --max-ram "$ram" >out 2>err &
        child=$!
        sleep "$(awk "BEGIN { print $took / 1000 / $tries }")"
        kill "-$1" $child 2>/dev/null || true
        code=0
        wait $child 2>/dev/null || code=$?
        if [ ! -e "$2" ] && [ "$(lines "$2")" -gt 1 ]; then return 0; fi
    done
    return 1
}

# goes_on <what> <output>: the same command ends it, not from the beginning, with the same bytes
goes_on() {
    if ! quantize "$2" >out 2>err; then wrong "$1: going on: $(tail -1 err)"
    elif ! grep -q 'was there already' out; then wrong "$1: began anew: $(cat out)"
    elif ! cmp -s "$2" whole.gguf; then wrong "$1: other bytes"
    elif [ -e "$2.part" ] || [ -e "$2.part.journal" ]; then wrong "$1: something is left"
    else ok; fi
}

if interrupted KILL killed.gguf; then goes_on "kill -9" killed.gguf
else skipped=$((skipped + 1)); echo "SKIPPED kill -9"; echo "    it was never caught at work"; fi
if interrupted INT stopped.gguf; then
    if [ $code = 5 ] && grep -q 'stopped.gguf.part keeps what is done' err; then ok
    else wrong "Ctrl-C: exit code $code: $(tail -1 err)"; fi
    goes_on "Ctrl-C" stopped.gguf
else skipped=$((skipped + 1)); echo "SKIPPED Ctrl-C"; echo "    it was never caught at work"; fi

# ---- refused <what> <exit code> <words> <command...>: one clear line, nothing left ----
refused() {
    local what=$1 expected=$2 words=$3 code=0
    shift 3
    "$@" >out 2>err </dev/null || code=$?
    if [ $code != "$expected" ]; then wrong "$what: exit code $code: $(head -c 300 err)"
    elif [ "$(grep -c '^adze: ' err)" != 1 ] || ! grep -qE "$words" err; then wrong "$what: $(head -c 300 err)"
    elif ls ./*refused* >/dev/null 2>&1; then wrong "$what: something is left"
    else ok; fi
}
to="refused.gguf --type Q8_0"
head -c $((start + 5000)) in.gguf >cut.gguf
# shellcheck disable=SC2086
{
    refused "a download cut off" 3 cut.gguf "$ADZE" quantize cut.gguf $to
    refused "no such file" 3 nowhere.gguf "$ADZE" quantize nowhere.gguf $to
    refused "too little memory" 5 'at least .* of memory are needed' "$ADZE" quantize in.gguf $to --max-ram 1M
    refused "quantized already" 2 'quantized already' "$ADZE" quantize whole.gguf $to
    cp in.gguf nan.gguf
    printf '\377\377' | dd of=nan.gguf bs=1 seek=$((start + 3 * width * rows * 2 + (77 * width + 5) * 2)) conv=notrunc status=none
    refused "not a number" 3 'nan.gguf: tensor blk.3.ffn_up.weight, row 77, column 5' "$ADZE" quantize nan.gguf $to
}

refused "a limit on files" 5 'too large' bash -c 'ulimit -f 100; exec "$@"' - "$ADZE" quantize in.gguf refused.gguf --type Q5_1

planned=$("$ADZE" quantize in.gguf --type Q5_1 --dry-run --json | sed -n 's/^  "bytes": \([0-9]*\).*/\1/p')
if [ "$planned" = "$(stat -c %s whole.gguf)" ]; then ok; else wrong "--dry-run: said $planned bytes"; fi

# ---- a full disk ----
mkdir -p small
if mount -t tmpfs -o size=20m tmpfs small 2>/dev/null; then
    trap 'umount small' EXIT
    head -c 15M /dev/zero >small/filler
    refused "a disk too full" 5 'disk is too full: .* are needed' "$ADZE" quantize in.gguf small/refused.gguf --type Q5_1
    if [ -e small/refused.gguf.part ]; then wrong "a disk too full: something is left"; fi
    rm small/filler
    if interrupted INT small/out.gguf; then
        head -c 100M /dev/zero >small/filler 2>/dev/null || true
        code=0
        quantize small/out.gguf >out 2>err || code=$?
        if [ $code = 5 ] && grep -q 'disk is' err; then ok; else wrong "a disk filled up: exit code $code: $(tail -1 err)"; fi
        rm small/filler
        goes_on "a disk filled up" small/out.gguf
    fi
else
    skipped=$((skipped + 1))
    echo "SKIPPED a full disk"
    echo "    mounting a small tmpfs needs root"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
