# Opgraft needs a C compiler and GNU make. `make help` lists the targets.
#
#   B=DIR            where everything is built (default build)
#   SANITIZE=LIST    build with -fsanitize=LIST, debug checks on: make B=build/asan SANITIZE=address,undefined
#   DEBUG=1          no optimisation above -O1, the verifier runs between passes
#   PREFIX, DESTDIR  for `make install`

VERSION := 0.1.0
B ?= build
PREFIX ?= /usr/local
CC ?= cc
AR ?= ar
STRIP ?= strip

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes
OPT := -O2
ifneq ($(SANITIZE),)
DEBUG := 1
SAN := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
ifneq ($(DEBUG),)
OPT := -O1 -g -DOG_DEBUG
else
OPT += -DNDEBUG
# Compiled for size: all but the code whose loops run while a network runs or a large file is read; and the level of machines
# without AVX2.
SMALL := -Os
ifneq ($(findstring clang,$(shell $(CC) --version)),)
SMALL += -Wno-pass-failed
endif
endif
FAST := src/cpu/% src/bridge/% $(patsubst %,src/base/%.c,arena base map memory thread wire)
# Relocations that say only 'add where the library lies' are packed, 100 KB less, where the C library reads them so: glibc 2.36.
RELR := $(shell printf '2.36\n%s\n' "$$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" | sort -CV && echo -Wl,-z,pack-relative-relocs)
BASE := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -I$(B) $(OPT) $(SAN) $(WARN) -fPIC -fvisibility=hidden \
        -ffp-contract=off -fno-asynchronous-unwind-tables -pthread -MMD -MP $(CFLAGS)
# op files: wrapping integers; strips larger than the base ABI's vectors stay inside one file
OPFLAGS := -fwrapv -Wno-override-init -Wno-psabi
ifneq ($(findstring clang,$(shell $(CC) --version)),)
OPFLAGS := -fwrapv -Wno-initializer-overrides -Wno-psabi
endif
LANES_scalar := -DOG_LANES=1 -DOG_ISA=scalar
LANES_avx2 := -DOG_LANES=8 -DOG_ISA=avx2 -mavx2 -mfma
LANES_avx512 := -DOG_LANES=16 -DOG_ISA=avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
LANES_ref := -DOG_REF
ISAS := scalar avx2 avx512
LIBS := -lm -ldl -pthread

OPS := $(wildcard src/ops/*.c)
# those whose formula or kernel is compiled apart, by other compilers too: their definition is for the rest
FORMULAS := $(shell grep -lE 'EXPR|KERNELS|ROWS|DEVICE' $(OPS))
TEMPLATES := $(wildcard src/cpu/*_tmpl.c)
# what goes into op libraries refers to the library's own list of ops, so it is an archive of its own
KIT := $(filter-out %/peer_onnxruntime.c,$(wildcard src/bridge/*.c))
# the backend of Triton Inference Server: a library of its own around the whole of Opgraft
SERVE := $(wildcard src/serve/*.c)
SRC := $(filter-out $(OPS) $(TEMPLATES) $(KIT) $(SERVE),$(wildcard src/*/*.c))
CLI := $(wildcard cli/*.c)
UNIT := $(wildcard tests/unit/test_*.c)
TOOLS := $(wildcard tests/tools/*.c)

KIT_OBJ := $(KIT:%.c=$(B)/%.o)
SERVE_OBJ := $(SERVE:%.c=$(B)/%.o)
OBJ := $(SRC:%.c=$(B)/%.o) $(OPS:%.c=$(B)/%.o) \
       $(foreach i,$(ISAS) ref,$(B)/ops_$(i).o) \
       $(foreach i,$(ISAS),$(TEMPLATES:%.c=$(B)/%.$(i).o))
UNIT_BIN := $(UNIT:tests/%.c=$(B)/tests/%)
TOOLS_BIN := $(TOOLS:tests/tools/%.c=$(B)/tests/%)

MAKEFLAGS += --no-builtin-rules
JOBS ?= $(shell nproc)
.PHONY: all lib units demo test test-tensorflow docs install uninstall clean help setup-test fuzz bench FORCE
all: $(B)/opgraft $(B)/libopgraft.so $(B)/libopgraft_kit.a $(B)/libtriton_opgraft.so $(B)/include $(B)/opgraft.pc

help:
	@echo "make            the library and the command, in $(B)/"
	@echo "make demo       build, then tell the LeNet-5 story on real digits"
	@echo "make test       set up what the tests need, run them all"
	@echo "make test-tensorflow   what needs the real TensorFlow, in an environment of its own"
	@echo "make docs       write docs/ops.md and docs/conformance.md anew"
	@echo "make bench      networks beside other runtimes, into docs/results.md (QUICK=1: a part of it)"
	@echo "make fuzz       fuzz the readers for a minute each (clang)"
	@echo "make install    DESTDIR= PREFIX=$(PREFIX)"

# ---- derived tables: the op files are the only list --------------------------------------------
$(B)/ops.inc: $(OPS) FORCE
	@mkdir -p $(B)
	@sed -n 's/^OP(\([a-z0-9_]*\),.*/X(\1)/p' $(OPS) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/ops_all.c: $(B)/ops.inc
	@for f in $(OPS); do echo "#include \"$${f#src/}\""; done > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/src/schema/table.o: $(B)/ops.inc

# Op libraries take what they need of both archives and drop the rest.
SECTIONS := -ffunction-sections -fdata-sections
# How `opgraft op build` compiles op files: as they are compiled here.
QUOTED = '"$(1)"'
KIT_CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -DNDEBUG $(SAN) -fPIC -fvisibility=hidden -ffp-contract=off -fwrapv -pthread $(SECTIONS)
KIT_LDFLAGS := -shared -Wl,-Bsymbolic -Wl,--gc-sections -Wl,--as-needed -Wl,-S $(if $(SAN),,-Wl,-z,defs)
$(B)/src/kit/build.o: KITFLAGS := -DKIT_CFLAGS=$(call QUOTED,$(KIT_CFLAGS)) -DKIT_LDFLAGS=$(call QUOTED,$(KIT_LDFLAGS)) -DKIT_REF=$(call QUOTED,$(LANES_ref)) \
    $(foreach i,$(ISAS),-DKIT_$(i)=$(call QUOTED,$(LANES_$(i))))
$(B)/src/kit/build.o: Makefile

# texts that are embedded, less their comments and indentation
EMBEDDED := $(wildcard src/cuda/*.cuh src/cuda/*/*.cuh include/opgraft/*.h) src/cuda/igemm_args.h
$(EMBEDDED:%=$(B)/text/%): $(B)/text/%: %
	@mkdir -p $(@D)
	@sed -e ':a' -e 'N' -e '$$!ba' -e 's:/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/::g' -e 's/[ \t]*\n[ \t]*/\n/g' -e 's/\n\n*/\n/g' $< > $@
$(B)/src/cuda/texts.o $(B)/src/cuda/igemm_source.o: $(EMBEDDED:%=$(B)/text/%)
$(B)/src/cuda/texts.o $(B)/src/cuda/igemm_source.o: KITFLAGS := -DCUDA_TEXT_ROOT='"$(B)/text/"'
$(B)/tools/check_tensor: tools/check_tensor.cuh

# ---- compiling ----------------------------------------------------------------------------------
$(B)/src/ops/%.o: src/ops/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(OPFLAGS) $(SMALL) $(if $(filter $<,$(FORMULAS)),,-DOP_NO_TEXT) -c -o $@ $<
$(foreach i,$(ISAS) ref,$(B)/ops_$(i).o): $(B)/ops_%.o: $(B)/ops_all.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(OPFLAGS) $(if $(filter scalar,$*),$(SMALL)) $(LANES_$*) -c -o $@ $<
define template_rule
$(B)/src/cpu/%_tmpl.$(1).o: src/cpu/%_tmpl.c
	@mkdir -p $$(@D)
	$$(CC) $$(BASE) -Wno-psabi $$(if $$(filter scalar,$(1)),$$(SMALL)) $$(LANES_$(1)) -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call template_rule,$(i))))
$(B)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(if $(filter $(FAST),$<),,$(SMALL)) $(SECTIONS) -DOG_VERSION='"$(VERSION)"' $(KITFLAGS) -c -o $@ $<
$(B)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) -c -o $@ $<

# ---- linking ------------------------------------------------------------------------------------
$(B)/libopgraft.a: $(OBJ)
	@rm -f $@
	$(AR) rcs $@ $(OBJ)
$(B)/libopgraft.so: $(OBJ)
	$(CC) $(SAN) -shared $(RELR) -Wl,-soname,libopgraft.so.0 -Wl,-z,defs -Wl,--gc-sections -o $@ $(OBJ) $(LIBS)
$(B)/opgraft: $(CLI:%.c=$(B)/%.o) $(B)/libopgraft.a
	$(CC) $(SAN) $(RELR) -o $@ $(CLI:%.c=$(B)/%.o) $(B)/libopgraft.a $(LIBS)
# beside what is built, the headers as an installed Opgraft has them
$(B)/include: FORCE
	@mkdir -p $(B)
	@ln -sfn $(CURDIR)/include $@
$(B)/opgraft.pc: FORCE
	@mkdir -p $(B)
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: opgraft\nDescription: Neural-network operators written once, grafted into any network\nVersion: %s\nLibs: -L$${libdir} -lopgraft\nLibs.private: -lm -ldl -pthread\nCflags: -I$${includedir}\n' '$(PREFIX)' '$(VERSION)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/libopgraft_kit.a: $(KIT_OBJ)
	@rm -f $@
	$(AR) rcs $@ $(KIT_OBJ)
# Its undefined symbols are the server's. It stays loaded, since op libraries do.
$(B)/libtriton_opgraft.so: $(SERVE_OBJ) $(B)/libopgraft.a
	$(CC) $(SAN) -shared $(RELR) -Wl,-soname,libtriton_opgraft.so -Wl,-z,nodelete -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,--gc-sections -o $@ \
		$(SERVE_OBJ) $(B)/libopgraft.a $(LIBS)
lib: $(B)/libopgraft.a $(B)/libopgraft_kit.a

# ---- tests and tools ----------------------------------------------------------------------------
units: $(UNIT_BIN) $(TOOLS_BIN) $(B)/tools/check_device $(B)/tools/check_kernels $(B)/tools/check_rows $(B)/tools/check_onnxruntime_cuda $(B)/tools/check_tensor
$(B)/tests/unit/%: tests/unit/%.c $(B)/libopgraft_kit.a $(B)/libopgraft.a
	@mkdir -p $(@D)
	$(CC) $(BASE) $(OPFLAGS) -o $@ $< $(UNIT_OBJ) $(B)/libopgraft_kit.a $(B)/libopgraft.a -lcmocka $(LIBS)
$(B)/tests/unit/test_serve $(B)/tests/unit/test_serve_cuda: UNIT_OBJ := $(SERVE_OBJ)
$(B)/tests/unit/test_serve $(B)/tests/unit/test_serve_cuda: $(SERVE_OBJ)
$(B)/tests/%: tests/tools/%.c $(B)/libopgraft.a
	@mkdir -p $(@D)
	$(CC) $(BASE) -o $@ $< $(B)/libopgraft.a $(LIBS)
$(B)/bench/%: bench/%.c $(B)/libopgraft.a
	@mkdir -p $(@D)
	$(CC) $(BASE) -Wno-psabi -o $@ $< $(B)/libopgraft.a $(LIBS)
$(B)/tools/%: tools/%.c $(B)/libopgraft_kit.a $(B)/libopgraft.a
	@mkdir -p $(@D)
	$(CC) $(BASE) -Wno-psabi -o $@ $< $(B)/libopgraft_kit.a $(B)/libopgraft.a $(LIBS)

# ---- set-up: what the tests need ----------------------------------------------------------------
VENV := build/venv
PY := $(VENV)/bin/python
# a stamp per set of requirements, so that a second run does nothing
$(VENV)/.ready: tests/requirements.txt tools/setup.sh
	sh tools/setup.sh test $(VENV) tests/requirements.txt
	@touch $@
setup-test: $(VENV)/.ready

demo:
	@sh tools/setup.sh build
	$(MAKE) -j$(JOBS) all
	$(B)/opgraft demo lenet5 --report $(B)/lenet5.html

test: setup-test
	$(MAKE) -j$(JOBS) all units
	$(PY) -m pytest -q -ra --durations=10 tests

# What compares with the real TensorFlow, which is large: in a Python environment of its own.
TENSORFLOW_VENV := build/venv-tensorflow
$(TENSORFLOW_VENV)/.ready: tests/tensorflow/requirements.txt
	python3 -m venv $(TENSORFLOW_VENV)
	$(TENSORFLOW_VENV)/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@
test-tensorflow: $(TENSORFLOW_VENV)/.ready
	$(MAKE) -j$(JOBS) all units
	$(TENSORFLOW_VENV)/bin/python -m pytest -q -ra --durations=10 tests/tensorflow

docs: setup-test all $(B)/tools/opsdoc
	$(B)/tools/opsdoc > docs/ops.md
	$(PY) tools/conformance.py --build $(B) --out docs/conformance.md

# Opgraft beside ONNX Runtime, OpenVINO, ncnn and MNN, in a Python environment of its own: docs/results.md and its plots.
# QUICK=1: a part of it, in two minutes. BENCH='--only lenet5 --threads 1': the rest stays; BENCH=--resume goes on.
BENCH_VENV := build/venv-bench
$(BENCH_VENV)/.ready: tools/requirements-bench.txt
	python3 -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q --disable-pip-version-check --no-deps -r tools/requirements-bench.txt
	@touch $@
$(B)/bench/calls.so: bench/calls.c
	@mkdir -p $(@D)
	$(CC) $(BASE) -fvisibility=default -shared -o $@ $<
BENCH_OUT ?= $(if $(QUICK),$(B)/bench/quick,docs)
bench: all $(B)/bench/kernels $(B)/bench/calls.so $(BENCH_VENV)/.ready
	@mkdir -p $(BENCH_OUT)
	$(BENCH_VENV)/bin/python tools/bench_run.py --build $(B) --work $(B)/bench --out $(BENCH_OUT)/results.json $(if $(QUICK),--quick) $(BENCH)
	$(BENCH_VENV)/bin/python tools/bench_report.py --data $(BENCH_OUT)/results.json --page $(BENCH_OUT)/results.md

# Each reader for FUZZ_SECONDS under libFuzzer with both sanitizers, from tests/fuzz/seeds in the form that it reads; new
# inputs stay in build/fuzz. A file may ask for more memory than there is: that has to be refused.
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TENSORFLOW := frozen.pb frozen.pbtxt library.pb functions/saved_model.pb variables_ref/saved_model.pb \
                   variables_ref/variables/variables.index keras/variables/variables.index
FUZZ_SEEDS := $(patsubst tests/fuzz/seeds/%.txt,%,$(wildcard tests/fuzz/seeds/*.txt))
fuzz:
	$(MAKE) B=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined lib build/fuzz/opgraft $(FUZZERS:%=build/fuzz/fuzz_%)
	mkdir -p $(FUZZERS:%=build/fuzz/corpus_%)
	cp tests/graph/*.txt tests/fuzz/seeds/*.txt build/fuzz/corpus_text/
	for f in $(FUZZ_TENSORFLOW); do cp tests/tensorflow/read/$$f build/fuzz/corpus_tf/$$(echo $$f | tr / -); done
	for s in $(FUZZ_SEEDS); do \
		build/fuzz/opgraft graft tests/fuzz/seeds/$$s.txt -o build/fuzz/corpus_onnx/$$s -q --map Relu=Swish && \
		build/fuzz/opgraft build tests/fuzz/seeds/$$s.txt -o build/fuzz/corpus_plan/$$s -q --threads 1 && \
		build/fuzz/opgraft build tests/fuzz/seeds/$$s.txt -o build/fuzz/corpus_plan/$$s-apart -q --threads 1 --no-fuse || exit 1; done
	for f in $(FUZZERS); do ASAN_OPTIONS=allocator_may_return_null=1 build/fuzz/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=60 \
		-rss_limit_mb=4096 -malloc_limit_mb=1000000000 -artifact_prefix=build/fuzz/ build/fuzz/corpus_$$f || exit 1; done
$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(B)/libopgraft.a
	$(CC) $(BASE) -fsanitize=fuzzer -o $@ $< $(B)/libopgraft.a $(LIBS)

# ---- installing ---------------------------------------------------------------------------------
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/opgraft
	install -m 755 $(B)/opgraft $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(B)/libopgraft.a $(B)/libopgraft_kit.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(B)/libopgraft.so $(DESTDIR)$(PREFIX)/lib/libopgraft.so.$(VERSION)
	install -d $(DESTDIR)$(PREFIX)/lib/opgraft/backends/opgraft
	install -m 755 $(B)/libtriton_opgraft.so $(DESTDIR)$(PREFIX)/lib/opgraft/backends/opgraft/
	$(STRIP) $(DESTDIR)$(PREFIX)/bin/opgraft $(DESTDIR)$(PREFIX)/lib/libopgraft.so.$(VERSION) \
		$(DESTDIR)$(PREFIX)/lib/opgraft/backends/opgraft/libtriton_opgraft.so
	ln -sf libopgraft.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libopgraft.so.0
	ln -sf libopgraft.so.0 $(DESTDIR)$(PREFIX)/lib/libopgraft.so
	install -m 644 $(B)/opgraft.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	install -m 644 include/opgraft.h $(DESTDIR)$(PREFIX)/include/
	install -d $(DESTDIR)$(PREFIX)/share/opgraft/models
	install -m 644 models/*.onnx models/*.idx3 models/*.idx1 models/README.md $(DESTDIR)$(PREFIX)/share/opgraft/models/
	install -m 644 include/opgraft/*.h $(DESTDIR)$(PREFIX)/include/opgraft/
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/opgraft $(DESTDIR)$(PREFIX)/lib/libopgraft.* $(DESTDIR)$(PREFIX)/lib/libopgraft_kit.a $(DESTDIR)$(PREFIX)/lib/pkgconfig/opgraft.pc
	rm -rf $(DESTDIR)$(PREFIX)/lib/opgraft $(DESTDIR)$(PREFIX)/include/opgraft $(DESTDIR)$(PREFIX)/include/opgraft.h $(DESTDIR)$(PREFIX)/share/opgraft

%.d: ;
-include $(OBJ:.o=.d) $(KIT_OBJ:.o=.d) $(SERVE_OBJ:.o=.d) $(CLI:%.c=$(B)/%.d) $(UNIT_BIN:=.d) $(TOOLS_BIN:=.d) $(wildcard $(B)/tools/*.d)

clean:
	rm -rf $(B)
