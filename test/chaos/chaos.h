/*
 * chaos.h
 *		The files of the chaos program, and their shared declarations.
 *
 * The files are listed by layer.  A file calls only files before it in this list.  The
 * first three are also part of the program chaos_cluster, see cluster/cluster.h.
 *
 *		shared.c				the memory of all processes; time and random numbers
 *		client.c				connections, and counts of errors
 *		processes.c				starts processes, waits for them; numbers of options
 *		append_ways.c			the ways to append
 *		prepared_transaction.c	the fate of transactions; prepared transactions
 *		writer.c				a writer: transactions of all kinds
 *		subscriber.c			the subscribers: each follows the log in its own way
 *		reactor.c				a subscriber that appends in the transaction that reads
 *		subscription.c			subscriptions, and the marks of their events
 *		consumer.c				consumers that process each event at least once
 *		exact_consumer.c		consumers that have effects exactly once
 *		subscription_admin.c	change, pause, reset, replay; find idle partitions
 *		projection.c			projections, and who rebuilds and disturbs them
 *		disturbers.c			end connections, hold a transaction open, archive
 *		quiet_database.c		a database where each event needs a notification
 *		check_consumers.c		compares the work of the consumers with the table
 *		check_results.c			compares the events that subscribers saw with the tables
 *		chaos.c					main(): starts a process for each role, then checks
 */
#ifndef CHAOS_H
#define CHAOS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "libpq-fe.h"

#define MAX_WRITERS 64
#define MAX_SUBSCRIBERS 16
#define MAX_CONSUMERS 24
#define MAX_RANGES 24
#define MAX_PREPARED 8
#define MAX_ERRORS 32
#define STORES 2
#define PROJECTIONS 3			/* besides the one that always fails */
#define EVENT_TYPES 5
#define SLOTS 1024				/* of the hash of a subscription */
#define MAX_POSITION (1 << 26)	/* that consumers can process */

/* Aggregates are named a1, a2 ...; number 0 is no aggregate. */
#define HOT_AGGREGATES 8
#define SHARED_AGGREGATES 20000
#define OWN_AGGREGATES 32
#define MAX_AGGREGATE (SHARED_AGGREGATES + (MAX_WRITERS + 1) * OWN_AGGREGATES)

typedef enum Phase
{
	RUN,						/* writers append */
	STOP,						/* open transactions end, none begin */
	DRAIN,						/* none append, subscribers catch up */
	END
} Phase;

typedef enum Outcome
{
	OK,
	REFUSED,					/* the server raised an error */
	LOST						/* the connection was lost */
} Outcome;

/* An event that a subscriber has seen. */
typedef struct Event
{
	int64_t		position;
	uint32_t	aggregate;
	int32_t		version;
} Event;

typedef enum Fate
{
	OPEN,
	COMMITTED,
	ABORTED,
	UNKNOWN						/* the connection was lost meanwhile */
} Fate;

/* The ids of the events of one append, and the fate of its transaction. */
typedef struct Range
{
	int32_t		writer;
	Fate		fate;
	int64_t		first;
	int64_t		count;
} Range;

typedef enum PreparedState
{
	FREE,
	TAKEN,						/* a process works on it */
	PREPARED
} PreparedState;

/* A slot for a prepared transaction.  Any process may finish it when it is due. */
typedef struct Prepared
{
	atomic_int	state;
	int			serial;
	int64_t		due;
	bool		commit;
	int			nranges;
	Range		ranges[MAX_RANGES];
} Prepared;

/* The number of errors with an SQLSTATE, and the first message. */
typedef struct ErrorCount
{
	char		state[6];
	int			count;
	char		message[300];
} ErrorCount;

typedef struct SubscriberState
{
	atomic_long position;
	atomic_long events;
	atomic_long pages;			/* with events */
	atomic_long connects;
	atomic_bool done;
} SubscriberState;

/* The subscriptions, see subscription.c. */
typedef enum SubscriptionNumber
{
	WORK, EXACT, POISON, SKIPPING, STOPPING, AGAIN, SUBSCRIPTIONS
} SubscriptionNumber;

typedef struct Subscription
{
	const char *name;
	const char *types;			/* of the events, as an array; {} for all */
	int			partitions;
	int			lease;			/* ms */
	int			max_attempts;
	const char *on_exhausted;
	int			fails;			/* one of so many events fails; 0: none */
	int			kills;			/* one of so many events kills its consumer */
	bool		repeats;		/* it is reset, so events come again */
	bool		changes;		/* its number of partitions changes */
} Subscription;

/*
 * The recorded state of an event of a subscription.  All fields but the flags are ticks:
 * values of a counter that all processes share.  0 is never.
 */
typedef struct EventMarks
{
	atomic_uint handled;		/* first */
	atomic_uint acked;			/* the answer was received */
	atomic_uint delivered;		/* begin of the last poll that returned it */
	atomic_uint flags;
} EventMarks;

#define HEALED 1				/* fails no more */
#define FAILED 2				/* and was not processed since */

/* The counts of the consumers of a subscription, and the errors that they found. */
typedef struct SubscriptionState
{
	atomic_long last_position;	/* the highest that was delivered */
	atomic_long polls;
	atomic_long empty_polls;
	atomic_long deliveries;
	atomic_long handled;		/* events, repetitions included */
	atomic_long nacks;
	atomic_long parked;			/* by nack(), park(), or as consumers died */
	atomic_long replayed;
	atomic_long discarded;
	atomic_long lost_leases;	/* acknowledgements that were refused */
	atomic_long late_acks;		/* accepted after the lease */
	atomic_long extensions;
	atomic_long releases;
	atomic_long hangs;
	atomic_long deaths;
	atomic_long changes;		/* of the number of partitions */
	atomic_long resumes;
	atomic_long resets;

	/* wrong */
	atomic_long disorder;		/* in a delivery */
	atomic_long misplaced;		/* in a wrong partition */
	atomic_long together;		/* two consumers had them at once */
	atomic_long repeated;		/* although acknowledged */
	atomic_long stale_acks;		/* accepted although others had the events */
	atomic_long refused;		/* acknowledgements refused during the lease */
	atomic_long twice;			/* effects */
	atomic_long idle;			/* partitions, longer than a lease */

	/* The consumer that has the events of a slot, and the end of its lease: see hold_slot(). */
	_Atomic uint64_t holders[SLOTS];
} SubscriptionState;

/* State that a consumer passes on to the process that replaces it. */
typedef struct ConsumerState
{
	atomic_int	id;				/* determines its name */
	atomic_bool needs_new_name;
	atomic_bool prepared;		/* a transaction may be prepared */
} ConsumerState;

/* The memory of all processes. */
typedef struct Shared
{
	pid_t		main_process;
	atomic_int	phase;
	atomic_bool behind;			/* subscribers lag, so writers wait */
	atomic_long events;			/* acknowledged */
	atomic_long commits;
	atomic_long rollbacks;
	atomic_long prepared;
	atomic_long kills;
	atomic_long archived;
	atomic_long first_id_free[MAX_WRITERS + 1];
	SubscriberState subscribers[MAX_SUBSCRIBERS];
	Prepared	slots[MAX_PREPARED];

	/* the quiet database, see quiet_database.c */
	atomic_long quiet_position; /* the last that the listener saw */
	atomic_bool server_is_down; /* crashed, and not yet started again */
	atomic_long server_up_since;	/* microseconds */
	atomic_long quiet_events;
	atomic_long quiet_missed;	/* not seen within 5 seconds */
	atomic_long quiet_slowest;	/* microseconds */

	/* the subscriptions */
	atomic_uint ticks;
	atomic_int	consumer_ids;
	SubscriptionState subscriptions[SUBSCRIPTIONS];
	ConsumerState consumers[MAX_CONSUMERS];

	/* the projections */
	atomic_long rebuilds;
	atomic_long worker_kills;

	long		naive_lost;
	atomic_flag errors_lock;
	int			nerrors;
	ErrorCount	errors[MAX_ERRORS];
} Shared;

/* A connection with an application name, opened again after it is lost. */
typedef struct Client
{
	char		name[48];
	const char *dbname;			/* or a connection string; NULL: chaos */
	const char *tolerated;		/* an SQLSTATE that is not counted; NULL: none */
	PGconn	   *conn;
	PGresult   *result;			/* of the last client_run() */
} Client;

typedef enum SubscriberKind
{
	PAGER,
	REPEATABLE,					/* a pager in REPEATABLE READ */
	TYPES,						/* a pager that reads two event types */
	WAITER,						/* calls wait_for_events() before each page */
	REACTOR,					/* see reactor.c */
	WATERMARK,					/* plain SQL up to the watermark */
	LISTENER,					/* reads only after a notification */
	ARCHIVED,					/* a pager that reads the archive, too */
	NAIVE						/* plain SQL after the last position seen */
} SubscriberKind;

typedef struct Subscriber
{
	const char *name;
	SubscriberKind kind;
	int			store;
	int			page;
	int			pages;			/* before it reconnects; 0 is never */
	int			pause;			/* ms after each page, in phase RUN */
	FILE	   *log;			/* of Event */
} Subscriber;

/* shared.c */
extern Shared *shared;
extern const char *const stores[STORES];
extern void die(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));
extern int64_t now_us(void);
extern void sleep_ms(int ms);
extern int	random_below(int n);
extern bool chance(int percent);
extern bool is_calm(void);
extern void begin_process(void);
extern bool running(Phase until);

/* client.c */
extern bool client_connect(Client *client);
extern void client_close(Client *client);
extern Outcome client_run(Client *client, const char *sql);
extern Outcome client_call(Client *client, const char *sql, int nvalues,
						   const Oid *types, const char *const *values);
extern Outcome client_failed(Client *client, const PGresult *result);
extern int64_t client_number(const Client *client, int row, int column);
extern bool client_sqlstate_is(const Client *client, const char *state);
extern void count_error(const char *state, const char *message);
extern int64_t print_errors(const char *also);

/* processes.c */
extern int	nchildren;
extern int	number_option(const char *name, const char *value, int low, int high);
extern FILE *new_log(void);
extern bool start_process(void);
extern void end_process(void);
extern bool wait_for_processes(int from, int limit);
extern void run_or_die(Client *client, const char *sql);

/* A writer, or the reactor as one. */
typedef struct Writer
{
	Client		client;
	int			number;
	int64_t		next_id;
	FILE	   *log;			/* of Range */
	Range		ranges[MAX_RANGES]; /* of the open transaction */
	int			nranges;
} Writer;

/* append_ways.c */
extern Outcome append_at_random(Writer *writer);
extern Outcome append_one_event(Writer *writer, int store);
extern Outcome repeat_last_call(Writer *writer);
extern bool can_repeat_last_call(void);

/* prepared_transaction.c */
extern void settle_ranges(FILE *log, Range *ranges, int nranges, Fate fate);
extern Outcome prepare_transaction(Writer *writer);
extern void finish_prepared(Client *client, FILE *log, bool all);
extern void finisher_main(FILE *log);

/* writer.c */
extern void writer_main(int number, int writers, FILE *log);

/* subscriber.c, reactor.c */
extern Subscriber subscribers[];
extern int	nsubscribers;
extern void subscriber_main(int number);
extern void reactor_main(int number, int writer, FILE *log);
extern void add_event(int number, const Event *event);
extern Event row_event(const PGresult *result, int row);

/* An event of a delivery. */
typedef struct DeliveredEvent
{
	int64_t		position;
	int			slot;
	int			partition;
} DeliveredEvent;

/* subscription.c */
extern const Subscription subscriptions[SUBSCRIPTIONS];
extern const int partition_counts[3];
extern void create_marks(void);
extern EventMarks *event_marks(int subscription, int64_t position);
extern uint32_t tick(void);
extern int	type_number(const char *name);
extern bool has_type(int subscription, int type);
extern int	slot_of(const char *key);
extern bool event_fails(int subscription, int64_t position);
extern bool event_kills(int subscription, int64_t position);
extern void note_handled(int subscription, int64_t position);
extern void note_delivered(int subscription, int64_t position, uint32_t poll_began);
extern void hold_slot(int subscription, int slot, int id, int64_t until);
extern void drop_holds(int subscription, int id);

/* consumer.c, exact_consumer.c */
extern const int nconsumers;
extern void consumer_keeper_main(int number);
extern void exact_consumer_main(int number, int kind);

/* subscription_admin.c */
extern bool create_subscriptions(Client *client);
extern void subscription_admin_main(void);
extern void dead_letter_main(void);
extern void idle_monitor_main(void);

/* projection.c */
extern bool create_projections(Client *client);
extern void projection_admin_main(void);
extern bool are_projections_behind(Client *client, int64_t mark, int64_t lag);
extern bool are_projections_busy(Client *client);
extern bool check_projections(Client *client);

/* disturbers.c, quiet_database.c */
extern void killer_main(void);
extern void bystander_main(void);
extern void archiver_main(void);
extern void quiet_writer_main(void);
extern void quiet_listener_main(void);

/* check_consumers.c */
extern bool check_consumers(Client *client, const Event *events, const uint8_t *types, int64_t count);
extern const char *missing_in_consumers(void);

/* check_results.c */
extern bool check_results(int writers, FILE *const *range_logs, int nrange_logs);

#endif
