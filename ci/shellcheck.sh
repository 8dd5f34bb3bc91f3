#!/bin/bash
# The shell scripts pass shellcheck, without two checks of style.
command -v shellcheck >/dev/null || { echo "no shellcheck"; exit 77; }
ci/files | xargs -0r grep -lZE '^#!/bin/(ba)?sh' | xargs -0r shellcheck -x -P SCRIPTDIR -e SC2016,SC2001
