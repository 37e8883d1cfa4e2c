# A thin front to Meson. `make` builds build/shellguard, which runs from the tree without being installed.
PREFIX ?= /usr/local
BUILD ?= build

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX)

test: all
	@./test

# The tests on Debian 12's own kernel, in a virtual machine.
test-kernel: all
	@tools/test-kernel

# The live and escape tests with each kernel feature that can be done without hidden in turn, then with all of them hidden.
test-features: all
	@tools/test-features $(FEATURE)

# The races and storms of the escape suite, SOAK times as long as in CI.
SOAK ?= 20
test-soak: all
	@SG_TEST_LONGER=$(SOAK) SG_BUILD_ROOT=$(CURRENT) /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/escape \
		-k 'race or storm or moment or lies_in_wait or flood'

# The first two commands of the README on a Debian 12 with nothing but a shell and apt.
test-fresh:
	@tools/test-fresh

# Builds of their own, in folders beside $(BUILD). Each target builds what it needs and fails at the first finding.
CURRENT = $(CURDIR)/build
MEMORY = ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1

# Every suite with AddressSanitizer and UBSan in the tests and in the program.
test-asan:
	@[ -f build-asan/build.ninja ] || meson setup build-asan -Db_sanitize=address,undefined -Dbench=disabled
	@ninja -C build-asan
	@$(MEMORY) SG_BUILD_ROOT=$(CURRENT)-asan python3 tools/run-tests.py unit fault
	@SG_BUILD_ROOT=$(CURRENT)-asan python3 tools/run-tests.py live escape

# What has threads or is shared between processes, with ThreadSanitizer.
test-tsan:
	@[ -f build-tsan/build.ninja ] || meson setup build-tsan -Db_sanitize=thread -Dbench=disabled -Db_lundef=false
	@ninja -C build-tsan
	@TSAN_OPTIONS=halt_on_error=1:exitcode=99 SG_BUILD_ROOT=$(CURRENT)-tsan python3 tools/run-tests.py audit

test-clang:
	@[ -f build-clang/build.ninja ] || CC=clang meson setup build-clang
	@ninja -C build-clang
	@SG_BUILD_ROOT=$(CURRENT)-clang python3 tools/run-tests.py unit

# The layout, gcc's analyzer and clang-tidy, over src. Of gcc 12's: it takes what is put into a struct of the caller's for a leak
# (LeakSanitizer looks on in test-asan), and does not know that sg_error_set returns what it is given, below 0.
UNTRUE = -Wno-analyzer-malloc-leak -Wno-analyzer-null-argument -Wno-analyzer-null-dereference
analyze:
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
	@[ -f build-analyze/build.ninja ] || meson setup build-analyze -Dtests=disabled -Dbench=disabled -Dc_args="-fanalyzer $(UNTRUE)"
	@ninja -C build-analyze
	@[ -f build-clang/build.ninja ] || CC=clang meson setup build-clang
	@ninja -C build-clang src/policy/builtin_flags.c
	@clang-tidy -p build-clang --quiet --warnings-as-errors='*' src/*/*.c

# Each fuzz target for FUZZ_SECONDS; FUZZ names some of them.
fuzz:
	@[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Dbench=disabled
	@ninja -C build-fuzz
	@tools/run-fuzz $(CURRENT)-fuzz $(FUZZ)

bench: all
	@bench/run

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	@rm -rf $(BUILD)

.PHONY: all test test-soak test-features test-asan test-tsan test-clang analyze fuzz test-kernel test-fresh bench install clean
