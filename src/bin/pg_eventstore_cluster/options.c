/*
 * options.c
 *		Reads the command line into "options".
 */
#include "cluster.h"

#include "common/logging.h"
#include "fe_utils/option_utils.h"
#include "getopt_long.h"

#define PROGRAM "pg_eventstore_cluster"

const char *progname = PROGRAM;

Options		options = {
	.lock_timeout = 2000,
};

/* Options without a letter. */
enum
{
	STORE = 1000,
	SLOTS,
	ADD_NODE,
	ADD_FRONT,
	NOTIFICATIONS,
	PLACE,
	LOCK_TIMEOUT,
	DRY_RUN,
	HELP
};

static const struct option long_options[] = {
	{"store", required_argument, NULL, STORE},
	{"slots", required_argument, NULL, SLOTS},
	{"node", required_argument, NULL, ADD_NODE},
	{"front", required_argument, NULL, ADD_FRONT},
	{"notifications", required_argument, NULL, NOTIFICATIONS},
	{"place", required_argument, NULL, PLACE},
	{"lock-timeout", required_argument, NULL, LOCK_TIMEOUT},
	{"dry-run", no_argument, NULL, DRY_RUN},
	{"quiet", no_argument, NULL, 'q'},
	{"username", required_argument, NULL, 'U'},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0}
};

/* The commands that have an option, by its number from STORE. */
static const int commands_of[] = {
	[STORE - STORE] = COMMAND_INIT | COMMAND_STATUS | COMMAND_CHECK | COMMAND_MOVE,
	[SLOTS - STORE] = COMMAND_INIT,
	[ADD_NODE - STORE] = COMMAND_INIT,
	[ADD_FRONT - STORE] = COMMAND_INIT,
	[NOTIFICATIONS - STORE] = COMMAND_INIT,
	[PLACE - STORE] = COMMAND_INIT,
	[LOCK_TIMEOUT - STORE] = COMMAND_MOVE,
	[DRY_RUN - STORE] = COMMAND_MOVE,
	[HELP - STORE] = COMMAND_INIT | COMMAND_STATUS | COMMAND_CHECK | COMMAND_MOVE,
};

/* Print the help. */
static void
help(const char *name)
{
	printf("%s spreads the slots of a sliced store over servers.\n\n", name);
	printf("Usage:\n");
	printf("  %s init --store=STORE --slots=N --node=NAME=CONNECTION...\n", name);
	printf("                             --front=CONNECTION... [OPTION]...\n");
	printf("  %s status FRONT [--store=STORE]\n", name);
	printf("  %s check FRONT [--store=STORE]\n", name);
	printf("  %s move FRONT SLOT NODE [OPTION]...\n", name);
	printf("\nFRONT is the connection string of a front, such as \"host=proxy1 dbname=front\".\n");
	printf("\nCommands:\n");
	printf("  init                    create the slots on the nodes, and the maps on the fronts\n");
	printf("  status                  show the nodes and the slots\n");
	printf("  check                   compare the maps with the places of the slots\n");
	printf("  move                    move a slot to another node\n");
	printf("\nOptions of all commands:\n");
	printf("      --store=STORE       the sliced store, with its schema, such as shop.orders\n");
	printf("  -U, --username=NAME     role to connect as, where a connection string has none\n");
	printf("  -q, --quiet             show errors and warnings only\n");
	printf("  -V, --version           output version information, then exit\n");
	printf("  -?, --help              show this help, then exit\n");
	printf("\nOptions of init:\n");
	printf("      --slots=N           number of slots, a power of two from 2 to 1024\n");
	printf("      --node=NAME=CONNECTION\n");
	printf("                          a node: its name and its connection string\n");
	printf("      --front=CONNECTION  connection string of a front\n");
	printf("      --place=PLACES      the node of each slot, such as 0-7=a,8-15=b (default:\n");
	printf("                          equal parts, in the order of the nodes)\n");
	printf("      --notifications=MODE\n");
	printf("                          worker (default), commit or off\n");
	printf("\nOptions of move:\n");
	printf("      --lock-timeout=MS   time that one attempt to lock the slot may take, in\n");
	printf("                          milliseconds (default: 2000)\n");
	printf("      --dry-run           check everything, move nothing\n");
	printf("\nRead the page doc/pg_eventstore_cluster.md of pg_eventstore.\n");
}

/* Print the version. */
static void
version(void)
{
	puts(PROGRAM " (pg_eventstore) " CppAsString2(PGES_VERSION));
}

/* Report an error in the command line, and end the program. */
void
usage_error(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	pg_log_generic_v(PG_LOG_ERROR, PG_LOG_PRIMARY, fmt, args);
	va_end(args);
	pg_log_error_hint("Try \"%s --help\" for more information.", progname);
	exit(2);
}

/* Return the command with this name. */
static Command
command_named(const char *name)
{
	static const char *const names[] = {"init", "status", "check", "move"};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return 1 << i;
	}
	usage_error("there is no command \"%s\"", name);
}

/* Return the number that an option or argument is. */
static int
number_of(const char *value, const char *what, int from, int to)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (!isdigit((unsigned char) *value) || *end != '\0' || errno != 0 || number < from || number > to)
		usage_error("%s must be a number from %d to %d, not \"%s\"", what, from, to, value);
	return (int) number;
}

/*
 * End the program unless libpq can parse a connection string that the fronts keep.  Every
 * role can read it there, so it must not have a password.
 */
static void
check_connection_string(const char *value, const char *what)
{
	char	   *message = NULL;
	PQconninfoOption *parsed = PQconninfoParse(value, &message);

	if (parsed == NULL)
		usage_error("%s: invalid connection string \"%s\": %s", what, without_password(value),
					message ? pg_strdup(message) : "out of memory");
	for (PQconninfoOption *option = parsed; option->keyword; option++)
	{
		if (strcmp(option->keyword, "password") == 0 && option->val != NULL)
			usage_error("%s: the connection string must not have a password, as every role of a front can read it; "
						"use a password file or PGPASSWORD", what);
	}
	PQconninfoFree(parsed);
}

/* Store an option. */
static void
set_option(int letter)
{
	switch (letter)
	{
		case STORE:
			options.store = optarg;
			break;
		case SLOTS:
			options.slots = number_of(optarg, "option --slots", 2, 1024);
			break;
		case ADD_NODE:
			simple_string_list_append(&options.nodes, optarg);
			break;
		case ADD_FRONT:
			check_connection_string(optarg, "option --front");
			simple_string_list_append(&options.fronts, optarg);
			break;
		case NOTIFICATIONS:
			options.notifications = optarg;
			break;
		case PLACE:
			options.place = optarg;
			break;
		case LOCK_TIMEOUT:
			options.lock_timeout = number_of(optarg, "option --lock-timeout", 1, 3600000);
			break;
		case DRY_RUN:
			options.dry_run = true;
			break;
		case 'q':
			options.quiet = true;
			break;
		case 'U':
			options.username = optarg;
			break;
		case 'V':
			version();
			exit(0);
		case HELP:
			help(progname);
			exit(0);
		default:				/* getopt_long() has reported the error */
			pg_log_error_hint("Try \"%s --help\" for more information.", progname);
			exit(2);
	}
}

/*
 * Parse the options and arguments after the command.  The "+" lets getopt_long() stop at
 * each argument on all platforms.  Return the number of arguments.
 */
static int
parse_options(int argc, char **argv, const char **arguments, int most)
{
	int			letter;
	int			n;				/* of the option in long_options */
	int			n_arguments = 0;

	for (;;)
	{
		while ((letter = getopt_long(argc, argv, "+qU:V", long_options, &n)) != -1)
		{
			if (letter >= STORE && (commands_of[letter - STORE] & options.command) == 0)
				usage_error("command %s has no option --%s", argv[1], long_options[n].name);
			set_option(letter);
		}
		if (optind >= argc)
			return n_arguments;
		if (n_arguments == most)
			usage_error("too many command-line arguments (first is \"%s\")", argv[optind]);
		arguments[n_arguments++] = argv[optind++];
	}
}

/* Reject options of init that contradict each other or are missing. */
static void
check_init(void)
{
	if (options.store == NULL)
		usage_error("option --store is missing");
	if (options.slots == 0)
		usage_error("option --slots is missing");
	if ((options.slots & (options.slots - 1)) != 0)
		usage_error("option --slots must be a power of two, not %d", options.slots);
	if (options.nodes.head == NULL)
		usage_error("option --node is missing");
	if (options.fronts.head == NULL)
		usage_error("option --front is missing");
	for (const SimpleStringListCell *cell = options.nodes.head; cell; cell = cell->next)
	{
		const char *equals = strchr(cell->val, '=');

		if (equals == NULL || equals == cell->val ||
			strcspn(cell->val, " ,'\"") < (size_t) (equals - cell->val))
			usage_error("option --node must be NAME=CONNECTION, not \"%s\"", without_password(cell->val));
		check_connection_string(equals + 1, "option --node");
	}
}

/* Read the command line.  If it is wrong, report that and end the program. */
void
read_command_line(int argc, char **argv)
{
	const char *arguments[3] = {0};
	int			most;
	int			n;

	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
	{
		version();
		exit(0);
	}
	handle_help_version_opts(argc, argv, PROGRAM, help);
	if (argc < 2)
		usage_error("no command is given");
	if (argv[1][0] == '-')
		usage_error("the first argument must be a command, not \"%s\"", argv[1]);
	options.command = command_named(argv[1]);
	optind = 2;
	most = options.command == COMMAND_INIT ? 0 : options.command == COMMAND_MOVE ? 3 : 1;
	n = parse_options(argc, argv, arguments, most);
	if (options.command == COMMAND_INIT)
		check_init();
	else if (n < most)
		usage_error(options.command == COMMAND_MOVE ?
					"move needs a front, the number of a slot, and the name of a node" :
					"%s needs the connection string of a front", argv[1]);
	options.front = arguments[0];
	Assert(options.command != COMMAND_MOVE || arguments[1] != NULL);
	if (options.command == COMMAND_MOVE)
		options.slot = number_of(arguments[1], "the slot", 0, 1023);
	options.target = arguments[2];
}
