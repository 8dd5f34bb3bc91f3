#!/bin/bash
# No pattern in .gitignore ends in a slash: such a pattern does not match links to folders.
! grep -n '/$' .gitignore
