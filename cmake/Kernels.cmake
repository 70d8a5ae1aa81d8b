# Instruction sets stay in their files: the end of a kernel's file name says what it may use, and this
# is the one place that turns it into flags. There is never a -march for the whole project.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(ADZE_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(ADZE_ARCH arm)
else()
  set(ADZE_ARCH none) # reference kernels only
endif()

# <architecture> <end of the file name> <flags>
set(ADZE_KERNEL_LEVELS
  "x86 _avx2.c -mavx2 -mfma -mf16c"
  "x86 _avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c"
  "arm _neon.c -march=armv8-a")

# The kernel sources of this processor, in <out>.
function(adze_kernel_sources out)
  file(GLOB sources CONFIGURE_DEPENDS src/*/${ADZE_ARCH}/*.c)
  if(NOT ADZE_AVX512)
    list(FILTER sources EXCLUDE REGEX "_avx512\\.c$")
  endif()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

# Sets the flags of each kernel source of <target>.
function(adze_kernel_flags target)
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    # No half vectors for the last elements, where they would be much of the text.
    set(whole_vectors $<$<C_COMPILER_ID:GNU>:--param=vect-epilogues-nomask=0>)
    if(source MATCHES "/src/ops/")
      set_source_files_properties(${source} TARGET_DIRECTORY ${target}
                                  PROPERTIES COMPILE_OPTIONS "${whole_vectors}")
    endif()
    if(NOT source MATCHES "/src/kernels/")
      continue()
    endif()
    # The last two change no result: nothing here reads errno or the floating-point exception flags,
    # and the compiler may then compute both sides of a selection, which makes it a vector.
    set(flags $<$<CONFIG:RelWithDebInfo,Release>:-O3> -fno-math-errno -fno-trapping-math)
    if(source MATCHES "/kernels/blocks_(k|simple)\\.c$")
      list(TRANSFORM flags REPLACE "-O3" "-O2") # searches: -O3 makes them four times as large and half as fast
    endif()
    if(source MATCHES "/(eltwise|rows)_avx2\\.c$")
      list(APPEND flags ${whole_vectors})
    endif()
    if(ADZE_SANITIZE OR ADZE_FUZZ)
      list(TRANSFORM flags REPLACE "-O3" "-O1") # checks multiply in large inlined loops: minutes a file at -O3
    endif()
    foreach(level ${ADZE_KERNEL_LEVELS})
      separate_arguments(level UNIX_COMMAND "${level}")
      list(POP_FRONT level arch suffix)
      string(REPLACE "." "\\." suffix "${suffix}")
      if(source MATCHES "/${arch}/[^/]*${suffix}$")
        list(APPEND flags ${level})
        if(ADZE_FUZZ) # each would take a minute more; the reference kernels have all checks
          list(APPEND flags -fno-sanitize=fuzzer-no-link,undefined)
        endif()
      endif()
    endforeach()
    set_source_files_properties(${source} TARGET_DIRECTORY ${target}
                                PROPERTIES COMPILE_OPTIONS "${flags}")
  endforeach()
endfunction()
