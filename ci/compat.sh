#!/bin/bash
# Only src/compat.h tests the version of PostgreSQL.
! grep -rnE 'PG_VERSION_NUM|PG_MAJORVERSION' src --include='*.[ch]' |
  grep -v '^src/compat\.h:'
