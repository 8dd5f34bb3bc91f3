/*
 * pg_eventstore.c
 *		Loads the module.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/guc.h"
#include "notify/notify.h"
#include "position/position.h"
#include "projector/projector.h"
#include "store/store.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Define the settings, and register the callbacks of the rooms, and the launcher.  With
 * shared_preload_libraries, this runs in the postmaster, which has no catalogs.
 */
void
_PG_init(void)
{
	pges_guc_init();
	pges_store_init();
	pges_position_init();
	pges_notify_init();
	pges_projector_init();
	pges_launcher_init();
}
