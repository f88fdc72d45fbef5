#!/usr/bin/env bash
# Builds the documentation site into site/: generated pages, and tutorials whose commands are run. A warning is an error.
#
#   pip install -e '.[docs]' && scripts/build_docs.sh
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf build/tutorials site
mkdir -p build/tutorials
export NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true COLUMNS=100 CUDA_VISIBLE_DEVICES=
"${PYTHON:-python}" -m mkdocs build --strict --quiet
"${PYTHON:-python}" scripts/check_links.py site
echo "site/index.html"
