# Sourced by gpu_check.sh and gpu_train.sh: finds Python and the packages that are lacking.
#
# PyTorch, torchvision and timm must be installed. What else is lacking is taken from wheels/ beside this checkout, for
# machines without internet. Fill that folder where there is internet, for the Python of the machine with the card:
#
#   python -m pip download --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \
#       --dest wheels pydantic platformdirs
#
# Nothing is installed into the system: the wheels go to a temporary folder, and only those that are lacking.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda}
TINY=${TINY:-0}

add_wheels() {
    local site missing
    site=$(mktemp -d)
    missing=$("$PYTHON" - "$root/wheels" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for wheel in sorted(Path(sys.argv[1]).glob("*.whl")):
    try:
        version(wheel.name.split("-")[0])
    except PackageNotFoundError:
        print(wheel)
PYTHON
    )
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 -- one word per wheel
        "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" $missing
    fi
    export PYTHONPATH="$root:$site${PYTHONPATH:+:$PYTHONPATH}"
}

check_packages() {
    "$PYTHON" - <<'PYTHON'
import sys
from importlib.util import find_spec

names = "torch torchvision timm numpy scipy sklearn numba cv2 PIL pyarrow safetensors pydantic yaml typer rich " \
    "matplotlib jinja2 platformdirs filelock"
lacking = [name for name in names.split() if find_spec(name) is None]
if lacking:
    sys.exit(f"Lacking packages: {', '.join(lacking)}. Put their wheels into wheels/; see scripts/gpu_setup.sh.")
PYTHON
}

add_wheels
check_packages
