# pg_eventstore: an event store inside PostgreSQL
#
#   make && make install          build and install into the server of PG_CONFIG
#   make installcheck             run the tests against a running server
#   make check-style              formatting, static analysis and the gates in ci/
#   make deb                      build Debian packages in dist/
#   make dist                     build the archive for PGXN in dist/
#
# A build in another folder: make -f SOURCES/Makefile, for each target.
#
# The install script is built from its parts in sql/: each function stands in
# one file only, as CREATE OR REPLACE, and the build strips OR REPLACE.

# the folder of the sources; as PGXS finds it, but known before that is included
here := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))
files = $(patsubst $(here)/%,%,$(wildcard $(addprefix $(here)/,$(1))))

EXTENSION = pg_eventstore pg_eventstore_front
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(here)/pg_eventstore.control)

MODULE_big = pg_eventstore
SRCS = $(sort $(call files,src/*.c src/*/*.c))
OBJS = $(SRCS:.c=.o)
override PG_CPPFLAGS += -I$(srcdir)/src

# a room's types, functions, and then what needs its functions, room by room
ROOMS := $(shell sed 's/ .*//' $(here)/src/rooms)
SQL_PARTS = $(here)/sql/preamble.sql \
	$(foreach room,$(ROOMS),$(wildcard $(foreach part,types functions tables,$(here)/sql/$(room)/$(part).sql)))
# the extension of the front, whose functions are in files by subject
FRONT_PARTS = $(here)/sql/front/preamble.sql $(here)/sql/event/types.sql \
	$(foreach part,nodes map append read snapshot subscription delivery projection store,$(here)/sql/front/$(part).sql)
DATA_built = pg_eventstore--$(EXTVERSION).sql pg_eventstore_front--$(EXTVERSION).sql
DATA = $(filter-out $(addprefix sql/,$(DATA_built)),$(call files,sql/pg_eventstore*--*.sql)) \
	$(call files,sql/updates/*--*.sql)

TESTS = $(sort $(call files,test/sql/*/*.sql))
REGRESS = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=$(here)/test --load-extension=pg_eventstore \
	--encoding=UTF8 --no-locale
SPECS = $(sort $(call files,test/isolation/specs/*/*.spec))
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(SPECS))
ISOLATION_OPTS = --inputdir=$(here)/test/isolation --outputdir=. \
	--load-extension=pg_eventstore --encoding=UTF8 --no-locale
TAP_TESTS = 1
PROVE_TESTS = $(sort $(call files,test/tap/*.pl))

EXTRA_CLEAN = pg_eventstore--*.sql pg_eventstore_front--*.sql results output_iso tmp_check tmp_check_iso \
	regression.diffs regression.out log \
	$(foreach suffix,bc gcda gcno,src/*.$(suffix) src/*/*.$(suffix))

# The documentation keeps its folders, so that the links between its pages work. Links to
# the sources do not.
DOCUMENTS = README.md CHANGELOG.md CONTRIBUTING.md LICENSE bench/README.md bench/RESULTS.md \
	$(call files,doc/*.md bench/plots/*.svg examples/*.md examples/*.sql examples/*/*.*)
MANUALS = $(call files,man/*.[17])

# absolute, for the programs, whose Makefiles run in folders of their own
PG_CONFIG ?= pg_config
override PG_CONFIG := $(if $(findstring /,$(PG_CONFIG)),$(abspath $(PG_CONFIG)),$(PG_CONFIG))
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Another folder lacks those of the objects, which VPATH would find in the sources, so a
# rule would not make them. pg_regress looks for the expected results there.
ifneq ($(realpath $(srcdir)),$(realpath .))
ifneq ($(wildcard $(addprefix $(here)/,$(OBJS) $(DATA_built))),)
$(error $(here) has the results of a build, which VPATH would find: run make clean there first)
endif
$(shell $(MKDIR_P) $(sort $(dir $(OBJS))))
installcheck: expected-results
expected-results:
	test -d expected || ln -sfn '$(abspath $(srcdir))'/expected expected
EXTRA_CLEAN += expected
endif

# pg_regress makes the folder of the results, but none in it
installcheck: result-folders
result-folders:
	$(MKDIR_P) results $(sort $(dir $(REGRESS:%=results/%) $(ISOLATION:%=results/%)))

# pg_regress would look at sql/ROOM/NAME.sql before test/sql/ROOM/NAME.sql
ifneq ($(filter types functions tables,$(notdir $(REGRESS))),)
$(error a test cannot be named types, functions or tables)
endif

# PGXS tracks no header dependencies
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(here)/src/*/*.h)

pg_eventstore--$(EXTVERSION).sql: $(SQL_PARTS) $(here)/src/rooms $(here)/pg_eventstore.control $(here)/Makefile
	sed 's/^CREATE OR REPLACE \(FUNCTION\|PROCEDURE\)/CREATE \1/' $(SQL_PARTS) >$@

pg_eventstore_front--$(EXTVERSION).sql: $(FRONT_PARTS) $(here)/pg_eventstore_front.control $(here)/Makefile
	sed 's/^CREATE OR REPLACE \(FUNCTION\|PROCEDURE\)/CREATE \1/' $(FRONT_PARTS) >$@

# the client programs, each with a Makefile of its own
PROGRAMS = $(patsubst %/Makefile,%,$(call files,src/bin/*/Makefile))
program_vpath = $(if $(filter-out $(realpath .),$(realpath $(srcdir))),$(abspath $(srcdir))/$$program)
all: all-programs
install: install-programs install-documents
uninstall: uninstall-programs uninstall-documents
clean: clean-programs
all-programs install-programs uninstall-programs clean-programs:
	for program in $(PROGRAMS); do \
	  $(MKDIR_P) "$$program" && \
	  $(MAKE) -C "$$program" -f '$(abspath $(srcdir))'/"$$program"/Makefile \
	    PG_CONFIG='$(PG_CONFIG)' VPATH="$(program_vpath)" $(@:-programs=) || exit; \
	done

# PGXS would install documents by their names alone, beside those of others
DOCUMENT_FOLDER = $(DESTDIR)$(docdir)/$(docmoduledir)/$(MODULE_big)
install-documents:
	$(MKDIR_P) $(foreach folder,$(sort $(dir $(DOCUMENTS))),'$(DOCUMENT_FOLDER)/$(folder)') \
	  '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(mandir)/man7'
	for file in $(DOCUMENTS); do \
	  $(INSTALL_DATA) '$(srcdir)'/"$$file" '$(DOCUMENT_FOLDER)'/"$$file" || exit; \
	done
	for file in $(notdir $(MANUALS)); do \
	  $(INSTALL_DATA) '$(srcdir)'/man/"$$file" '$(DESTDIR)$(mandir)'/man"$${file##*.}" || exit; \
	done

uninstall-documents:
	rm -rf '$(DOCUMENT_FOLDER)'
	for file in $(notdir $(MANUALS)); do \
	  rm -f '$(DESTDIR)$(mandir)'/man"$${file##*.}"/"$$file" || exit; \
	done

check-style:
	PG_CONFIG='$(PG_CONFIG)' $(here)/ci/style

deb dist:
	$(here)/script/package $@

.PHONY: check-style deb dist expected-results result-folders install-documents uninstall-documents \
	all-programs install-programs uninstall-programs clean-programs
