# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace under libFuzzer, for tests/fuzz/run-trace. SRC is where the tool's
# sources are, OUT where all that is built goes; "make tools" comes before it.
SRC ?= tools/bus1-trace
OUT ?= build/fuzz
CLANG ?= clang
# An empty array begins and ends at NULL + 0, which is no defect.
SANITIZE := -fsanitize=address,undefined -fno-sanitize=pointer-overflow \
	    -fno-sanitize-recover=undefined
FLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer $(SANITIZE) \
	 -Iinclude/uapi -Iinclude -Ikmod -Ibpf -Ibuild/bpf -Ibuild/proto -I$(SRC) \
	 -MMD -MP -DBUS1_VERSION='"fuzz"' -DSNAPSHOT_MAX='((size_t)32 << 20)'

TOOL := $(patsubst $(SRC)/%.c,$(OUT)/obj/tool/%.o,$(wildcard $(SRC)/*.c)) \
	$(OUT)/obj/tool/perfetto.pb-c.o
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/obj/%.o,$(wildcard tests/fuzz/trace-*.c))
# What the harness has in the place of main() and of libc's functions
OURS := main exit argp_parse argp_error fopen tmpfile fclose getrandom sigaction

$(OUT)/trace-fuzz: $(FUZZ) $(TOOL)
	$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ -lbpf -ldw -lelf -lz \
		-lprotobuf-c -ljson-c

# With sections of its own, it can be told what the tool has as state.
define compile
@mkdir -p $(@D)
$(CLANG) $(FLAGS) -w -fsanitize=fuzzer-no-link -MF $(@:.o=.d) -MT $@ \
	-c -o $@.o $<
objcopy $(foreach f,$(OURS),--redefine-sym $(f)=tool_$(f)) \
	--rename-section .data=tool_data --rename-section .bss=tool_bss \
	$@.o $@
@rm $@.o
endef

$(OUT)/obj/tool/%.o: $(SRC)/%.c tests/fuzz/trace-build.mk
	$(compile)
$(OUT)/obj/tool/%.pb-c.o: build/proto/%.pb-c.c tests/fuzz/trace-build.mk
	$(compile)

# No built-ins: here free() changes variables.
$(OUT)/obj/trace-%.o: tests/fuzz/trace-%.c tests/fuzz/trace-build.mk
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) -Wall -Wextra -fno-builtin -c -o $@ $<

-include $(wildcard $(OUT)/obj/*.d $(OUT)/obj/tool/*.d)
