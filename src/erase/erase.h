/*
 * erase.h
 *		Erases personal data from events.
 */
#ifndef PGES_ERASE_H
#define PGES_ERASE_H

#include "postgres.h"

#include "utils/jsonb.h"

extern bool pges_is_tombstone(Jsonb *json);

#endif							/* PGES_ERASE_H */
