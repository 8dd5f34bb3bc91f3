/*
 * store.h
 *		What a store is: the description of its table.
 */
#ifndef PGES_STORE_H
#define PGES_STORE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "base/identity.h"

/* The columns of a store, in the order of type eventstore.event. */
typedef enum PgesColumn
{
	PGES_POSITION,
	PGES_EVENT_ID,
	PGES_EVENT_TYPE,
	PGES_OCCURRED_AT,
	PGES_CORRELATION_ID,
	PGES_CAUSATION_ID,
	PGES_AGGREGATE_ID,
	PGES_AGGREGATE_TYPE,
	PGES_AGGREGATE_VERSION,
	PGES_DATA,
	PGES_METADATA,
	PGES_NUM_COLUMNS
} PgesColumn;

/* The same, as the text of a statement. */
#define PGES_COLUMNS \
	"position, event_id, event_type, occurred_at, correlation_id, " \
	"causation_id, aggregate_id, aggregate_type, aggregate_version, " \
	"data, metadata"

typedef enum PgesNotifications
{
	PGES_NOTIFY_OFF,
	PGES_NOTIFY_COMMIT,
	PGES_NOTIFY_WORKER
} PgesNotifications;

/*
 * The archive of a store: the table to which archive.c moves events.
 */
typedef struct PgesArchive
{
	Oid			relid;			/* InvalidOid: the store has none */
	Oid			owner;
	char	   *schema;
	char	   *table;
	char	   *qualified_name; /* quoted where needed */
	Oid			version_index_oid;
	AttrNumber	attnums[PGES_NUM_COLUMNS];
	bool		complete;		/* has all its unique indexes */
	bool		plain;			/* see insert_direct.c */
} PgesArchive;

/* The relations besides its table that a description of a store tells of. */
typedef enum PgesPart
{
	PGES_PART_ARCHIVE,
	PGES_PART_ID_INDEX,
	PGES_PART_VERSION_INDEX,
	PGES_PART_POSITION_INDEX,
	PGES_PART_ARCHIVE_INDEX,	/* on the versions */
	PGES_NUM_PARTS
} PgesPart;

/*
 * The description of a store.  A caller may use it until its transaction
 * ends, even when the table changes meanwhile.
 */
typedef struct PgesStore
{
	Oid			relid;
	Oid			owner;
	char	   *schema;
	char	   *table;
	char	   *qualified_name; /* quoted where needed */
	Oid			sequence;		/* of the positions */
	char	   *event_id_index; /* names of the unique indexes */
	char	   *version_index;
	char	   *position_index;
	Oid			version_index_oid;
	char	   *trigger;		/* name of the trigger that makes it a store */
	PgesNotifications notifications;
	char	   *channel;
	AttrNumber	attnums[PGES_NUM_COLUMNS];
	int			max_chars[PGES_NUM_COLUMNS];	/* 0: no limit */
	PgesArchive archive;
	Oid			parts[PGES_NUM_PARTS];	/* InvalidOid for none */
	bool		plain;			/* see insert_direct.c */
	bool		only_own_check; /* see own_check.c */
} PgesStore;

/* A store's options, as far as they can be read also when its shape is lost. */
typedef struct PgesStoreOptions
{
	char	   *trigger;
	char	   *notifications;
	char	   *channel;
	Oid			sequence;		/* InvalidOid when not known */
} PgesStoreOptions;

extern void pges_store_init(void);
extern const PgesStore *pges_store(Oid relid);
extern const PgesStore *pges_known_store(Oid relid);
extern const PgesStore *pges_store_argument(FunctionCallInfo fcinfo, int arg,
											LOCKMODE mode, AclMode privileges);
extern Oid	pges_owner_of(Oid relid);
extern void pges_check_may_use(Oid relid, AclMode privileges);
extern bool pges_act_as_owner(PgesIdentity *saved, const PgesStore *store);
extern const PgesStore *pges_hold_archive(Oid relid);
extern void pges_require_archive(const PgesStore *store);
extern Relation pges_open_table(Oid relid);
extern bool pges_may_insert(Oid relid);
extern void pges_parse_store_name(const char *name, char **schema,
								  char **table);
extern Oid	pges_table_of_sequence(Oid sequence);
extern const PgesStore *pges_store_of_sequence(Oid relid, Oid sequence);

/* in describe.c */
extern PgesStore *pges_describe_store(Relation rel);
extern bool pges_is_store(Relation rel);
extern Oid	pges_function_oid(const char *name, int nargs, Oid *argtypes);
extern Oid	pges_append_trigger_function(void);
extern Oid	pges_sequence_of_default(Node *expr);
extern bool pges_read_options(Relation rel, PgesStoreOptions *options);
extern Oid	pges_position_index(Relation rel);
extern bool pges_is_immutable(Relation rel);
extern void pges_check_columns(Relation rel);
extern void pges_check_archive(Relation rel);

/* in store_options.c */
extern bool pges_find_options(Oid relid, PgesStoreOptions *options);

/* in describe.c */
extern PgesNotifications pges_mode_of_name(const char *name);
extern PgesNotifications pges_parse_notifications(const char *mode);
extern const char *pges_notifications_name(PgesNotifications notifications);
extern const char *pges_column_name(PgesColumn column);
extern const char *pges_column_comment(PgesColumn column);

#endif							/* PGES_STORE_H */
