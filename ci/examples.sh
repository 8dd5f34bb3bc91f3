#!/bin/bash
# The programs in examples/ can be parsed. The gate shellcheck checks the shell scripts.
set -euo pipefail
for program in python3 node; do
  command -v "$program" >/dev/null || { echo "no $program"; exit 77; }
done
for file in examples/python/*.py; do
  python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file"
done
for file in examples/javascript/*.js; do node --check "$file"; done
