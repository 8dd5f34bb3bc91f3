/*
 * store.h
 *		Door of the room "store": the descriptions of stores and their archives, and
 *		the privileges on them.
 *
 * All later rooms except worker use this room.  The protocols are in store.c (finding and
 * caching), archive_link.c (archives) and store_argument.c (privileges before locks).
 */
#ifndef PGES_STORE_H
#define PGES_STORE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "base/act_as.h"
#include "event/event.h"

typedef enum PgesNotifications
{
	PGES_NOTIFY_OFF,
	PGES_NOTIFY_COMMIT,
	PGES_NOTIFY_WORKER
} PgesNotifications;

/* The unique indexes of a table of events. */
typedef enum PgesKey
{
	PGES_KEY_ID,
	PGES_KEY_VERSION,			/* on aggregate and version */
	PGES_KEY_POSITION,
	PGES_NUM_KEYS
} PgesKey;

/* A table of events: that of a store, or the archive to which archive.c moves events. */
typedef struct PgesTable
{
	Oid			relid;			/* InvalidOid: the store has no archive */
	Oid			owner;
	char	   *schema;
	char	   *table;
	char	   *qualified_name; /* quoted where needed */
	Oid			indexes[PGES_NUM_KEYS]; /* InvalidOid: missing in an archive */
	AttrNumber	attnums[PGES_NUM_COLUMNS];
	int			max_chars[PGES_NUM_COLUMNS];	/* 0: no limit */
	bool		plain;			/* see insert_direct.c */
} PgesTable;

#define PGES_MAX_STORE_SLOTS 1024

/* Which slot of a sliced store a store is; see slot/slot.c. */
typedef struct PgesSlot
{
	int			number;
	int			count;			/* 0: this store is no slot */
	bool		arriving;		/* a move copies the slot to this server */
} PgesSlot;

/*
 * The description of a store.  A caller may use the description until the transaction
 * ends, even if the table changes meanwhile.
 */
typedef struct PgesStore
{
	PgesTable	live;
	PgesTable	archive;
	bool		archive_complete;	/* pges_check_archive() passes */
	bool		wants_archive;	/* unusable without its archive, see
								 * archive_link.c */
	Oid			sequence;		/* of the positions */
	char	   *index_names[PGES_NUM_KEYS];
	char	   *trigger;		/* name of the after_append() trigger */
	PgesNotifications notifications;
	char	   *channel;
	PgesSlot	slot;
	bool		only_own_check; /* see plain.c */
	bool		has_trigger_before; /* one of the owner, before each new row */
} PgesStore;

/* The options of a store that can be read even if the table has lost its shape. */
typedef struct PgesStoreOptions
{
	char	   *notifications;
	char	   *channel;
	Oid			sequence;		/* InvalidOid: not known */
	PgesSlot	slot;
} PgesStoreOptions;

extern void pges_store_init(void);
extern const PgesStore *pges_store(Oid relid);
extern const PgesStore *pges_known_store(Oid relid);
extern void pges_require_link(const PgesStore *store);
extern const PgesStore *pges_lock_any_archive(Oid relid);
extern const PgesStore *pges_store_with_archive_locked(Oid relid);
extern void pges_lock_move(Oid relid);
extern void pges_check_not_moving(Oid relid);
extern const PgesStore *pges_lock_archiving(Oid relid);
extern void pges_lock_restore(const PgesStore *store, bool to_archive);
extern const PgesStore *pges_open_for_change(Oid relid);
extern void pges_require_archive(const PgesStore *store);
extern void pges_parse_store_name(const char *name, char **schema,
								  char **table);
extern Oid	pges_table_of_sequence(Oid sequence);
extern const PgesStore *pges_store_of_sequence(Oid relid, Oid sequence);

/* in describe.c */
extern Relation pges_open_table(Oid relid);
extern void pges_parse_slot(const char *argument, PgesSlot *slot);
extern char *pges_slot_argument(const PgesSlot *slot);
extern PgesStore *pges_describe_store(Relation rel);
extern bool pges_is_store(Relation rel);
extern void pges_report_no_store(Oid relid);
extern Oid	pges_append_trigger_function(void);
extern Oid	pges_sequence_of_default(Node *expr);
extern Oid	pges_position_index(Relation rel);
extern bool pges_is_protected(Relation rel);
extern bool pges_has_columns(Relation rel);
extern void pges_check_columns(Relation rel);
extern void pges_check_archive(Relation rel);
extern PgesNotifications pges_mode_of_name(const char *name);
extern PgesNotifications pges_parse_notifications(const char *mode);
extern const char *pges_notifications_name(PgesNotifications notifications);

/* in table_kind.c */
extern void pges_check_kind(Relation rel);

/* in plain.c */
extern Oid	pges_index_collation(Oid indexid);
extern bool pges_is_known_to_pass(const PgesStore *store, const TupleTableSlot *slot);

/* in store_argument.c */
extern const PgesStore *pges_store_argument(FunctionCallInfo fcinfo, int arg,
											LOCKMODE mode, AclMode privileges);
extern const PgesStore *pges_lock_store(Oid relid, LOCKMODE mode, AclMode privileges);
extern const PgesStore *pges_store_of_user(Oid relid);
extern const PgesStore *pges_lock_owned_store(Oid relid, LOCKMODE mode);
extern const PgesStore *pges_readable_store_argument(FunctionCallInfo fcinfo, int arg);

/* in privilege.c */
extern Oid	pges_owner_of(Oid relid);
extern void pges_check_may_use(Oid relid, AclMode privileges);
extern bool pges_may_insert(Oid relid);
extern bool pges_may_erase(const PgesTable *table);
extern bool pges_act_as_owner(PgesIdentity *saved, const PgesStore *store);
extern void pges_check_archive_privilege(const PgesStore *store, AclMode privilege);
extern void pges_check_archive_owner(const PgesStore *store);

/* in store_options.c */
extern char *pges_find_trigger_arguments(Oid relid, Oid function, int16 type, char *arguments[], int count);
extern bool pges_find_options(Oid relid, PgesStoreOptions *options);
extern void pges_create_append_trigger(const char *trigger, const char *table,
									   PgesNotifications notifications,
									   const char *channel, bool wants_archive,
									   const PgesSlot *slot);

/* in archive_link.c */
extern Oid	pges_find_archive(Oid store, bool *is_new);
extern Oid	pges_store_of_archive(Relation rel);
extern void pges_create_link(const char *archive, const char *store);

#endif							/* PGES_STORE_H */
