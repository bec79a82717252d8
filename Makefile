# SPDX-License-Identifier: ISC
# PeerNet.  `make help` lists the targets.  Everything built is under build/.
#   V=1         show commands              WERROR=1    warnings are errors
#   SAN=asan    ASan + UBSan, build/asan   CC=clang    build/clang
#   FUZZ=libfuzzer CC=clang                real fuzzers, build/libfuzzer
#   SEED=N      for `make sim`             FUZZ_RUNS=N mutations per fuzz target

VERSION := 0.1.0
SOVERSION := 0

# --- source lists: one variable per archive or program ----------------------
BASE_SRC    := $(sort $(wildcard libpeernet/base/*.c))
LIB_SRC     := $(sort $(wildcard libpeernet/*.c))
NET_SRC     := $(sort $(wildcard pnstackd/net/*.c))
SESSION_SRC := $(sort $(wildcard pnstackd/session/*.c))
LOOP_SRC    := $(sort $(wildcard pnstackd/loop/*.c))
LINK_SRC    := $(sort $(wildcard pnstackd/link/*.c))
API_SRC     := $(sort $(wildcard pnstackd/api/*.c))
HOST_SRC    := $(sort $(wildcard pnstackd/host/*.c))
MAIN_SRC    := $(wildcard pnstackd/main.c)
SHIM_SRC    := $(sort $(wildcard shim/libpnpreload/*.c))
TOOL_SRC    := $(sort $(wildcard tools/common/*.c))
TOOLS       := $(basename $(notdir $(sort $(wildcard tools/*.c))))
EXAMPLES    := $(basename $(notdir $(sort $(wildcard libpeernet/examples/*.c))))
SIM_SRC     := $(sort $(wildcard tests/sim/*.c))
UNIT_SRC    := $(sort $(wildcard tests/unit/*.c))
SOCKDIFF_SRC := $(sort $(wildcard tests/e2e/sockdiff/*.c))
FUZZERS     := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
MAN         := $(sort $(wildcard man/*.[1-8]))
COMPLETIONS := $(sort $(wildcard tools/completion/*))

# --- where things go --------------------------------------------------------
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR  ?= $(PREFIX)/lib
INCDIR  ?= $(PREFIX)/include
MANDIR  ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= /etc
B := build$(if $(FUZZ),/$(FUZZ),$(if $(SAN),/$(SAN))$(if $(findstring clang,$(CC)),/clang))
export PN_BUILD := $(abspath $(B))

# --- flags ------------------------------------------------------------------
# Includes are written from the top: "pnstackd/net/net.h"; <peernet.h> is public
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wvla
DEFS := -D_GNU_SOURCE -DPN_VERSION=\"$(VERSION)\" -DPN_LIBDIR=\"$(LIBDIR)\" \
	-DPN_SYSCONFDIR=\"$(SYSCONFDIR)\"
INCS := -iquote . -idirafter libpeernet
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
SANFLAGS := $(if $(FUZZ),-fsanitize=fuzzer-no-link) $(if $(FUZZ)$(SAN),$(SAN_asan))

PKG_CONFIG ?= pkg-config
# $(call dep,VARIABLE,pkg-config module,Debian package[,_TEST])
define dep_
ifeq ($$(origin $(1)_CFLAGS) $$(origin $(1)_LIBS),undefined undefined)
  $(1)_LIBS := $$(shell $(PKG_CONFIG) --cflags --libs $(2) 2>/dev/null)
  $(1)_CFLAGS := $$(filter -I% -D%,$$($(1)_LIBS))
  $(1)_LIBS := $$(filter-out -I% -D%,$$($(1)_LIBS))
  MISSING$(4) += $$(if $$($(1)_LIBS),,$(3))
endif
endef
dep = $(eval $(call dep_,$(1),$(2),$(3),$(4)))
$(call dep,PCAP,libpcap,libpcap-dev)
$(call dep,URING,liburing,liburing-dev)
$(call dep,JANSSON,jansson,libjansson-dev)
$(call dep,SODIUM,libsodium,libsodium-dev)
$(call dep,CRYPTO,libcrypto,libssl-dev)
$(call dep,NGTCP2,libngtcp2,libngtcp2-dev)
$(call dep,NGTCP2_GNUTLS,libngtcp2_crypto_gnutls,libngtcp2-crypto-gnutls-dev)
$(call dep,GNUTLS,gnutls,libgnutls28-dev)
$(call dep,CUNIT,cunit,libcunit1-dev,_TEST)

NET_LIBS := $(SODIUM_LIBS) $(CRYPTO_LIBS)
SESSION_LIBS := $(NGTCP2_GNUTLS_LIBS) $(NGTCP2_LIBS) $(GNUTLS_LIBS)
HOST_LIBS := $(PCAP_LIBS) $(URING_LIBS) $(JANSSON_LIBS)
DEP_CFLAGS := $(sort $(PCAP_CFLAGS) $(URING_CFLAGS) $(JANSSON_CFLAGS) \
	$(SODIUM_CFLAGS) $(CRYPTO_CFLAGS) $(NGTCP2_CFLAGS) \
	$(NGTCP2_GNUTLS_CFLAGS) $(GNUTLS_CFLAGS) $(CUNIT_CFLAGS))

ALL_CFLAGS = -std=c11 $(DEFS) $(INCS) $(DEP_CFLAGS) $(WARN) $(CFLAGS) $(SANFLAGS)
COMPILE = $(CC) $(ALL_CFLAGS) $(if $(WERROR),-Werror) $(PIC) $(CPPFLAGS)
LINK = $(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS)
MAPS = $(filter %.map,$^)
SHARED = -shared -Wl,--exclude-libs,ALL $(if $(SAN)$(FUZZ),,-Wl,-z,defs) \
	$(MAPS:%=-Wl,--version-script=%)
Q := $(if $(V),,@)
up = $(shell echo $(1) | tr a-z A-Z)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(@:$(CURDIR)/%=%)')
objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
JOBS ?= $(shell nproc)
SUBMAKE = $(MAKE) --no-print-directory

# --- what there is to build -------------------------------------------------
LAYERS := host api link loop session net base
ARCHIVES := $(LAYERS:%=$(B)/%.a)
GROUP = -Wl,--start-group $(ARCHIVES) -Wl,--end-group
LIB := $(if $(LIB_SRC),$(addprefix $(B)/libpeernet,.a .so.$(SOVERSION) .so))
SHIM := $(if $(SHIM_SRC),$(B)/libpnpreload.so)
DAEMON := $(if $(MAIN_SRC),$(B)/pnstackd)
SIM := $(if $(SIM_SRC),$(B)/pnsim)
TOOL_BIN := $(addprefix $(B)/,$(TOOLS))
EXAMPLE_BIN := $(addprefix $(B)/example-,$(EXAMPLES))
FUZZ_BIN := $(addprefix $(B)/fuzz-,$(FUZZERS))
FUZZ_MAIN := $(if $(FUZZ),,$(wildcard tests/fuzz/replay.c))
# what is installed: mode:file:directory
INSTALLED := $(DAEMON:%=755:%:$(SBINDIR)) $(patsubst %,755:%:$(BINDIR),$(TOOL_BIN) $(SIM)) \
	$(SHIM:%=755:%:$(LIBDIR)) $(COMPLETIONS:%=644:%:$(COMPDIR)) \
	$(foreach m,$(MAN),644:$m:$(MANDIR)/man$(subst .,,$(suffix $m))) \
	$(if $(LIB),644:$(B)/libpeernet.a:$(LIBDIR) \
		755:$(B)/libpeernet.so.$(SOVERSION):$(LIBDIR) \
		644:libpeernet/peernet.h:$(INCDIR) \
		644:$(B)/peernet.pc:$(LIBDIR)/pkgconfig) \
	$(patsubst pnstackd/%.in,644:$(B)/%:$(UNITDIR),$(wildcard pnstackd/*.service.in))

.PHONY: all check unit sim soak soak-e2e numbers bench-shim fuzz e2e demo deps deps-test asan tidy cppcheck \
	check-layers lint-man install uninstall dist clean help found FORCE
.DELETE_ON_ERROR .SECONDARY:

all: $(ARCHIVES) $(DAEMON) $(LIB) $(SHIM) $(TOOL_BIN) $(SIM) $(EXAMPLE_BIN) ## build everything but the tests

found:
	$(if $(strip $(MISSING)),@echo 'make: not found by $(PKG_CONFIG):\
	 $(strip $(MISSING)) (Debian packages). Run `make deps`' >&2; exit 1)

# Objects depend on the flags, archives on the lists of their sources
$(B)/.flags: SAYS = $(CC) $(ALL_CFLAGS)
$(B)/.lists: SAYS = $(BASE_SRC) $(LIB_SRC) $(foreach l,$(LAYERS),$($(call up,$l)_SRC))
$(B)/.flags $(B)/.lists: FORCE
	@mkdir -p $(@D); echo '$(SAYS)' | cmp -s - $@ || echo '$(SAYS)' >$@

$(B)/obj/libpeernet/%.o: PIC := -fPIC
$(B)/obj/shim/%.o: PIC := -fPIC -fvisibility=hidden
$(B)/obj/%.o: %.c $(B)/.flags | found
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

$(foreach a,$(LAYERS),$(eval $(B)/$a.a: $(call objs,$($(call up,$a)_SRC))))
$(B)/libpeernet.a: $(call objs,$(LIB_SRC) $(BASE_SRC))
$(B)/tools-common.a: $(call objs,$(TOOL_SRC))
$(B)/%.a: $(B)/.lists
	$(call say,AR)
	$(Q)rm -f $@; $(AR) rcs $@ $(filter %.o,$^)

$(B)/pnstackd: $(call objs,$(MAIN_SRC)) $(call objs,libpeernet/api_wire.c) $(ARCHIVES)
	$(call say,LD)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(GROUP) $(SESSION_LIBS) $(NET_LIBS) $(HOST_LIBS)

# what tests/sim/byz*.c change at nodes that are not honest
SIM_WRAPS := fwd_on_packet fwd_originate fwd_relay adj_ctl_send adj_soft_send adj_input
$(B)/pnsim: $(call objs,$(SIM_SRC)) $(B)/session.a $(B)/net.a $(B)/base.a
	$(call say,LD)
	$(Q)$(LINK) $(SIM_WRAPS:%=-Wl,--wrap=%) -o $@ $^ $(SESSION_LIBS) $(NET_LIBS) $(JANSSON_LIBS) -lm

# a program of its own: it brings its own network layer
$(B)/unit-session: $(call objs,$(sort $(wildcard tests/unit/session/*.c))) $(B)/session.a $(B)/base.a
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^ $(SESSION_LIBS) $(NET_LIBS) $(CUNIT_LIBS) -lm

# a program of its own: the shim's hooks have the names of libc's calls
$(B)/unit-shim: $(call objs,$(sort $(wildcard tests/unit/shim/*.c)) tests/unit/unit.c \
		$(filter-out %/daemon.c %/real.c,$(SHIM_SRC))) $(B)/libpeernet.a
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^ $(CUNIT_LIBS) -ldl -lresolv

$(B)/unit: $(call objs,$(UNIT_SRC)) $(B)/tools-common.a $(B)/libpeernet.a $(ARCHIVES)
	$(if $(strip $(MISSING_TEST)),@echo 'make: no CUnit: run `make deps-test`' >&2; exit 1)
	$(call say,LD)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(B)/tools-common.a \
		$(if $(LIB_SRC),$(B)/libpeernet.a) $(GROUP) $(SESSION_LIBS) $(NET_LIBS) $(HOST_LIBS) $(CUNIT_LIBS) -lm

$(B)/fuzz-%: $(B)/obj/tests/fuzz/fuzz_%.o $(call objs,$(FUZZ_MAIN)) $(B)/libpeernet.a $(ARCHIVES)
	$(call say,LD)
	$(Q)$(LINK) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(GROUP) \
		$(B)/libpeernet.a $(SESSION_LIBS) $(NET_LIBS) $(HOST_LIBS)

$(B)/libpeernet.so.$(SOVERSION): $(call objs,$(LIB_SRC)) $(B)/base.a $(wildcard libpeernet/*.map)
	$(call say,LD)
	$(Q)$(LINK) $(SHARED) -Wl,-soname,$(@F) -o $@ $(filter %.o %.a,$^)
$(B)/libpeernet.so: $(B)/libpeernet.so.$(SOVERSION)
	$(Q)ln -sf $(<F) $@

$(B)/libpnpreload.so: $(call objs,$(SHIM_SRC)) $(B)/libpeernet.a $(wildcard shim/libpnpreload/*.map)
	$(call say,LD)
	$(Q)$(LINK) $(SHARED) -o $@ $(filter %.o %.a,$^) -ldl

$(TOOL_BIN): $(B)/%: $(B)/obj/tools/%.o $(B)/tools-common.a $(B)/libpeernet.a
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^ $(JANSSON_LIBS) -lm

$(B)/sockrate: $(B)/obj/tests/bench/sockrate.o
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^ -lpthread

$(EXAMPLE_BIN): $(B)/example-%: $(B)/obj/libpeernet/examples/%.o $(B)/libpeernet.a
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^

# a plain program, which knows nothing of PeerNet
$(B)/sockdiff: $(call objs,$(SOCKDIFF_SRC))
	$(call say,LD)
	$(Q)$(LINK) -o $@ $^ -pthread

# --- tests ------------------------------------------------------------------
check: ## everything from a fresh clone: dependencies, build, all tests
	tests/deps.sh build test
	+@$(SUBMAKE) -j$(JOBS) all $(B)/unit $(B)/unit-session $(B)/unit-shim $(FUZZ_BIN); rc=$$?; \
	for t in unit sim fuzz check-layers lint-man e2e; do \
		$(SUBMAKE) $$t || rc=1; done; exit $$rc
unit: $(B)/unit $(B)/unit-session $(B)/unit-shim ## unit tests (CUnit)
	$(B)/unit
	$(B)/unit-session
	$(B)/unit-shim
sim: $(SIM) ## simulated networks; SEED=N repeats one
	@$(if $(wildcard tests/sim/run.sh),tests/report.sh sim tests/sim/run.sh,:)
numbers: $(SIM) ## measure what the network layer promises; SEEDS="1 2" shortens it
	tests/sim/numbers.sh
soak: all ## new seeds of simulated networks for an hour; SOAK_S=SECONDS; then soak-e2e
	@rc=0; tests/sim/soak.sh || rc=1; $(SUBMAKE) soak-e2e || rc=1; exit $$rc
soak-e2e: all ## 225 daemons: 30 die, 30 cables move, under downloads; SEED=N
	@GRID_TOPOLOGY=$(CURDIR)/tests/topologies/grid4-0225.json GRID_SEED=$(or $(SEED),1) \
		GRID_KILLS=30 GRID_MOVES=30 GRID_GETS=8 GRID_BYTES=10000000 \
		tests/report.sh soak-e2e tests/e2e/inside.sh bats -t tests/e2e/09_grid.bats
bench-shim: all $(B)/sockrate ## what sockets over the shim cost beside native ones
	@tests/e2e/inside.sh tests/bench/shim.sh
fuzz: $(FUZZ_BIN) ## replay the corpus and mutations of it into each parser
	@rc=0; for f in $(FUZZERS); do mkdir -p $(B)/corpus/$$f; \
		tests/report.sh fuzz-$$f $(B)/fuzz-$$f $(if $(FUZZ),-runs=,-n )$(or \
		$(FUZZ_RUNS),20000) $(B)/corpus/$$f $(wildcard tests/fuzz/corpus)/$$f \
		|| rc=1; done; exit $$rc
e2e: all $(B)/sockdiff ## programs in network namespaces (Bats)
	@$(if $(wildcard tests/e2e/*.bats),tests/report.sh e2e tests/e2e/inside.sh bats -t tests/e2e,:)
demo: ## five nodes in namespaces, told step by step
	tests/deps.sh build demo
	+@$(SUBMAKE) -j$(JOBS) all && exec tests/e2e/demo.sh
asan: ## unit and simulation tests under ASan and UBSan
	+@$(SUBMAKE) SAN=asan unit sim
check-layers: $(ARCHIVES) ## who may call and include what
	$(if $(SAN)$(FUZZ),@echo 'make: check-layers needs a plain build' >&2; exit 1)
	@CC='$(CC)' FLAGS='-std=c11 -D_GNU_SOURCE $(INCS) $(DEP_CFLAGS) $(WARN) -Werror' \
		tests/report.sh check-layers tests/check-layers.sh $(B)
lint-man: ## manual pages through mandoc
	@$(if $(MAN),tests/report.sh lint-man mandoc -Tlint -Wwarning $(MAN),:)
tidy: ## clang-tidy (checks and reasons in .clang-tidy)
	git ls-files -co --exclude-standard '*.c' | xargs -P $(JOBS) -I{} \
		clang-tidy --quiet {} -- -std=c11 $(DEFS) $(INCS) $(DEP_CFLAGS)
cppcheck: ## cppcheck; checks that are off, with reasons, in tests/cppcheck.txt
	cppcheck --quiet --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.txt \
		--error-exitcode=1 -D_GNU_SOURCE -I. \
		libpeernet pnstackd shim tools tests
deps: ## install what building needs (Debian packages)
	@tests/deps.sh build
deps-test: ## install what the tests need (Debian packages)
	@tests/deps.sh test

# --- install ----------------------------------------------------------------
$(B)/peernet.pc $(B)/pnstackd.service: $(B)/%: $(B)/.flags
	$(Q)$(SUBST) $(wildcard */$*.in) >$@
SUBST = sed 's|@VERSION@|$(VERSION)|g; s|@INCDIR@|$(INCDIR)|g; \
	s|@LIBDIR@|$(LIBDIR)|g; s|@BINDIR@|$(BINDIR)|g; s|@SBINDIR@|$(SBINDIR)|g; \
	s|@SYSCONFDIR@|$(SYSCONFDIR)|g'
each = set -e; for i in $(INSTALLED); do IFS=: read -r mode file dir <<<"$$i"
install uninstall: SHELL := /bin/bash
install: all $(filter $(B)/%.pc $(B)/%.service,$(subst :, ,$(INSTALLED))) ## to PREFIX (/usr/local), below DESTDIR
	@$(each); install -v -D -m "$$mode" -t "$(DESTDIR)$$dir" "$$file"; done
	$(if $(LIB),ln -sf libpeernet.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libpeernet.so)
	$(if $(DESTDIR),,@ldconfig 2>/dev/null || true)
uninstall: ## remove what install put there
	@$(each); rm -fv "$(DESTDIR)$$dir/$${file##*/}"; done
	rm -f $(DESTDIR)$(LIBDIR)/libpeernet.so
dist: ## build/peernet-VERSION.tar.gz of the last commit
	@mkdir -p build
	git archive --prefix=peernet-$(VERSION)/ -o build/peernet-$(VERSION).tar.gz HEAD
clean: ## remove build/
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
