# neap -- everything is built into $(B), nothing outside of it is touched.
# Yours to set: CC CFLAGS LDFLAGS LUA PREFIX DESTDIR B; WERROR=1 makes warnings
# errors, V=1 shows the commands.

LUA ?= lua5.4
BUSTED ?= $(LUA) /usr/bin/busted
LUACHECK ?= luacheck
PREFIX ?= /usr/local
LUADIR ?= $(PREFIX)/share/lua/5.4
LIBDIR ?= $(PREFIX)/lib/lua/5.4
INCDIR ?= $(PREFIX)/include
CFLAGS ?= -O2 -g
B ?= build

# once,NAME,COMMAND: the command runs when NAME is first used, and only then,
# so that `make deps` works before there is a pkg-config.
once = $(eval $(1) := $$(shell $(2)))$($(1))
LUA_CFLAGS ?= $(call once,LUA_CFLAGS,pkg-config --cflags lua5.4)
LUA_LIBS ?= $(call once,LUA_LIBS,pkg-config --libs lua5.4)
UV_CFLAGS ?= $(call once,UV_CFLAGS,pkg-config --cflags libuv)
UV_LIBS ?= $(call once,UV_LIBS,pkg-config --libs libuv)
PQ_CFLAGS ?= $(call once,PQ_CFLAGS,pkg-config --cflags libpq)
PQ_LIBS ?= $(call once,PQ_LIBS,pkg-config --libs libpq)

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wwrite-strings \
  -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough \
  $(WARN_GCC) $(if $(filter-out 0,$(WERROR)),-Werror)
WARN_GCC ?= $(call once,WARN_GCC,for w in -Wjump-misses-init -Wlogical-op; \
  do $(CC) -Werror $$$$w -x c -c /dev/null -o /dev/null 2>/dev/null \
  && echo $$$$w; done)
FLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fno-plt -fvisibility=hidden $(WARN) \
  -Iinclude -Isrc $(LUA_CFLAGS) $(ROOM) $(CFLAGS) $(SANITIZE)

base := $(wildcard src/base/*.c)
run := $(wildcard src/run/*.c)
core := $(wildcard src/core/*.c)
pg := $(wildcard src/pg/*.c)
test := $(wildcard test/c/*.c)
object = $(patsubst %.c,$(B)/%.o,$(1))
modules := $(B)/neap/core.so $(B)/neap/pg/core.so
programs := $(patsubst %.c,$(B)/%,$(test))
strangers := $(addprefix $(B)/spec/capi/,stranger.so parrot.so newer.so \
  older.so other.so)
# The value codecs alone, without core and server: spec/pg/value_*_spec.lua.
harness := $(B)/test/value.so
strangers += $(harness)

told = $(if $(V),,@printf '  %-4s %s\n' $(1) $@; )

all: $(modules) ## build both modules (the default)

$(B)/neap/core.so: $(call object,$(base) $(run) $(core))
	@mkdir -p $(@D)
	$(call told,LINK)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -shared -o $@ $^ $(UV_LIBS)

$(B)/neap/pg/core.so: $(call object,$(base) $(pg))
	@mkdir -p $(@D)
	$(call told,LINK)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -shared -o $@ $^ $(PQ_LIBS) -lm

$(B)/src/run/%.o: ROOM = -DNEAP_CORE $(UV_CFLAGS)
$(B)/src/core/%.o: ROOM = -DNEAP_CORE $(UV_CFLAGS)
$(B)/src/pg/%.o: ROOM = $(PQ_CFLAGS)
$(B)/test/c/%.o: ROOM = -DNEAP_CORE $(UV_CFLAGS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call told,CC)$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

# C tests take from the rooms without Lua what they need.
$(B)/test/rooms.a: $(call object,$(base) $(run))
	@mkdir -p $(@D) && rm -f $@
	$(call told,AR)$(AR) rcs $@ $^
$(B)/test/c/%: $(B)/test/c/%.o $(B)/test/rooms.a
	$(call told,LINK)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(UV_LIBS) $(LUA_LIBS) -ldl

$(B)/test/alone.so: tools/alone.c Makefile
	@mkdir -p $(@D)
	$(call told,CC)$(CC) $(FLAGS) -fno-sanitize=all -shared -o $@ $<

# A stranger's module sees one header. The same file built against headers of
# other times: one slot more, the last slots less, another ABI.
strange = $(CC) -std=c11 -fPIC -shared $(WARN) $(LUA_CFLAGS) $(CFLAGS) \
  $(SANITIZE) -o $@ $< $(LDFLAGS) -lpthread
$(B)/spec/capi/stranger.so $(B)/spec/capi/parrot.so: $(B)/spec/capi/%.so: \
  spec/capi/%.c include/neap.h Makefile
	@mkdir -p $(@D)
	$(call told,CC)$(strange) -Iinclude
$(B)/spec/capi/newer.so: later = s,.*since version 1,  void (*later)(void);&,
$(B)/spec/capi/older.so: later = /(\*stream_open)/,/(\*leaked)/d
$(B)/spec/capi/other.so: later = s,neap\.capi\.1,neap.capi.2,
$(B)/spec/capi/newer.so $(B)/spec/capi/older.so $(B)/spec/capi/other.so: \
  $(B)/spec/capi/%.so: spec/capi/stranger.c include/neap.h Makefile
	@mkdir -p $(@D)/$*
	@sed '$(later)' include/neap.h >$(@D)/$*/neap.h
	@! cmp -s include/neap.h $(@D)/$*/neap.h
	$(call told,CC)$(strange) -I$(@D)/$* -Dluaopen_stranger=luaopen_$*

$(harness): $(call object,spec/pg/harness/value.c src/core/numeric.c $(base) \
  $(wildcard src/pg/value*.c src/pg/type_*.c src/pg/json*.c))
	@mkdir -p $(@D)
	$(call told,LINK)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -shared -o $@ $^ -lm

-include $(patsubst %.o,%.d,$(call object,$(base) $(run) $(core) $(pg) $(test) \
  spec/pg/harness/value.c))

env: ## print what a shell needs to use this tree: eval "$(make -s env)"
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;'" \
	  "LUA_CPATH='$(CURDIR)/$(B)/?.so;;'"

deps: ## install what is missing from Debian's packages
	@scripts/deps.sh all

# These targets install first what they need. pkg-config may only be asked
# after that: hence the second make, which takes all processors.
again = @+$(MAKE) --no-print-directory \
  $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
in_tree = LUA='$(LUA)' LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' \
  LUA_CPATH='$(CURDIR)/$(B)/?.so;;'

test: ## build, then the C tests and the suite: TEST=spec/pg picks a part
	@scripts/deps.sh build test
	$(again) hostile B=$(B)/hostile
	$(again) suite

demo: ## build, then import the order book: examples/orders.lua
	@scripts/deps.sh build demo
	$(again) all
	@$(in_tree) $(LUA) examples/orders.lua

examples: ## run every example
	@scripts/deps.sh build demo
	$(again) all
	@set -e; for f in examples/*.lua; do \
	  echo "== $$f"; $(in_tree) $(LUA) "$$f"; done

bench: ## measure, side by side with what else there is: bench/RESULTS.md
	@scripts/deps.sh build demo bench
	$(again) all
	@$(in_tree) sh -c 'if [ -f bench/run.sh ]; then exec sh bench/run.sh; \
	  else exec $(LUA) bench/run.lua; fi'

lint: ## layers, static state, luacheck, every warning an error
	@scripts/deps.sh build lint
	$(again) compiled B=$(B)/lint WERROR=1
	$(LUA) tools/layers.lua src include lua tools spec test examples bench
	$(LUA) tools/statics.lua $(B)/lint
	$(LUACHECK) -q lua spec examples bench tools test types .busted

check: ## lint, test, asan
	$(again) lint
	$(again) test
	$(again) asan

asan: ## the suite under the address and undefined-behaviour sanitizers
	@scripts/deps.sh build test asan
	$(again) asan-suite B=$(B)/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	  SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	  -DNEAP_HOSTILE'

storm: ## the core's specs on a hostile build: SEED=n, N=programs, TEST=specs
	@scripts/deps.sh build test
	$(again) storm-suite B=$(B)/hostile SANITIZE=-DNEAP_HOSTILE

valgrind: ## the suite under valgrind (slow)
	@scripts/deps.sh build test valgrind
	$(again) valgrind-suite B=$(B)/valgrind CFLAGS='-O1 -g' \
	  SANITIZE=-DNEAP_HOSTILE

# One instrumented program for each; SECONDS each, found inputs stay below $(B).
FUZZ_CC ?= clang
SECONDS ?= 60
fuzz_sources = spec/pg/harness/value.c src/core/numeric.c $(base) \
  $(wildcard src/pg/value*.c src/pg/type_*.c src/pg/json*.c) src/pg/copy_row.c
fuzz: ## fuzz the decoders and the rows of COPY: SECONDS=60 each (needs clang)
	@mkdir -p $(B)/fuzz
	@set -e; for f in fuzz fuzz_rows; do \
	  $(FUZZ_CC) -std=c11 -D_GNU_SOURCE -O1 -g -Iinclude -Isrc \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    $(LUA_CFLAGS) -o $(B)/fuzz/$$f spec/pg/harness/$$f.c $(fuzz_sources) \
	    $$(pkg-config --variable=libdir lua5.4)/liblua5.4.a -lm -ldl; \
	  mkdir -p $(B)/fuzz/$$f.found; \
	  $(B)/fuzz/$$f -max_len=300 -max_total_time=$(SECONDS) -print_final_stats=1 \
	    -timeout=10 -artifact_prefix=$(B)/fuzz/ $(B)/fuzz/$$f.found \
	    spec/pg/harness/corpus/$$f; done

install: all ## install below PREFIX (DESTDIR, LUADIR, LIBDIR, INCDIR)
	cd lua && find neap -name '*.lua' -exec \
	  install -D -m 644 '{}' '$(DESTDIR)$(LUADIR)/{}' ';'
	install -D -m 755 $(B)/neap/core.so '$(DESTDIR)$(LIBDIR)/neap/core.so'
	install -D -m 755 $(B)/neap/pg/core.so '$(DESTDIR)$(LIBDIR)/neap/pg/core.so'
	install -D -m 644 include/neap.h '$(DESTDIR)$(INCDIR)/neap.h'

map: ## one line for each file: what it is for
	@$(LUA) tools/map.lua

clean: ## remove what was built
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	  awk -F'|' '{ printf "make %-9s %s\n", $$1, $$2 }'

# The second halves.
compiled: $(modules) $(programs) $(strangers)
suite: $(modules) $(strangers)
	@PROGRAMS='$(programs:$(B)/%=$(B)/hostile/%)' CC='$(CC)' LUA='$(LUA)' BUSTED='$(BUSTED)' \
	  scripts/suite.sh $(B) $(TEST)
hostile: SANITIZE = -DNEAP_HOSTILE
hostile: $(modules) $(programs)
asan-suite: compiled $(B)/test/alone.so
	@PROGRAMS='$(programs)' CC='$(CC)' LUA='$(LUA)' BUSTED='$(BUSTED)' \
	  scripts/suite.sh --asan $(B) $(TEST)
# Whoever sees it fail needs the seed.
storm-suite: seed := $(or $(SEED),$(shell date +%s))
storm-suite: compiled
	@echo "# hostile: to do this again, make storm SEED=$(seed)"
	@PROGRAMS='' CC='$(CC)' LUA='$(LUA)' BUSTED='$(BUSTED)' NEAP_TEST_SEED=$(seed) \
	  NEAP_HOSTILE_SEED=$(seed) $(if $(N),NEAP_STORM=$(N)) scripts/suite.sh $(B) \
	  $(or $(TEST),$(addprefix spec/,storm emitter thread))
valgrind-suite: compiled
	@PROGRAMS='$(programs)' CC='$(CC)' LUA='$(LUA)' BUSTED='$(BUSTED)' \
	  scripts/suite.sh --valgrind $(B) $(TEST)

.PHONY: all env deps test demo examples bench lint check asan valgrind fuzz install \
  map clean help compiled suite hostile asan-suite storm storm-suite \
  valgrind-suite
.SECONDARY:
.DELETE_ON_ERROR:
