#!/bin/bash
# What git ignores may be a link, too: a pattern that ends in a slash ignores folders only.
! grep -n '/$' .gitignore
