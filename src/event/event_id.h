/*
 * event_id.h
 *		Event ids made by the store.
 */
#ifndef PGES_EVENT_ID_H
#define PGES_EVENT_ID_H

#include "postgres.h"

extern text *pges_make_event_id(void);

#endif							/* PGES_EVENT_ID_H */
