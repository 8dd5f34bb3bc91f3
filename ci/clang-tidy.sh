#!/bin/bash
# clang-tidy reports nothing. Checks that PostgreSQL's own style fails are disabled: those
# of macros, reserved names, unchecked (void) calls, signed bit masks, adjacent parameters
# of one type. An Assert excludes an impossible path.
command -v clang-tidy >/dev/null || { echo "no clang-tidy"; exit 77; }
checks='-*,bugprone-*,clang-analyzer-*,cert-*'
for check in bugprone-assignment-in-if-condition bugprone-branch-clone \
  bugprone-easily-swappable-parameters bugprone-macro-parentheses \
  bugprone-narrowing-conversions bugprone-reserved-identifier \
  bugprone-implicit-widening-of-multiplication-result \
  cert-dcl37-c cert-dcl51-cpp cert-err33-c cert-int09-c \
  clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling; do
  checks+=,-$check
done
# shellcheck disable=SC2086 # the flags are words
find src -name '*.c' -print0 | xargs -0r -n1 -P"$(nproc)" sh -c '
  clang-tidy --quiet --checks="$0" --warnings-as-errors="*" "$2" -- $1 -DUSE_ASSERT_CHECKING -w 2>&1' \
  "$checks" "$PG_CPPFLAGS" | grep -E ': (error|warning): '
exit "${PIPESTATUS[1]}"
