# What a builder may choose, and the warnings and sanitizers every target is built with.
option(SDXL_BUILD_TESTS "Build the tests and the fuzzers" ON)
option(SDXL_OPENMP "Run our own kernels on OpenMP threads (off under ThreadSanitizer: libgomp is not instrumented)" ON)
set(SDXL_TORCH_ROOT "" CACHE PATH "A libtorch to build the torch backend with; the system's where it is empty")
set(SDXL_SANITIZE "" CACHE STRING "Comma separated sanitizers, e.g. address,undefined")

add_library(sdxl_options INTERFACE)
target_compile_options(sdxl_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports overlaps in std::string concatenation that are not there (GCC bug 105651).
  target_compile_options(sdxl_options INTERFACE -Wno-restrict)
endif()
target_include_directories(sdxl_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(SDXL_SANITIZE)
  target_compile_options(sdxl_options INTERFACE -fsanitize=${SDXL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(sdxl_options INTERFACE -fsanitize=${SDXL_SANITIZE})
endif()
