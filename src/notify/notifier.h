/*
 * notifier.h
 *		The notifier: a background worker that announces events, for this room alone.
 */
#ifndef PGES_NOTIFIER_H
#define PGES_NOTIFIER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/hsearch.h"

#include "notify/notify.h"
#include "worker/worker.h"

/* A store that the notifier announces. */
typedef struct PgesAnnouncedStore
{
	Oid			relid;			/* hash key */
	bool		listed;			/* found by the last read of the catalog */
	bool		differs;		/* may have changed since the last read */
	Oid			sequence;
	char		name[2 * (2 * NAMEDATALEN + 2)];	/* quoted */
	char		channel[NAMEDATALEN];
	bool		permanent;		/* and so has a watermark */
	TimestampTz paused_until;	/* after an error */
	int			failures;		/* in a row */
	TimestampTz recorded_at;
	int64		last;			/* last position assigned at the last look;
								 * before, the mark announced last */
	int64		announced;		/* the mark that was announced last */
	int64		announcing;		/* announced, once the transaction commits */
	int64		recorded;		/* the mark that the watermark has as
								 * announced */
	int64		recording;		/* recorded, once the transaction commits */
	bool		owed;			/* the last look left something to do */
} PgesAnnouncedStore;

PGDLLEXPORT void pges_notifier_main(Datum database);
PGDLLEXPORT void pges_launcher_main(Datum arg);

/* in notify.c */
extern PgesWorker pges_notifier;

/* in announcer.c */
extern bool pges_is_anything_owed(void);
extern void pges_announce_all(PgesWorkLeft *left);

/* in announced_stores.c */
extern HTAB *pges_announced_stores; /* by relid */

extern void pges_announced_stores_init(void);
extern bool pges_refresh_announced_stores(void);
extern void pges_list_stores_anew(void);
extern bool pges_is_sequence_of(Oid sequence, Oid relid);

#endif							/* PGES_NOTIFIER_H */
