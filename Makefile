# SPDX-License-Identifier: GPL-2.0-only
# "make help" lists the targets. Everything built goes to build/.

KERNELS ?= 6.1 6.12
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
VERSION := 0.1.0

# bpftool is in sbin, which is not on everybody's PATH.
export PATH := $(PATH):/usr/sbin:/sbin
.DELETE_ON_ERROR:

CC := gcc
CLANG := clang
CFLAGS ?= -O2 -g
INCLUDES := -Iinclude/uapi -Iinclude -Ikmod -Ibpf -Ibuild/bpf -Ibuild/proto \
	    -Itools/bus1-trace
# Frame pointers: so that bus1-trace, and perf, see who called.
ALL_CFLAGS = -std=gnu11 -Wall -Wextra -fno-omit-frame-pointer $(CFLAGS) \
	     $(INCLUDES) -MMD -MP
BPF_CFLAGS := -target bpf -g -O2 -Wall -D__TARGET_ARCH_x86 -Ikmod -Ibpf \
	      -Iinclude/uapi -Ibuild/bpf -MMD -MP

objects = $(patsubst %.c,build/obj/%.o,$(1))
programs = $(patsubst %.c,build/bin/%,$(notdir $(1)))

LIB_OBJ := $(call objects,$(wildcard lib/*.c))
BPF_SRC := $(wildcard bpf/*.bpf.c)
SKELETONS := $(BPF_SRC:bpf/%.bpf.c=build/bpf/%.skel.h)
PROTO := $(patsubst tools/bus1-trace/%.proto,build/proto/%.pb-c.c, \
	 $(wildcard tools/bus1-trace/*.proto))
TRACE_OBJ := $(call objects,$(wildcard tools/bus1-trace/*.c)) \
	     $(PROTO:build/proto/%.c=build/obj/proto/%.o)
EXAMPLES := $(call programs,$(wildcard examples/*.c))
TEST_SRC := $(wildcard tests/uapi/t-*.c)
TESTS_32 := $(call programs,$(filter %32.c,$(TEST_SRC)))
TESTS := $(call programs,$(filter-out %32.c,$(TEST_SRC)))
STRESS := $(call programs,$(wildcard tests/stress/*.c))
TRACE_TESTS := $(call programs,$(wildcard tests/trace/*.c))
INCIDENTS := $(call programs,$(wildcard tests/incidents/*.c))
# tests/bench/ipc-*.c are parts of ipc
BENCH_PARTS := $(wildcard tests/bench/ipc-*.c)
BENCH := $(call programs,$(filter-out $(BENCH_PARTS), \
	 $(wildcard tests/bench/*.c)))
FUZZ_SRC := $(filter-out %-engine.c %-seeds.c,$(wildcard tests/fuzz/ioctl-*.c)) \
	    tests/fuzz/model.c
SEEDS := build/bin/t-fuzz-seeds
LIBS := build/lib/libbus1.so build/lib/libbus1.a
TOOLS := $(if $(TRACE_OBJ),build/bin/bus1-trace)
MODULES := $(KERNELS:%=build/kmod/%/bus1.ko)
MAN := $(patsubst man/%.rst,build/man/%,$(wildcard man/*.rst))

.PHONY: all
all: modules lib tools examples tests man

.PHONY: help
help:
	@echo 'make              build everything: module, library, tool, tests'
	@echo 'make demo         watch real processes on the bus, in a guest'
	@echo 'make check        all tests, in guests; CONTRIBUTING.md has more'
	@echo 'make check-debug  all that attacks the module: under KASAN and KCSAN, with'
	@echo '                  faults, broken on purpose, fuzzed; an hour'
	@echo 'make debug-kernels  its kernels: half an hour, once'
	@echo 'make fuzz         random ioctls for half an hour, judged by a model'
	@echo 'make fuzz-trace   random recordings for bus1-trace, as long'
	@echo 'make coverage     what of kmod/ the suite runs, by gcov, and what not'
	@echo 'make check-long   larger models of the order, 10^8 transactions: hours'
	@echo 'make litmus       the memory barriers, by herd7, which it gets'
	@echo 'make bench        instructions of a message by bus1 and by others, beside'
	@echo '                  the targets; NATIVE=1: nanoseconds of this machine'
	@echo 'make lint         checkpatch, sparse and W=1'
	@echo 'make shell        a shell in a guest that has bus1 loaded'
	@echo 'make install      library, headers, tool, man pages; DESTDIR and'
	@echo '                  PREFIX as usual'
	@echo 'make install-module  the module as source for dkms'
	@echo 'make clean        remove build/'
	@echo 'make modules lib tools examples tests man'
	@echo '                  one part; KERNELS="6.1 6.12 kasan kcsan" says'
	@echo '                  for which kernels ($(KERNELS))'

.PHONY: modules lib tools examples tests man
modules: $(MODULES)
lib: $(LIBS)
tools: $(TOOLS)
examples: $(EXAMPLES)
tests: $(TESTS) $(TESTS_32) $(SEEDS) $(STRESS) $(TRACE_TESTS) $(INCIDENTS) $(BENCH)
man: $(MAN)

# Whatever runs a compiler waits for this; it takes no time when all is there.
.PHONY: deps
deps:
	@scripts/deps

# The kernels follow the installed headers.
build/kernel/%/release: | deps
	@scripts/kernel $*
build/kernel/6.1/release: \
	$(wildcard /var/lib/dpkg/info/linux-headers-amd64.list)
build/kernel/6.12/release: \
	$(wildcard /var/lib/dpkg/info/linux-headers-6.12-amd64.list)
.PRECIOUS: build/kernel/%/release

build/kmod/%/bus1.ko: build/kernel/%/release scripts/module \
		$(wildcard kmod/* include/uapi/linux/* tests/kapi/* tests/awake/*)
	@scripts/module $*

# For the tests of the tests: a module that can deliver in the wrong order
build/kmod/defects/bus1.ko: build/kernel/6.1/release scripts/module \
		$(wildcard kmod/* include/uapi/linux/* tests/kapi/*)
	@scripts/module defects

# For the kasan kernel, instrumented: what a fuzzer follows, and what counts
build/kmod/kcov/bus1.ko build/kmod/gcov/bus1.ko: build/kernel/kasan/release \
		scripts/module \
		$(wildcard kmod/* include/uapi/linux/* tests/kapi/*)
	@scripts/module $(notdir $(@D))

build/obj/lib/%.o: ALL_CFLAGS += -fPIC
build/obj/%.o: %.c | deps
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

build/lib/libbus1.so.0: $(LIB_OBJ) lib/libbus1.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libbus1.so.0 \
		-Wl,--version-script,lib/libbus1.map -Wl,-z,defs \
		-o $@ $(LIB_OBJ)

build/lib/libbus1.so: build/lib/libbus1.so.0
	ln -sf libbus1.so.0 $@

build/lib/libbus1.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	rm -f $@
	ar rcs $@ $^

# One vmlinux.h serves every kernel: libbpf adapts the programs when it loads
# them.
build/bpf/vmlinux.h: build/kernel/6.1/release
	@mkdir -p $(@D)
	bpftool btf dump file build/kernel/6.1/vmlinux format c >$@.new
	mv $@.new $@

build/bpf/%.bpf.o: bpf/%.bpf.c build/bpf/vmlinux.h
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<
	llvm-strip -g $@

build/bpf/%.skel.h: build/bpf/%.bpf.o
	bpftool gen skeleton $< name $* >$@.new
	mv $@.new $@
.PRECIOUS: build/bpf/%.bpf.o

# The fields of Perfetto's schema that export writes
build/proto/%.pb-c.c: tools/bus1-trace/%.proto | deps
	@mkdir -p $(@D)
	protoc-c --c_out=build/proto -I tools/bus1-trace $<
build/obj/proto/%.o: build/proto/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(TRACE_OBJ): $(SKELETONS) $(PROTO)
build/obj/tools/bus1-trace/main.o: Makefile
build/obj/tools/bus1-trace/main.o: ALL_CFLAGS += -DBUS1_VERSION='"$(VERSION)"'
build/bin/bus1-trace: $(TRACE_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lbpf -ldw -lelf -lz -lprotobuf-c

$(EXAMPLES): build/bin/%: build/obj/examples/%.o build/lib/libbus1.a
$(TESTS): build/bin/%: build/obj/tests/uapi/%.o build/lib/libbus1.a
$(STRESS): build/bin/%: build/obj/tests/stress/%.o build/lib/libbus1.a
$(TRACE_TESTS): build/bin/%: build/obj/tests/trace/%.o build/lib/libbus1.a
$(INCIDENTS): build/bin/%: build/obj/tests/incidents/%.o build/lib/libbus1.a
$(BENCH): build/bin/%: build/obj/tests/bench/%.o build/lib/libbus1.a
build/bin/ipc: $(call objects,$(BENCH_PARTS))
build/bin/t-fuzz-seeds: $(call objects,$(FUZZ_SRC) tests/fuzz/ioctl-seeds.c)
$(EXAMPLES) $(TESTS) $(SEEDS) $(STRESS) $(TRACE_TESTS) $(INCIDENTS) $(BENCH):
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -pthread

# A 32-bit caller, static: the guest has no 32-bit libraries.
$(TESTS_32): build/bin/%: tests/uapi/%.c | deps
	@mkdir -p $(@D) build/obj/tests/uapi
	$(CC) $(ALL_CFLAGS) -MF build/obj/tests/uapi/$*.d -m32 -static \
		-o $@ $< -pthread

# The seeds of the fuzzer are in the program that runs them.
build/fuzz/seeds.txt: $(wildcard tests/fuzz/seeds-ioctl/*.txt)
	@mkdir -p $(@D)
	cat $^ >$@
build/obj/tests/fuzz/ioctl-seeds.o: build/fuzz/seeds.txt

build/fuzz/ioctl-fuzz: $(FUZZ_SRC) tests/fuzz/ioctl-engine.c \
		$(wildcard tests/fuzz/*.h) include/uapi/linux/bus1.h
	@scripts/deps check
	@mkdir -p $(@D)
	$(CLANG) -std=gnu11 -Wall -Wextra $(CFLAGS) $(INCLUDES) \
		-fsanitize=fuzzer -o $@ $(filter %.c,$^) -pthread

build/man/%: man/%.rst | deps
	@mkdir -p $(@D)
	rst2man $< $@

.PHONY: demo
demo: build/kmod/6.1/bus1.ko lib tools examples
	tests/vm/run --turns --smp 2 -- demo.sh

.PHONY: check
check: all build/kmod/defects/bus1.ko
	@scripts/check

# The kernels that check themselves, from linux-source-6.1; nothing to do if they
# are up to date
.PHONY: debug-kernels
debug-kernels:
	@scripts/debug-kernel kasan kcsan

# What of kmod/ the suite runs, by gcov, and a list of the rest
.PHONY: coverage
coverage: tests build/kmod/gcov/bus1.ko
	@tests/coverage --list

.PHONY: check-debug
check-debug: debug-kernels all
	@scripts/check debug

# Half an hour each: ioctls in a guest with KASAN, judged by a model; recordings
.PHONY: fuzz fuzz-trace
fuzz: tests build/fuzz/ioctl-fuzz build/kmod/kcov/bus1.ko
	@tests/fuzz/run
fuzz-trace: tools
	@scripts/deps check
	@tests/fuzz/run-trace --seconds 1800

# The barriers, by the kernel's memory model; gets herd7 into build/herd
.PHONY: litmus
litmus:
	@tests/run --host --timeout 600 scripts/litmus

# Hours: larger models, and 10^8 transactions judged by the oracle
.PHONY: check-long
check-long: build/kmod/6.1/bus1.ko $(STRESS)
	@scripts/deps check
	@tests/run --host --timeout 36000 "tests/model/run --full"
	@tests/vm/run --smp 2 --mem 1024 --timeout 72000 -- \
		"order --max 100000000 -r 40000"

# Instructions, not time: the figures mean the same on every machine. What it
# needs besides, libsystemd, nothing else does.
.PHONY: bench
bench: $(if $(NATIVE),,build/kmod/6.1/bus1.ko tools) $(BENCH) build/bench/dbus
	@tests/bench/bench $(if $(NATIVE),--native)

# The figures that tests/bench/regress compares with, and the chart of them
.PHONY: bench-commit
bench-commit:
	@grep -q '"unit": "instructions"' build/bench/result.json || \
		{ echo 'run make bench first, without NATIVE' >&2; exit 1; }
	cp build/bench/result.json tests/bench/
	cp build/bench/result.svg doc/performance.svg

build/bench/dbus: tests/bench/dbus/dbus.c tests/bench/bench.h | deps
	@scripts/deps bench
	@mkdir -p $(@D) build/obj/tests/bench
	$(CC) $(ALL_CFLAGS) -MF build/obj/tests/bench/dbus.d -o $@ $< -lsystemd

.PHONY: lint
lint: build/kernel/6.1/release $(SKELETONS) $(PROTO)
	@scripts/deps check
	@tests/run --host --timeout 600 scripts/lint

.PHONY: shell
shell: all
	@tests/vm/run --smp 2 --shell

.PHONY: install
install: lib tools man
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(SBINDIR) \
		$(DESTDIR)$(INCLUDEDIR)/bus1 $(DESTDIR)$(INCLUDEDIR)/linux
	install -m 755 build/lib/libbus1.so.0 $(DESTDIR)$(LIBDIR)
	ln -sf libbus1.so.0 $(DESTDIR)$(LIBDIR)/libbus1.so
	install -m 644 build/lib/libbus1.a $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' lib/libbus1.pc.in | \
		install -m 644 /dev/stdin \
			$(DESTDIR)$(LIBDIR)/pkgconfig/libbus1.pc
	install -m 644 include/bus1/*.h $(DESTDIR)$(INCLUDEDIR)/bus1
	install -m 644 include/uapi/linux/bus1.h $(DESTDIR)$(INCLUDEDIR)/linux
	install -m 755 build/bin/bus1-trace $(DESTDIR)$(SBINDIR)
	install -D -m 644 tools/bus1-trace/completion.bash \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/bus1-trace
	install -D -m 644 tools/bus1-trace/wireshark/bus1.lua \
		$(DESTDIR)$(DATADIR)/bus1/wireshark/bus1.lua
	install -D -m 644 tools/bus1-trace/bus1-trace.schema.json \
		$(DESTDIR)$(DATADIR)/bus1/bus1-trace.schema.json
	for m in $(notdir $(MAN)); do \
		install -D -m 644 build/man/$$m \
			$(DESTDIR)$(MANDIR)/man$${m##*.}/$$m || exit; \
	done
	[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

# Source and dkms.conf; dkms builds it, here and after each new kernel.
.PHONY: install-module
install-module: SRC := $(DESTDIR)/usr/src/bus1-$(VERSION)
install-module:
	install -d $(SRC)/kmod $(SRC)/include/uapi/linux
	install -m 644 kmod/* $(SRC)/kmod
	install -m 644 include/uapi/linux/bus1.h $(SRC)/include/uapi/linux
	install -m 755 dist/dkms-build $(SRC)
	install -m 755 scripts/vmlinux $(SRC)/extract-vmlinux
	sed 's|@VERSION@|$(VERSION)|' dist/dkms.conf | \
		install -m 644 /dev/stdin $(SRC)/dkms.conf
	install -D -m 644 dist/bus1.rules \
		$(DESTDIR)/usr/lib/udev/rules.d/60-bus1.rules
	@echo 'Now: dkms install bus1/$(VERSION) && modprobe bus1'

.PHONY: clean
clean:
	rm -rf build

-include $(shell find build/obj build/bpf -name '*.d' 2>/dev/null)
