# pg_eventstore: an event store inside PostgreSQL
#
#   make && make install          build and install into the server of PG_CONFIG
#   make installcheck             run the tests against a running server
#   make check-style              formatting, static analysis and the gates in ci/
#
# The install script is built from its parts in sql/: each function stands in
# one file only, as CREATE OR REPLACE, and the build strips OR REPLACE.

EXTENSION = pg_eventstore
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_eventstore.control)

MODULE_big = pg_eventstore
SRCS = $(sort $(wildcard src/*.c src/*/*.c))
OBJS = $(SRCS:.c=.o)
override PG_CPPFLAGS += -I$(srcdir)/src

# a room's types, functions, and then what needs its functions, room by room
ROOMS := $(shell sed 's/ .*//' src/rooms)
SQL_PARTS = sql/preamble.sql \
	$(foreach room,$(ROOMS),$(wildcard $(foreach part,types functions tables,sql/$(room)/$(part).sql)))
DATA_built = pg_eventstore--$(EXTVERSION).sql
DATA = $(filter-out $(wildcard sql/pg_eventstore--$(EXTVERSION).sql), \
	$(wildcard sql/pg_eventstore--*.sql)) $(wildcard sql/updates/*--*.sql)

TESTS = $(sort $(wildcard test/sql/*/*.sql))
REGRESS = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=test --load-extension=pg_eventstore \
	--encoding=UTF8 --no-locale
SPECS = $(sort $(wildcard test/isolation/specs/*/*.spec))
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(SPECS))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=. \
	--load-extension=pg_eventstore --encoding=UTF8 --no-locale
TAP_TESTS = 1
PROVE_TESTS = $(sort $(wildcard test/tap/*.pl))

EXTRA_CLEAN = pg_eventstore--*.sql results output_iso tmp_check tmp_check_iso \
	regression.diffs regression.out log \
	$(foreach suffix,bc gcda gcno,src/*.$(suffix) src/*/*.$(suffix))

# in another folder the wildcards find nothing, and a library without a symbol is linked
ifeq ($(SRCS),)
$(error no sources found: build in the source tree, not by VPATH)
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# pg_regress makes the folder of the results, but none in it
installcheck: result-folders
result-folders:
	$(MKDIR_P) results $(sort $(dir $(REGRESS:%=results/%) $(ISOLATION:%=results/%)))

# pg_regress would look at sql/ROOM/NAME.sql before test/sql/ROOM/NAME.sql
ifneq ($(filter types functions tables,$(notdir $(REGRESS))),)
$(error a test cannot be named types, functions or tables)
endif

# PGXS tracks no header dependencies
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*/*.h)

pg_eventstore--$(EXTVERSION).sql: $(SQL_PARTS) src/rooms pg_eventstore.control Makefile
	sed 's/^CREATE OR REPLACE \(FUNCTION\|PROCEDURE\)/CREATE \1/' $(SQL_PARTS) >$@

# the client programs, each with a Makefile of its own
PROGRAMS = $(patsubst %/Makefile,%,$(wildcard src/bin/*/Makefile))
all: all-programs
install: install-programs
uninstall: uninstall-programs
clean: clean-programs
all-programs install-programs uninstall-programs clean-programs:
	for program in $(PROGRAMS); do \
	  $(MAKE) -C "$$program" PG_CONFIG='$(PG_CONFIG)' $(@:-programs=) || exit; \
	done

check-style:
	PG_CONFIG='$(PG_CONFIG)' ci/style

.PHONY: check-style result-folders all-programs install-programs uninstall-programs clean-programs
