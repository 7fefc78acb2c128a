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
# libtorch: every device but the CPU, as a plugin (src/backend/torch); without it the worker has the CPU alone. Found by
# hand: its package file wants the compilers and libraries of all that it was built with.
find_path(TORCH_INCLUDE_DIR ATen/core/Tensor.h HINTS ${SDXL_TORCH_ROOT}/include)
find_path(TORCH_VERSION_INCLUDE_DIR torch/version.h HINTS ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
find_library(TORCH_CPU_LIBRARY torch_cpu HINTS ${SDXL_TORCH_ROOT}/lib)
find_library(TORCH_C10_LIBRARY c10 HINTS ${SDXL_TORCH_ROOT}/lib)
if(TORCH_INCLUDE_DIR AND TORCH_VERSION_INCLUDE_DIR AND TORCH_CPU_LIBRARY AND TORCH_C10_LIBRARY)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_INCLUDES ${TORCH_INCLUDE_DIR})
  set(CMAKE_REQUIRED_LIBRARIES ${TORCH_C10_LIBRARY})
  # PyTorch's own packages had another std::string than this compiler's until version 2.6: they link with nothing here.
  check_cxx_source_compiles("#include <c10/util/Exception.h>
    int main() { throw c10::Error(std::string(), std::string(), nullptr); }" SDXL_TORCH_LINKS)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(SDXL_TORCH_LINKS)
    add_library(Torch::torch INTERFACE IMPORTED)
    target_include_directories(Torch::torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR} ${TORCH_VERSION_INCLUDE_DIR})
    target_compile_definitions(Torch::torch INTERFACE AT_PER_OPERATOR_HEADERS)  # declarations of the ops that are used
    target_link_libraries(Torch::torch INTERFACE ${TORCH_CPU_LIBRARY} ${TORCH_C10_LIBRARY})
    # On machines with CUDA or ROCm: nothing refers to these by name, they register themselves.
    foreach(library IN ITEMS torch_cuda c10_cuda torch_hip c10_hip torch_xpu c10_xpu)
      find_library(TORCH_${library}_LIBRARY ${library} HINTS ${SDXL_TORCH_ROOT}/lib)
      if(TORCH_${library}_LIBRARY)
        target_link_libraries(Torch::torch INTERFACE -Wl,--no-as-needed ${TORCH_${library}_LIBRARY} -Wl,--as-needed)
      endif()
    endforeach()
    find_package(CUDAToolkit QUIET)
    if(TORCH_c10_cuda_LIBRARY AND CUDAToolkit_FOUND)
      add_library(Torch::cuda INTERFACE IMPORTED)  # CUDA's headers: names, memory and cache of its devices
      target_link_libraries(Torch::torch INTERFACE CUDA::cudart)
    endif()
  endif()
endif()
if(NOT TARGET Torch::torch)
  message(STATUS "libtorch not found (libtorch-dev, or SDXL_TORCH_ROOT): no torch backend, the CPU alone by oneDNN")
endif()
