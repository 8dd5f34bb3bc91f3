#!/bin/bash
# Only src/base/compat.h tests the version of PostgreSQL.
! grep -rnE 'PG_VERSION_NUM|PG_MAJORVERSION' src --include='*.[ch]' |
  grep -v '^src/base/compat\.h:'
