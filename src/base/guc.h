/*
 * guc.h
 *		The settings of pg_eventstore.
 */
#ifndef PGES_GUC_H
#define PGES_GUC_H

#include "postgres.h"

extern char *pges_store_setting;
extern int	pges_max_aggregate_locks;
extern int	pges_notifier_tick;
extern bool pges_direct_append;
extern bool pges_durable_reads;
extern bool pges_test_database;
extern int	pges_projection_workers;
extern int	pges_projection_timeout;

#define PGES_MAX_PROJECTION_WORKERS 16

extern void pges_guc_init(void);

#endif							/* PGES_GUC_H */
