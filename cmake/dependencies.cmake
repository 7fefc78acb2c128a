# Every library the project uses, with the reason. Debian names stand in tools/packages.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# oneDNN: matmul and convolution at the processor's peak. Found by hand: the package file of Debian's asks for OpenCL,
# which the CPU engine does not need.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
find_package(nlohmann_json REQUIRED)   # JSON of the protocol and of model configurations
find_package(valijson REQUIRED)        # JSON Schema: requests are checked against schemas/
find_package(spdlog REQUIRED)          # logging to stderr
find_package(CLI11 REQUIRED)           # the command line
find_package(PNG REQUIRED)             # pictures out and in
find_package(JPEG REQUIRED)            # pictures out and in
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp libwebpdemux)  # pictures out and in
# OpenCV's core and imgproc: pictures and masks are resized and blurred. Found by hand: its package file comes with all
# of its modules.
find_path(OPENCV_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
foreach(module core imgproc)
  find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
  add_library(OpenCV::${module} UNKNOWN IMPORTED)
  set_target_properties(OpenCV::${module} PROPERTIES IMPORTED_LOCATION ${OPENCV_${module}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OPENCV_INCLUDE_DIR})
endforeach()
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)            # one binary, best vector kernels per processor
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)      # the tokenizer's Unicode pattern
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)  # Unicode lower-casing and normal forms
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)      # XXH3: adapters are told apart by their bytes
if(SDXL_OPENMP)
  find_package(OpenMP REQUIRED)        # the thread pool that oneDNN uses too
endif()
