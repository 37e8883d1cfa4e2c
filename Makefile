# A thin front to Meson. `make` builds build/shellguard, which runs from the tree without being installed.
PREFIX ?= /usr/local
BUILD ?= build

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX)

test: all
	@./test

bench: all
	@bench/run

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	@rm -rf $(BUILD)

.PHONY: all test bench install clean
