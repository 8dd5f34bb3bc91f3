/*
 * cluster.h
 *		The files of pg_eventstore_cluster, and their shared declarations.
 *
 * A cluster has nodes, which are databases with slots of sliced stores, and fronts, which
 * are databases with PL/Proxy.  A front has the tables of the nodes and the fronts, and
 * for each sliced store a map: the node of each slot.
 *
 * The files are listed by layer.  A file calls only files before it in this list, and
 * those of ../common, see client.h.
 *
 * The command line and connections:
 *		options.c			reads the command line into "options"
 *		signals.c			catches signals; lets tests stop the program after a step
 *		server.c			connects to a node or a front, and runs queries
 * What is where:
 *		cluster.c			the nodes and fronts of a cluster, from a front
 *		store.c				the sliced stores, and the nodes of their slots
 * The steps of a move:
 *		pg_dump.c			the definitions of a slot, by pg_dump
 *		relay.c				copies rows from one server to another
 *		trust.c				finds functions that a move must not call
 *		fence.c				the short lock: blocks all use of the slot
 *		companions.c		the rows about the slot in the tables of the extension
 *		copy_slot.c			copies the tables and rows of the slot
 *		commit.c			commits, also if the answer is lost
 *		maps.c				writes the maps of the fronts
 * The commands of the program, which do not call each other:
 *		move.c				moves a slot; the protocol
 *		placement.c			for init: parses nodes and places
 *		init.c				makes a cluster
 *		status.c			shows the nodes and slots
 *		check.c				compares the maps with the slots
 * The main program:
 *		main.c				runs a command
 */
#ifndef PGES_CLUSTER_H
#define PGES_CLUSTER_H

#include "client.h"

#include "fe_utils/simple_list.h"

typedef enum Command
{
	COMMAND_INIT = 1,
	COMMAND_STATUS = 2,
	COMMAND_CHECK = 4,
	COMMAND_MOVE = 8
} Command;

typedef struct Options
{
	Command		command;
	const char *front;			/* connection string; not for init */
	const char *store;			/* NULL if not given */
	const char *username;		/* NULL if not given */
	bool		quiet;
	/* init */
	int			slots;
	SimpleStringList nodes;		/* NAME=CONNECTION */
	SimpleStringList fronts;
	const char *notifications;
	const char *place;			/* NULL if not given */
	/* move */
	int			slot;
	const char *target;			/* name of a node */
	int			lock_timeout;	/* milliseconds */
	bool		dry_run;
} Options;

/* A node or a front. */
typedef struct Server
{
	const char *name;			/* of a node; NULL for a front */
	const char *label;			/* for messages: node "a" */
	const char *conninfo;		/* as the fronts have it */
	PGconn	   *conn;			/* NULL if it cannot be used */
	char	   *problem;		/* why it cannot be used */
	char	   *identity;		/* tells two databases apart */
	char	   *version;		/* of the extension; NULL if it is not created */
} Server;

typedef struct Cluster
{
	Server	   *nodes;			/* by name */
	int			n_nodes;
	Server	   *fronts;			/* the first is the one that the user gave */
	int			n_fronts;
	bool		front_is_listed;	/* whether the first is in the table of
									 * fronts */
} Cluster;

/* What a node has of a slot. */
typedef enum Presence
{
	ABSENT,
	ARRIVING,
	LIVE,
	UNKNOWN						/* the node cannot be reached */
} Presence;

/* A sliced store. */
typedef struct SlicedStore
{
	const char *name;			/* as the fronts have it, such as shop.orders */
	const char *schema;
	const char *table;
	int			slots;
	int		   *slots_of_node;	/* number of slots by a node; 0 if it has none */
	Presence   *presence;		/* by node, then by slot */
	int		   *slots_of_front; /* number of slots by a front; 0 if it has no
								 * map */
	const char **map;			/* by front, then by slot: name of the node */
} SlicedStore;

/* A move. */
typedef struct Move
{
	Cluster    *cluster;
	SlicedStore *store;
	int			slot;
	Server	   *source;
	Server	   *target;
	const char *table;			/* the slot, quoted */
	const char *literal;		/* the same as an SQL literal */
	const char *archive;		/* NULL if there is none */
	const char *columns;		/* of both tables, quoted */
	const char *grants;			/* what could change without a lock on the
								 * table */
	const char *sequence;		/* of the positions, quoted */
	int64		mark;			/* events up to this position are copied
								 * before the fence */
	int64		events;			/* that were copied */
	const char *post_data;		/* definitions of indexes ... */
	const char *triggers;		/* ... and of triggers */
	double		fenced;			/* time at which the fence was asked for */
	double		blocked;		/* seconds for which appends waited at most */
} Move;

/* options.c */
extern Options options;
extern const char *progname;
extern void read_command_line(int argc, char **argv);
extern void usage_error(const char *fmt,...) pg_attribute_printf(1, 2) __attribute__((noreturn));

/* signals.c */
extern void catch_signals(void);
extern void stop_if_canceled(void);
extern void hold_signals(void);
extern void test_point(const char *step);

/* server.c */
extern bool connect_server(Server *server);
extern void disconnect_server(Server *server);
extern PGresult *try_query(Server *server, const char *sql);
extern PGresult *run_query(Server *server, const char *sql);
extern void run_command(Server *server, const char *fmt,...) pg_attribute_printf(2, 3);
extern char *query_value(Server *server, const char *fmt,...) pg_attribute_printf(2, 3);
extern int64 query_number(Server *server, const char *fmt,...) pg_attribute_printf(2, 3);
extern char *literal(Server *server, const char *text);
extern char *identifier(Server *server, const char *text);
extern char *result_message(Server *server, const PGresult *result);
extern void fail_query(Server *server, const PGresult *result) __attribute__((noreturn));
extern bool require_superuser(Server *server);
extern char *conninfo_to_reach(Server *server);

/* cluster.c */
extern void name_server(Server *server, const char *name, const char *conninfo);
extern Cluster *open_cluster(const char *conninfo);
extern Server *node_named(Cluster *cluster, const char *name);
extern void close_cluster(Cluster *cluster);

/* store.c */
extern SlicedStore *make_store(Server *server, const char *name, int slots);
extern SlicedStore **read_stores(Cluster *cluster, int *n);
extern SlicedStore *read_store(Cluster *cluster);
extern void look_for_slots(Cluster *cluster, SlicedStore *store);
extern Presence presence_of(const SlicedStore *store, int node, int slot);
extern const char *map_of(const SlicedStore *store, int front, int slot);
extern Server *node_with(Cluster *cluster, const SlicedStore *store, int slot, Presence presence, int *n);
extern char *slot_table(const SlicedStore *store, int slot);
extern char *slot_name(Server *server, const SlicedStore *store, int slot);

/* pg_dump.c */
extern void find_pg_dump(const char *argv0);
extern char *dump_tables(Move *move, char **grants);
extern void dump_rest(Move *move);

/* relay.c */
extern void relay_begin(int64 events);
extern void relay_end(void);
extern int64 relay_rows(Server *from, const char *copy_out, Server *to, const char *copy_in, bool events);

/* trust.c */
extern void check_trust(Move *move, Server *node);

/* fence.c */
extern void raise_fence(Move *move);

/* companions.c */
extern void check_projections(Move *move);
extern void check_names(Move *move);
extern void copy_companions(Move *move);

/* copy_slot.c */
extern void read_archive(Move *move);
extern void begin_source(Move *move);
extern void create_tables(Move *move);
extern void copy_most(Move *move);
extern void copy_rest(Move *move);

/* commit.c */
typedef enum Answer
{
	ANSWER_YES,					/* committed */
	ANSWER_NO,					/* an error, which was reported */
	ANSWER_LOOK,				/* the answer was lost, the server is
								 * connected again */
	ANSWER_LOST					/* the server cannot be reached */
} Answer;

extern bool commit_warned;
extern bool connection_lost(const Server *server, const PGresult *result);
extern bool reconnect(Server *server);
extern char *transaction_id(Server *server);
extern Answer commit(Server *server, const char *xid);

/* maps.c */
extern bool write_maps(Cluster *cluster, const SlicedStore *store, int slot, const Server *node);

/* placement.c */
extern Cluster *cluster_of_options(void);
extern Server **places_of_options(Cluster *cluster, int n_nodes);

/* move.c, init.c, status.c, check.c */
extern int	run_move(void);
extern int	run_init(void);
extern int	run_status(void);
extern int	run_check(void);

#endif
