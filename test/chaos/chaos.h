/*
 * chaos.h
 *		What the parts of the chaos program share.
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
#define MAX_RANGES 24
#define MAX_PREPARED 8
#define MAX_ERRORS 32
#define STORES 2

/* aggregates are called a1, a2 ...; number 0 stands for no aggregate */
#define HOT_AGGREGATES 8
#define SHARED_AGGREGATES 20000
#define OWN_AGGREGATES 32
#define MAX_AGGREGATE (SHARED_AGGREGATES + (MAX_WRITERS + 1) * OWN_AGGREGATES)

typedef enum Phase
{
	RUN,						/* everything is allowed */
	STOP,						/* open transactions end, no new ones begin */
	DRAIN,						/* nothing is appended, subscribers catch up */
	END
} Phase;

typedef enum Outcome
{
	OK,
	REFUSED,					/* the server said no, the connection lives */
	LOST						/* the connection is gone */
} Outcome;

/* What a subscriber has seen of an event. */
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

/* Events that one writer appended at once, and what became of them. */
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
	TAKEN,						/* one process works on it */
	PREPARED
} PreparedState;

/* A prepared transaction that anybody may finish when it is due. */
typedef struct Prepared
{
	atomic_int	state;
	int			serial;
	int64_t		due;
	bool		commit;
	int			nranges;
	Range		ranges[MAX_RANGES];
} Prepared;

/* How often an SQLSTATE came, and one message. */
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

/* Memory of all processes. */
typedef struct Shared
{
	pid_t		main_process;
	atomic_int	phase;
	atomic_bool behind;			/* subscribers cannot keep up, writers wait */
	atomic_long events;			/* acknowledged */
	atomic_long commits;
	atomic_long rollbacks;
	atomic_long prepared;
	atomic_long kills;
	atomic_long archived;
	atomic_long first_id_free[MAX_WRITERS + 1];
	SubscriberState subscribers[MAX_SUBSCRIBERS];
	Prepared	slots[MAX_PREPARED];

	/* the quiet database */
	atomic_long quiet_position; /* last seen by its listener */
	atomic_long quiet_events;
	atomic_long quiet_missed;	/* not seen within five seconds */
	atomic_long quiet_slowest;	/* microseconds */

	long		naive_lost;
	atomic_flag errors_lock;
	int			nerrors;
	ErrorCount	errors[MAX_ERRORS];
} Shared;

/* A connection under a name, made again when it is lost. */
typedef struct Client
{
	char		name[48];
	const char *dbname;
	PGconn	   *conn;
	PGresult   *result;			/* of the last client_run() */
} Client;

typedef enum SubscriberKind
{
	PAGER,
	REPEATABLE,					/* a pager in REPEATABLE READ */
	TYPES,						/* a pager that wants some event types */
	WAITER,						/* between pages it calls wait_for_events() */
	REACTOR,					/* reads in transactions that append */
	WATERMARK,					/* plain SQL up to the watermark row */
	LISTENER,					/* reads when notified, and not otherwise */
	ARCHIVED,					/* a pager that includes the archive */
	NAIVE						/* plain SQL beyond the last position seen */
} SubscriberKind;

typedef struct Subscriber
{
	const char *name;
	SubscriberKind kind;
	int			store;
	int			page;
	int			pages;			/* a fresh connection after so many; 0 never */
	int			pause;			/* ms after each page, while there are writers */
	FILE	   *log;			/* of Event */
} Subscriber;

/* common.c */
extern Shared *shared;
extern const char *const stores[STORES];
extern void die(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));
extern int64_t now_us(void);
extern void sleep_ms(int ms);
extern int	below(int n);
extern bool chance(int percent);
extern bool calm(void);
extern bool running(Phase until);
extern bool client_connect(Client *client);
extern void client_close(Client *client);
extern Outcome client_run(Client *client, const char *sql);
extern Outcome client_call(Client *client, const char *sql, int nvalues,
						   const Oid *types, const char *const *values);
extern Outcome client_failed(Client *client, const PGresult *result);
extern int64_t client_number(const Client *client, int row, int column);
extern bool client_state_is(const Client *client, const char *state);
extern void count_error(const char *state, const char *message);
extern bool error_expected(const char *state);

/* writer.c, append.c, prepared.c */
typedef struct Writer
{
	Client		client;
	int			number;
	int64_t		next_id;
	FILE	   *log;			/* of Range */
	Range		ranges[MAX_RANGES]; /* of the transaction */
	int			nranges;
	int64_t		last_count;		/* events of the last append */
} Writer;

extern void writer_main(int number, int writers, FILE *log);
extern Outcome append(Writer *writer);
extern Outcome append_one(Writer *writer, int store);
extern Outcome retry(Writer *writer);
extern bool can_retry(void);
extern void settle(FILE *log, Range *ranges, int nranges, Fate fate);
extern Outcome prepare(Writer *writer);
extern void finish_prepared(Client *client, FILE *log, bool all);
extern void finisher_main(FILE *log);

/* subscriber.c, reactor.c */
extern Subscriber subscribers[];
extern int	nsubscribers;
extern void subscriber_main(int number);
extern void reactor_main(int number, int writer, FILE *log);
extern void add_event(int number, const Event *event);
extern Event row_event(const PGresult *result, int row);

/* disturb.c */
extern void killer_main(void);
extern void bystander_main(void);
extern void archiver_main(void);
extern void quiet_writer_main(void);
extern void quiet_listener_main(void);

/* check.c */
extern bool check(int writers, FILE *const *range_logs, int nrange_logs);

#endif
