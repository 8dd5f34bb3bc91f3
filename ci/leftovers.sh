#!/bin/bash
# No notes of work that is yet to be done.
! ci/files | xargs -0r grep -nIwE 'T[O]DO|F[I]XME|X[X]X|H[A]CK'
