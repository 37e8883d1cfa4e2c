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

# The first two commands of the README on a Debian 12 with nothing but a shell and apt.
test-fresh:
	@tools/test-fresh

bench: all
	@bench/run

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	@rm -rf $(BUILD)

.PHONY: all test test-kernel test-fresh bench install clean
