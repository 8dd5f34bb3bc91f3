/*
 * cluster.h
 *		The files of the program chaos_cluster, and their shared declarations.
 *
 * The files are listed by layer.  A file calls only files before it in this list, and
 * shared.c, client.c and processes.c of the other program, see ../chaos.h.
 *
 *		route.c				the slot of an aggregate; connections to the node of a slot
 *		event_log.c			the events that a process has seen, or appended
 *		cluster_writer.c	writers, through a front or routed by themselves
 *		cluster_readers.c	readers with cursors, followers of slots, the naive reader
 *		cluster_consumer.c	consumers of a subscription, through a front
 *		moves.c				moves slots, kills the program, crashes nodes, ends connections
 *		rename_control.c	a move that renames the slot, and one that drops it
 *		check_cluster.c		compares what everybody has seen with the tables
 *		chaos_cluster.c		main(): starts a process for each role, then checks
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "chaos.h"

#define STORE "shop.orders"
#define SUBSCRIPTION "work"
#define FRONTS "fronts"			/* the server of the fronts, for the commands */
#define MAX_NODES 8
#define MAX_FRONTS 4
#define MAX_CLUSTER_SLOTS 64
#define MOVERS 2
#define MAX_EVENTS_OF_CALL 4

/* Aggregates are named a0, a1 ...: some are of all writers, some of one. */
#define COMMON_AGGREGATES 48
#define WRITER_AGGREGATES 16
#define CLUSTER_AGGREGATES (COMMON_AGGREGATES + MAX_WRITERS * WRITER_AGGREGATES)

/* An event of a table, or that a process has seen. */
typedef struct SlotEvent
{
	int32_t		slot;
	int32_t		aggregate;
	int32_t		version;
	int64_t		position;
	int64_t		asked;			/* ticks: before the poll that returned it, */
	int64_t		handled;		/* when it was processed, */
	int64_t		acked;			/* and when its ack() had succeeded; 0: never */
} SlotEvent;

/* The events of a call to append, and their fate. */
typedef struct CallFate
{
	int32_t		writer;
	int32_t		count;
	int64_t		first;
	Fate		fate;
} CallFate;

/* A move that runs, or has to be called again. */
typedef struct RunningMove
{
	atomic_int	slot;			/* -1: none */
	atomic_int	from;
	atomic_int	to;
} RunningMove;

/* The memory of all processes that is not in Shared. */
typedef struct ClusterShared
{
	atomic_long ticks;
	atomic_long first_id_free[MAX_WRITERS];
	RunningMove running[MOVERS];
	atomic_long moves;
	atomic_long killed_moves;
	atomic_long failed_moves;
	atomic_long broken_programs;	/* that crashed or did not end */
	atomic_long crashes;
	atomic_long crashes_in_moves;	/* of the source or the target */
	atomic_long routed;			/* calls that did not go through a front */
	atomic_long repeated;		/* calls whose first answer was lost */
	atomic_long moved;			/* calls that met a slot that had moved */
	atomic_long deliveries;
	atomic_long late_acks;		/* refused, after the lease */
	atomic_bool done[MAX_SUBSCRIBERS];
} ClusterShared;

/* The servers, and what was given on the command line. */
typedef struct ClusterOptions
{
	int			seconds;
	int			writers;
	int			slots;
	int			nnodes;
	const char *nodes[MAX_NODES];	/* names */
	const char *conninfos[MAX_NODES];
	int			nfronts;
	const char *fronts[MAX_FRONTS];
	const char *program;		/* pg_eventstore_cluster */
	const char *stop_command;
	const char *start_command;
} ClusterOptions;

extern ClusterOptions cluster_options;
extern ClusterShared *cluster;

/* A client that routes its calls by itself. */
typedef struct Router
{
	Client		nodes[MAX_NODES];
	Client		front;			/* of which it reads the map */
	int			node_of[MAX_CLUSTER_SLOTS];
	bool		has_map;
} Router;

/* route.c */
extern int	slot_of_aggregate(int aggregate);
extern void name_client(Client *client, const char *conninfo, const char *role, int number);
extern void name_router(Router *router, const char *role, int number);
extern Client *route(Router *router, int slot);
extern void route_failed(Router *router, const Client *client);
extern void close_router(Router *router);

/* event_log.c */
typedef enum SeerKind
{
	CURSOR,						/* read_events_all() through a front */
	FOLLOWER,					/* read_events() of each slot on its node */
	NAIVE_FOLLOWER				/* plain SQL after the last position, there */
} SeerKind;

typedef struct Seer
{
	const char *name;
	SeerKind	kind;
	int			page;
	FILE	   *log;			/* of SlotEvent */
} Seer;

extern Seer seers[];
extern const int nseers;
extern int	aggregate_number(const char *name);
extern int64_t cluster_tick(void);
extern void log_event(FILE *log, const SlotEvent *event);

/* cluster_writer.c, cluster_readers.c, cluster_consumer.c */
extern void cluster_writer_main(int number, FILE *log);
extern void seer_main(int number);
extern void cluster_consumer_main(int number, FILE *log);

/* moves.c */
extern void mover_main(int number);
extern void crasher_main(void);
extern void connection_killer_main(void);
extern int	run_program(const char *const *arguments, int kill_after_ms);

/* rename_control.c */
extern long lost_by_rename(bool drop);

/* check_cluster.c */
extern bool check_cluster(FILE *const *fates, int nfates, FILE *const *consumers, int nconsumers, long *naive_lost);

#endif
