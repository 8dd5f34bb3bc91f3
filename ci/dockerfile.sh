#!/bin/bash
# The Dockerfile is valid for npm's dockerfile-utils.
linter=.cache/node/node_modules/.bin/dockerfile-utils
[ -x "$linter" ] || { echo "dockerfile-utils is not installed"; exit 77; }
"$linter" lint Dockerfile
