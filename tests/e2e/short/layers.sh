# tools/check-layers names each kind of stray include.
set -euo pipefail
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
mkdir -p tree/tools tree/cli
cp -r "$ADZE_SOURCE/src" "$ADZE_SOURCE/include" tree/
cp "$ADZE_SOURCE/tools/LAYERS" "$ADZE_SOURCE/tools/check-layers" tree/tools/

# stray <file> <include> <what is said>
stray() {
    echo "#include $2" >"tree/$1"
    tree/tools/check-layers >out && { echo "accepted: $1 with $2"; exit 1; }
    grep -F "$1:1: " out | grep -qF -- "$3" || { cat out; echo "not said: $3"; exit 1; }
    rm "tree/$1"
}
touch tree/src/base/stray_impl.h
stray src/base/stray.c '"tensor/dtype.h"' "base may not use tensor"
stray src/tensor/stray.c '"base/stray_impl.h"' "never leave their folder"
stray src/base/stray.h '<adze/tensor.h>' "base may not use tensor"
stray include/adze/tensor2.h '"adze/adze.h"' 'no module "tensor2"'
stray src/base/stray.c '"nowhere.h"' "no such header"
stray cli/stray.c '"base/text.h"' "installed headers"
stray src/tensor/text.h '<stdio.h>' "file names are unique"
