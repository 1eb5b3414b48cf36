# Gatehouse. `make deps` once (as root), then `make`, `make test`; `make help` lists the rest.
#
#   CC=clang             another compiler
#   WOLFSSL=system       the distribution's wolfSSL (5.7 or newer) instead of our own build of it
#   BUILD=dir            where everything goes; sources are never written to
#   FUZZ_SECONDS=20      how long `make fuzz` runs each target
#   KINDS='build unit'   which kinds of tests `make test` runs, of tests/run.sh's
#   SKIP_MISSING=1       `make test-vm` installs nothing, and is skipped where something is missing
#   V=1                  show whole commands

VERSION := 0.4.0

BUILD        ?= build
WOLFSSL      ?= own
DEPS         ?= all
FUZZ_SECONDS ?= 20
KINDS        ?= build unit fuzz e2e
SKIP_MISSING ?= 0
PREFIX       ?= /usr/local
SAN          ?= none
ifeq ($(origin CC),default)
CC := gcc
endif
# One version of clang and its tools, which Debian 12 and 13 both have.
clang        := $(or $(shell command -v clang-19),clang)
clang_format := $(or $(shell command -v clang-format-19),clang-format)
ifeq ($(CC),clang)
CC := $(clang)
endif
AR           ?= ar
PKG_CONFIG   ?= pkg-config

comma := ,
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

# --- what there is -----------------------------------------------------------------------------------

sources      := $(filter-out server/main.c,$(sort $(shell find config db api server -name '*.c' 2>/dev/null)))
main         := $(wildcard server/main.c)
headers      := $(sort $(shell find config db api server tests -name '*.h' 2>/dev/null))
unit_tests   := $(sort $(wildcard tests/unit/test_*.c))
unit_helpers := $(filter-out $(unit_tests),$(sort $(wildcard tests/unit/*.c)))
e2e_helpers  := $(sort $(wildcard tests/e2e/*.c))
vm_helpers   := $(sort $(wildcard tests/vm/*.c))
bench_helpers := $(addprefix tests/bench/,client.c fleet.c measure.c) \
                 $(addprefix tests/unit/,soft_tpm.c ima_builder.c component_baseline.c)
bench_tools  := $(filter-out $(bench_helpers),$(sort $(wildcard tests/bench/*.c)))
fuzz_targets := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_helpers := $(filter-out $(fuzz_targets) tests/fuzz/replay.c,$(sort $(wildcard tests/fuzz/*.c)))
all_c        := $(sources) $(main) $(sort $(wildcard tests/*/*.c))
scripts      := $(sort $(wildcard .ci/run deploy/*.sh deploy/*/*.sh tests/*.sh tests/*/*.sh))

library := $(BUILD)/libgatehouse.a
program := $(if $(main),$(BUILD)/gatehouse)

# --- libraries ---------------------------------------------------------------------------------------

ifeq ($(WOLFSSL),system)
wolfssl_cflags := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags wolfssl 2>/dev/null))
wolfssl_libs   := $(shell $(PKG_CONFIG) --libs wolfssl 2>/dev/null)
wolfssl_id     := system $(shell $(PKG_CONFIG) --modversion wolfssl 2>/dev/null)
else
wolfssl_cflags := -isystem .deps/wolfssl/include
wolfssl_libs   := .deps/wolfssl/lib/libwolfssl.a
wolfssl_id     := $(shell readlink .deps/wolfssl)
endif

# libmicrohttpd is linked statically, and its calls on a connection are given their TLS meaning by
# server/transport/tls_socket.c. GnuTLS is there for the archive's sake only.
ifneq ($(wildcard server/transport/tls_socket.c),)
wrap := -Wl,--wrap=recv,--wrap=send,--wrap=sendmsg,--wrap=setsockopt,--wrap=MHD_pool_reset,--wrap=MHD_pool_reallocate
endif
libs := $(wolfssl_libs) -l:libmicrohttpd.a -lgnutls -ljansson -lsqlite3 -ltss2-mu \
        -lurcu-memb -lurcu-qsbr -lurcu-cds -lurcu-common -linih -ltasn1 -lseccomp -lcurl -lpthread -lm
check_libs := $(shell $(PKG_CONFIG) --libs check 2>/dev/null)

# --- flags -------------------------------------------------------------------------------------------

option = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(1)')

# A header of types only: modules are loaded while it runs.
p11_cflags := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags p11-kit-1 2>/dev/null))
cppflags := -I. $(wolfssl_cflags) $(p11_cflags) -D_GNU_SOURCE -DGATEHOUSE_VERSION='"$(VERSION)"'
warnings := -Wall -Wextra -Werror -Wshadow -Wconversion -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes
cflags   := -std=c17 -g $(warnings) -MMD -MP
ldflags  := -Wl,--as-needed $(wrap)

ifeq ($(SAN),none)
machine  := $(shell uname -m)
harden   := -fPIE -fstack-protector-strong $(call option,-fstack-clash-protection) \
            $(if $(filter x86_64,$(machine)),$(call option,-fcf-protection)) \
            $(if $(filter aarch64,$(machine)),$(call option,-mbranch-protection=standard))
cflags   += -O2 $(harden)
cppflags += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
ldflags  += -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
else
sanitize_asan := -fsanitize=address,undefined
sanitize_tsan := -fsanitize=thread
sanitize_fuzz := -fsanitize=fuzzer-no-link,address,undefined
cflags   += -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all $(sanitize_$(SAN))
ldflags  += $(if $(filter fuzz,$(SAN)),-fsanitize=address$(comma)undefined,$(sanitize_$(SAN)))
endif
cflags  += $(CFLAGS)
ldflags += $(LDFLAGS)

show = $(if $(V),,@printf '  %s  %s\n' $(1) $(2); )
compile = $(CC) $(cppflags) $(cflags)
# The group lets the archive's wrapped calls find tls_socket.c, wherever they stand on the line.
link    = $(call show,LD,$@)$(CC) $(cflags) $(ldflags) -o $@ $(filter %.o,$^) -Wl,--start-group $(library) $(libs) -Wl,--end-group

# --- building ----------------------------------------------------------------------------------------

.PHONY: all deps test test-build test-unit test-fuzz test-e2e test-fresh test-vm asan tsan fuzz bench demo lint fmt \
        arrows install install-device clean help FORCE tests unit-programs replay-programs fuzz-programs bench-programs \
        e2e-programs vm-programs
all: $(library) $(program)

# Changed flags, another compiler, or a source that went away rebuild what they must.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(compile) | $(ldflags) | $(libs) | $(wolfssl_id))' "$$($(CC) --version)" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(sources)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)$(compile) -c -o $@ $<

# The migrations become a table in the program.
$(BUILD)/gen/schema.c: db/schema/embed.sh $(wildcard db/schema/*.sql)
	@mkdir -p $(@D)
	@sh $< $(filter %.sql,$^) >$@

$(BUILD)/obj/gen/schema.o: $(BUILD)/gen/schema.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,CC,$<)$(compile) -c -o $@ $<

# The annotated configuration, which init fills in, is a part of the program.
$(BUILD)/obj/config/template.o: config/gatehouse.ini

# And so are the configurations of proxies.
$(BUILD)/obj/server/commands/proxy_template.o: $(sort $(wildcard deploy/proxies/*/*))

$(library): $(call objects,$(sources)) $(BUILD)/obj/gen/schema.o $(BUILD)/sources
	@rm -f $@
	$(call show,AR,$@)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/gatehouse: $(call objects,server/main.c) $(library) $(BUILD)/flags
	$(link)

# Each unit test is a program of its own, with the helpers beside it.
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call objects,$(unit_helpers)) $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	$(link) $(check_libs)

$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/%.o $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	$(link)

$(BUILD)/tests/vm/%: $(BUILD)/obj/tests/vm/%.o $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	$(link)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(call objects,$(bench_helpers)) $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	$(link)

# A fuzz target as a plain program that replays its seeds, and as a fuzzer.
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call objects,tests/fuzz/replay.c $(fuzz_helpers)) $(library) \
        $(BUILD)/flags
	@mkdir -p $(@D)
	$(link)

$(BUILD)/fuzzers/%: $(BUILD)/obj/tests/fuzz/%.o $(call objects,$(fuzz_helpers)) $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer

.SECONDARY:

unit-programs: $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(unit_tests))
replay-programs: $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(fuzz_targets))
fuzz-programs: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzzers/%,$(fuzz_targets))
bench-programs: $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(bench_tools))
e2e-programs: $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(e2e_helpers)) $(BUILD)/bench/loadgen
vm-programs: $(patsubst tests/vm/%.c,$(BUILD)/tests/vm/%,$(vm_helpers))
tests: all unit-programs replay-programs e2e-programs

-include $(patsubst %.c,$(BUILD)/obj/%.d,$(all_c)) $(BUILD)/obj/gen/schema.d

# --- dependencies ------------------------------------------------------------------------------------

deps:
	@DEPS='$(DEPS)' WOLFSSL='$(WOLFSSL)' sh deploy/deps.sh

# --- testing -----------------------------------------------------------------------------------------
# Each of these starts make anew: what `make deps` brought is only seen by a make that starts after it.

jobs := $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
again = +@$(MAKE) --no-print-directory $(jobs)

test: deps
	$(again) tests $(if $(filter vm,$(KINDS)),vm-programs)
	@BUILD='$(BUILD)' sh tests/run.sh $(KINDS)

test-build test-unit test-fuzz test-e2e: test-%: tests
	@BUILD='$(BUILD)' sh tests/run.sh $*

# A machine with firmware, Secure Boot and a TPM boots and attests; no part of `make test`.
test-vm:
	+@if [ '$(SKIP_MISSING)' = 1 ] && ! { DEPS=vm CHECK=1 sh deploy/deps.sh && sh tests/vm/fetch.sh; }; then \
	    echo 'skip - a measured boot: see above'; exit 0; \
	fi; \
	DEPS=vm WOLFSSL='$(WOLFSSL)' sh deploy/deps.sh && $(MAKE) --no-print-directory $(jobs) all vm-programs && \
	    BUILD='$(BUILD)' sh tests/run.sh vm

asan:
	$(again) BUILD=build/asan SAN=asan CC=$(clang) tests
	@BUILD=build/asan SAN=asan sh tests/run.sh unit fuzz e2e

# Only what says of itself that threads meet in it.
tsan:
	$(again) BUILD=build/tsan SAN=tsan CC=$(clang) tests
	@BUILD=build/tsan SAN=tsan sh tests/run.sh unit e2e

fuzz:
	$(again) BUILD=build/fuzz SAN=fuzz CC=$(clang) fuzz-programs
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' BUILD=build/fuzz sh tests/fuzz/run.sh

bench:
	$(again) all bench-programs
	BUILD='$(BUILD)' sh tests/bench/bench.sh

demo: deps
	$(again) all
	BUILD='$(BUILD)' sh deploy/demo/demo.sh

# On a Debian that has nothing yet, in a folder of its own (as root).
test-fresh:
	sh tests/build/fresh.sh

# --- reading -----------------------------------------------------------------------------------------

arrows:
	@sh tests/build/arrows.sh .

fmt:
	@$(clang_format) -i $(all_c) $(headers)

lint: arrows
	@COMPILE='$(subst ','\'',$(filter-out -MMD -MP -g,$(compile)))' BUILD='$(BUILD)' sh tests/build/lint.sh

# --- installing --------------------------------------------------------------------------------------

install: all
	install -D -m 755 $(BUILD)/gatehouse $(DESTDIR)$(PREFIX)/bin/gatehouse
	install -D -m 644 config/gatehouse.ini $(DESTDIR)$(PREFIX)/share/doc/gatehouse/gatehouse.ini
	install -D -m 644 deploy/systemd/gatehouse.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/gatehouse.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@bindir@|$(PREFIX)/bin|' deploy/systemd/gatehouse.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/gatehouse.service

# The device's side: no compiler, and nothing of the gateway.
device := deploy/device
install-device:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed -e 's|@version@|$(VERSION)|' -e 's|@libdir@|$(PREFIX)/lib/gatehouse-device|' $(device)/gatehouse-device \
	    >$(DESTDIR)$(PREFIX)/bin/gatehouse-device
	chmod 755 $(DESTDIR)$(PREFIX)/bin/gatehouse-device
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/gatehouse-device $(device)/*.sh $(device)/openssl.cnf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(device)/gatehouse-device.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/gatehouse-device $(device)/gatehouse-device.conf
	sed 's|@bindir@|$(PREFIX)/bin|' $(device)/gatehouse-device.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/gatehouse-device.service
	install -m 644 $(device)/gatehouse-device.timer $(DESTDIR)$(PREFIX)/lib/systemd/system/gatehouse-device.timer

clean:
	rm -rf build

help:
	@echo 'deps      install what is needed (as root)    all       build $(BUILD)/gatehouse'
	@echo 'test      run every test                      test-unit, test-e2e, test-fuzz, test-build: a part'
	@echo 'asan      tests with address checks           tsan      tests with thread checks'
	@echo 'fuzz      run the fuzzers for a while         bench     measure'
	@echo 'demo      a simulated device, end to end      test-fresh  demo and tests on a bare Debian'
	@echo 'test-vm   a machine boots and attests, in an emulator'
	@echo 'lint      linters, style, layering            fmt       format the sources'
	@echo 'arrows    layering only                       install   to DESTDIR and PREFIX'
	@echo 'install-device  the client for devices, to DESTDIR and PREFIX'
