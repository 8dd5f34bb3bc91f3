/*
 * options.c
 *		Reads the command line into "options".
 */
#include "migrate.h"

#include "common/logging.h"
#include "common/string.h"
#include "fe_utils/option_utils.h"
#include "getopt_long.h"

#define PROGRAM "pg_eventstore_migrate"

const char *progname = PROGRAM;

Options		options = {
	.batch_size = 10000,
	.create_schema = true,
	.notifications = true,
};

/* Options without a letter. */
enum
{
	SOURCE = 1000,
	TARGET,
	SCHEMA,
	TABLE,
	/* only for a source that is a database */
	SOURCE_FORMAT,
	SOURCE_SCHEMA,
	SOURCE_TABLE,
	SOURCE_SLOTS,
	SOURCE_ONLY_SLOTS,
	/* only for a target that is a database */
	SLOTS,
	ONLY_SLOTS,
	BATCH_SIZE,
	NO_CREATE_SCHEMA,
	NO_NOTIFICATIONS,
	/* for all */
	DRY_RUN,
	VERIFY
};

static const struct option long_options[] = {
	{"source", required_argument, NULL, SOURCE},
	{"target", required_argument, NULL, TARGET},
	{"source-format", required_argument, NULL, SOURCE_FORMAT},
	{"schema", required_argument, NULL, SCHEMA},
	{"table", required_argument, NULL, TABLE},
	{"source-schema", required_argument, NULL, SOURCE_SCHEMA},
	{"source-table", required_argument, NULL, SOURCE_TABLE},
	{"source-slots", required_argument, NULL, SOURCE_SLOTS},
	{"source-only-slots", required_argument, NULL, SOURCE_ONLY_SLOTS},
	{"slots", required_argument, NULL, SLOTS},
	{"only-slots", required_argument, NULL, ONLY_SLOTS},
	{"batch-size", required_argument, NULL, BATCH_SIZE},
	{"no-create-schema", no_argument, NULL, NO_CREATE_SCHEMA},
	{"no-notifications", no_argument, NULL, NO_NOTIFICATIONS},
	{"dry-run", no_argument, NULL, DRY_RUN},
	{"verify", no_argument, NULL, VERIFY},
	{"quiet", no_argument, NULL, 'q'},
	{"dbname", required_argument, NULL, 'd'},
	{"host", required_argument, NULL, 'h'},
	{"port", required_argument, NULL, 'p'},
	{"username", required_argument, NULL, 'U'},
	{"no-password", no_argument, NULL, 'w'},
	{"password", no_argument, NULL, 'W'},
	{NULL, 0, NULL, 0}
};

/* Print the help. */
static void
help(const char *name)
{
	printf("%s moves events into, out of, and between event stores.\n\n", name);
	printf("Usage:\n  %s [OPTION]...\n", name);
	printf("\nWhat is moved:\n");
	printf("      --source=SOURCE         FILE.jsonl, - (the standard input), or a connection\n");
	printf("                              string of a database\n");
	printf("      --target=TARGET         a connection string, FILE.jsonl, or - (the standard\n");
	printf("                              output)\n");
	printf("                              A connection string is a postgresql:// URI or has a\n");
	printf("                              \"=\" before any \"/\".\n");
	printf("                              One of them may be left out: it is the database of\n");
	printf("                              the connection options.\n");
	printf("      --source-format=FORMAT  kind of tables a source database has: auto (default),\n");
	printf("                              eventstore, message-db, or emmett\n");
	printf("      --schema=SCHEMA         schema of the store (default: eventstore)\n");
	printf("      --table=TABLE           table of the store (default: events)\n");
	printf("      --source-schema=SCHEMA  schema at the source, if it is another\n");
	printf("      --source-table=TABLE    table at the source, if it is another\n");
	printf("\nSlots:\n");
	printf("      --slots=N               the target is a sliced store of N slots\n");
	printf("      --only-slots=LIST       import the events of these slots only, such as 0-7,12\n");
	printf("      --source-slots=N        the source is a sliced store of N slots\n");
	printf("      --source-only-slots=LIST\n");
	printf("                              read these slots only\n");
	printf("\nHow it is moved:\n");
	printf("      --batch-size=N          import N events in a transaction (default: 10000)\n");
	printf("      --no-create-schema      do not create the extension and the schema\n");
	printf("      --no-notifications      create the store without notifications\n");
	printf("      --dry-run               check everything, keep nothing\n");
	printf("      --verify                move nothing, compare the source with the target\n");
	printf("  -q, --quiet                 show errors only\n");
	printf("  -V, --version               output version information, then exit\n");
	printf("  -?, --help                  show this help, then exit\n");
	printf("\nConnection options:\n");
	printf("  -d, --dbname=DBNAME         database to connect to\n");
	printf("  -h, --host=HOSTNAME         database server host or socket directory\n");
	printf("  -p, --port=PORT             database server port\n");
	printf("  -U, --username=USERNAME     user name to connect as\n");
	printf("  -w, --no-password           never prompt for password\n");
	printf("  -W, --password              force password prompt\n");
	printf("\nRead the page doc/importing.md of pg_eventstore.\n");
}

/* Print the help or the version and end the program, if the first argument requests it. */
static void
handle_help_and_version(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
	{
		puts(PROGRAM " (pg_eventstore) " CppAsString2(PGES_VERSION));
		exit(0);
	}
	handle_help_version_opts(argc, argv, PROGRAM, help);
}

/* The names of the options without a letter that were given; otherwise NULL. */
static const char *given[VERIFY - SOURCE + 1];

/* Report an error in the command line, and end the program. */
static void
__attribute__((noreturn))
usage_error(const char *message)
{
	pg_log_error("%s", message);
	pg_log_error_hint("Try \"%s --help\" for more information.", progname);
	exit(1);
}

/* Return the format with this name; report an unknown name and end the program. */
static SourceFormat
format_named(const char *name)
{
	static const char *const names[] = {
		[FORMAT_AUTO] = "auto",
		[FORMAT_EVENTSTORE] = "eventstore",
		[FORMAT_MESSAGE_DB] = "message-db",
		[FORMAT_EMMETT] = "emmett",
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	usage_error(psprintf("there is no source format \"%s\"", name));
}

/* End the program unless libpq can parse the value.  The hint helps with a file's name. */
static void
check_connection_string(const char *value)
{
	char	   *message = NULL;
	PQconninfoOption *parsed = PQconninfoParse(value, &message);

	if (parsed == NULL)
	{
		if (message != NULL)
			(void) pg_strip_crlf(message);
		pg_log_error("%s", message ? message : "out of memory");
		pg_log_error_hint("A file that has a \"=\" in its name must be given with its directory, such as \"./a=b\".");
		exit(1);
	}
	PQconninfoFree(parsed);
}

/* Store the value of --source or --target. */
static void
set_end(End *end, const char *option, const char *value)
{
	if (*value == '\0')
		usage_error(psprintf("%s is empty", option));
	end->is_file = !is_connection_string(value);
	end->value = end->is_file ? value : connection_string(value);
	end->name = without_password(value);
	if (end->value == NULL)
		usage_error(psprintf("there are no databases with a \"%.*s\" connection string",
							 (int) strcspn(value, ":"), value));
	if (!end->is_file)
		check_connection_string(end->value);
}

/* Return the slots of an end, one of whose options for slots is given. */
static Slots *
slots_of(End *end)
{
	if (end->slots == NULL)
		end->slots = pg_malloc0(sizeof(Slots));
	return end->slots;
}

/* Store the number of slots of an end. */
static void
set_slot_count(End *end, const char *option)
{
	if (!option_parse_int(optarg, option, PG_INT32_MIN, PG_INT32_MAX, &slots_of(end)->count))
		exit(1);
	check_slot_count(end->slots->count);
}

/* Store a connection option. */
static void
set_connection_option(int letter)
{
	switch (letter)
	{
		case 'd':
			options.connection.dbname = optarg;
			break;
		case 'h':
			options.connection.pghost = optarg;
			break;
		case 'p':
			options.connection.pgport = optarg;
			break;
		case 'U':
			options.connection.pguser = optarg;
			break;
		case 'w':
			options.connection.prompt_password = TRI_NO;
			break;
		case 'W':
			options.connection.prompt_password = TRI_YES;
			break;
		default:				/* getopt_long() has reported the error */
			pg_log_error_hint("Try \"%s --help\" for more information.", progname);
			exit(1);
	}
}

/* Store an option. */
static void
set_option(int letter)
{
	switch (letter)
	{
		case SOURCE:
			set_end(&options.source, "--source", optarg);
			break;
		case TARGET:
			set_end(&options.target, "--target", optarg);
			break;
		case SOURCE_FORMAT:
			options.format = format_named(optarg);
			break;
		case SCHEMA:
			options.target.schema = optarg;
			break;
		case TABLE:
			options.target.table = optarg;
			break;
		case SOURCE_SCHEMA:
			options.source.schema = optarg;
			break;
		case SOURCE_TABLE:
			options.source.table = optarg;
			break;
		case SOURCE_SLOTS:
			set_slot_count(&options.source, "--source-slots");
			break;
		case SOURCE_ONLY_SLOTS:
			slots_of(&options.source)->only = optarg;
			break;
		case SLOTS:
			set_slot_count(&options.target, "--slots");
			break;
		case ONLY_SLOTS:
			slots_of(&options.target)->only = optarg;
			break;
		case BATCH_SIZE:
			if (!option_parse_int(optarg, "--batch-size", 1, 1000000, &options.batch_size))
				exit(1);
			break;
		case NO_CREATE_SCHEMA:
			options.create_schema = false;
			break;
		case NO_NOTIFICATIONS:
			options.notifications = false;
			break;
		case DRY_RUN:
			options.dry_run = true;
			break;
		case VERIFY:
			options.verify = true;
			break;
		case 'q':
			options.quiet = true;
			break;
		default:
			set_connection_option(letter);
	}
}

/* Parse the options of the command line. */
static void
parse_options(int argc, char **argv)
{
	int			letter;
	int			n;				/* of the option in long_options */

	while ((letter = getopt_long(argc, argv, "d:h:p:qU:wW", long_options, &n)) != -1)
	{
		if (letter >= SOURCE)
			given[letter - SOURCE] = long_options[n].name;
		set_option(letter);
	}
	if (optind < argc)
		usage_error(psprintf("too many command-line arguments (first is \"%s\")", argv[optind]));
}

/* Reject options, "first" to "last", that have no meaning for the given ends. */
static void
reject_options(int first, int last, const char *with)
{
	for (int letter = first; letter <= last; letter++)
	{
		if (given[letter - SOURCE] != NULL)
			usage_error(psprintf("option --%s cannot be used with %s", given[letter - SOURCE], with));
	}
}

/* Reject options that contradict the ends. */
static void
check_ends(void)
{
	if (options.source.is_file)
		reject_options(SOURCE_FORMAT, SOURCE_ONLY_SLOTS, "a source that is a file");
	if (options.format > FORMAT_EVENTSTORE)
		reject_options(SOURCE_SLOTS, SOURCE_ONLY_SLOTS, "tables of another event store");
	if (options.target.is_file)
		reject_options(SLOTS, NO_NOTIFICATIONS, "a target that is a file");
	if (options.source.value != NULL && options.target.value != NULL && options.connection.dbname != NULL)
		usage_error("option -d/--dbname cannot be used with both --source and --target");
}

/* Choose the slots of an end that is a sliced store. */
static void
check_slots(const End *end, const char *prefix)
{
	if (end->slots == NULL)
		return;
	if (end->slots->count == 0)
		usage_error(psprintf("option --%sonly-slots needs option --%sslots", prefix, prefix));
	choose_slots(end->slots);
}

/* Reject options that contradict each other. */
static void
check_options(void)
{
	if (options.source.value == NULL && options.target.value == NULL)
		usage_error("neither --source nor --target is given");
	if (options.source.is_file && options.target.is_file)
		usage_error("the source and the target cannot both be files");
	if (options.verify && options.dry_run)
		usage_error("options --verify and --dry-run cannot be used together");
	if (options.verify && options.target.is_file && strcmp(options.target.value, "-") == 0)
		usage_error("the standard output cannot be verified");
	check_ends();
	check_slots(&options.source, "source-");
	check_slots(&options.target, "");
}

/* Read the command line.  If it is wrong, report that and end the program. */
void
read_command_line(int argc, char **argv)
{
	handle_help_and_version(argc, argv);
	parse_options(argc, argv);
	check_options();
}
