# report.html in a headless browser, 1280 and 400 pixels wide, light and dark: no message on the console, nothing
# wider than the window, pictures to look at in $ADZE_BUILD/report-pictures.
set -euo pipefail
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    { echo "no chromium to open the report with"; exit 77; }
models=$ADZE_SOURCE/models/fashion-mnist
report=$ADZE_BUILD/demo/report.html
if [ ! -e "$report" ]; then
    "$ADZE" optimize "$models/fashion-mnist.onnx" --calibration "$models/calib-images-idx3-ubyte.gz" \
        --data "$models/t10k-images-idx3-ubyte.gz" --preprocess "$models/preprocess.json" \
        --require "top1>=original-0.5%" --budget 30s --output optimized >/dev/null 2>&1
    report=$PWD/optimized/report.html
fi
# The copy says on the console how wide it has become, which proves that the console is heard.
sed 's|</body>|<script>function say(){console.log("width", document.documentElement.scrollWidth, innerWidth)}say();onresize=say</script></body>|' \
    "$report" >probe.html
pictures=$ADZE_BUILD/report-pictures
mkdir -p "$pictures"
browse() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --enable-logging=stderr \
        --user-data-dir="$PWD/profile" "$@" >console.txt 2>&1
}
for width in 1280 400; do
    for scheme in light dark; do
        dark=$([ $scheme = dark ] && echo 0 || echo 1)
        browse --window-size=$width,2000 --blink-settings=preferredColorScheme="$dark" \
            --screenshot="$pictures/$scheme-$width.png" "file://$report"
        if grep CONSOLE console.txt; then echo "$scheme, $width pixels: the report speaks on the console"; exit 1; fi
        [ -s "$pictures/$scheme-$width.png" ] || { cat console.txt; echo "no picture"; exit 1; }
        browse --window-size=$width,2000 --blink-settings=preferredColorScheme="$dark" --screenshot=probe.png \
            "file://$PWD/probe.html"
        read -r page window < <(sed -nE 's/.*CONSOLE.*"width ([0-9]+) ([0-9]+)".*/\1 \2/p' console.txt | tail -n 1)
        [ "$page" -le "$window" ] || { echo "$scheme: $page pixels of page in a window of $window"; exit 1; }
        echo "$scheme, $width: page $page of $window pixels"
    done
done
cmp -s "$pictures/light-1280.png" "$pictures/dark-1280.png" && { echo "dark looks like light"; exit 1; }
echo "look at $pictures"
