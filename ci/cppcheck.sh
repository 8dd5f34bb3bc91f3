#!/bin/bash
# cppcheck reports no error, warning or portability problem. It reads ci/cppcheck.h in
# place of the server's headers, which would take it minutes.
command -v cppcheck >/dev/null || { echo "no cppcheck"; exit 77; }
cppcheck --quiet --error-exitcode=1 --inline-suppr --max-configs=1 -j "$(nproc)" \
  --enable=warning,portability --suppress=legacyUninitvar --include=ci/cppcheck.h \
  -I src -I src/bin/common src
