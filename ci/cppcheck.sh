#!/bin/bash
# cppcheck reports no error, warning or portability problem. It reads the server's
# headers, which define the macros and show that ereport(ERROR) does not return.
command -v cppcheck >/dev/null || { echo "no cppcheck"; exit 77; }
server=$("$PG_CONFIG" --includedir-server)
cppcheck --quiet --error-exitcode=1 --inline-suppr --max-configs=1 -j "$(nproc)" \
  --enable=warning,portability --suppress="*:$server/*" -I "$server" -I src -I src/bin/common src
