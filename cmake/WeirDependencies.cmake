# Libraries of others. Debian packages by their own CMake files; LibTorch and Arrow from the wheels in WEIR_VENV, as
# imported targets (find_package(Torch) insists on CUDA). docs/dependencies.md says why each is used.

find_package(Threads REQUIRED)
# The thread sanitizer does not see how libgomp's threads wait for each other: with it, loops run on one thread.
if(NOT WEIR_SANITIZE MATCHES "thread" AND NOT WEIR_FUZZ)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
find_package(Protobuf 3.21 REQUIRED)
find_package(gflags REQUIRED)
find_package(glog REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS SSL)
find_package(CURL 7.85 REQUIRED)
find_package(ZLIB 1.2.11 REQUIRED)
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_path(ROCKSDB_INCLUDE_DIR rocksdb/db.h REQUIRED)
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
if(WEIR_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

add_library(weir_asio INTERFACE)
target_include_directories(weir_asio SYSTEM INTERFACE "${ASIO_INCLUDE_DIR}")
target_compile_definitions(weir_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
target_link_libraries(weir_asio INTERFACE Threads::Threads)
if(WEIR_SANITIZE MATCHES "thread")
  # The thread sanitizer does not know fences, and g++ warns of each; what asio guards by them it locks besides.
  target_compile_definitions(weir_asio INTERFACE ASIO_DISABLE_FENCED_BLOCK)
endif()

# Header only: XXH_INLINE_ALL makes short hashes inline.
add_library(weir_xxhash INTERFACE)
target_include_directories(weir_xxhash SYSTEM INTERFACE "${XXHASH_INCLUDE_DIR}")
target_compile_definitions(weir_xxhash INTERFACE XXH_INLINE_ALL)

# By path: its own CMake files ask for the headers of every compression library that it was built with.
add_library(weir_rocksdb INTERFACE)
target_include_directories(weir_rocksdb SYSTEM INTERFACE "${ROCKSDB_INCLUDE_DIR}")
target_link_libraries(weir_rocksdb INTERFACE "${ROCKSDB_LIBRARY}")

file(GLOB venv_site_packages "${WEIR_VENV}/lib/python3.*/site-packages")
if(venv_site_packages)
  list(GET venv_site_packages 0 WEIR_SITE_PACKAGES)
endif()
if(NOT EXISTS "${WEIR_SITE_PACKAGES}/pyarrow/include")
  message(FATAL_ERROR "No Arrow in ${WEIR_VENV}: run 'bash launch/setup.sh' first.")
endif()

# weir_imported(NAME LIBRARY path INCLUDES dirs... [DEPS ...])
function(weir_imported name)
  cmake_parse_arguments(ARG "" "LIBRARY" "DEPS" ${ARGN})
  if(NOT EXISTS "${ARG_LIBRARY}")
    message(FATAL_ERROR "Missing ${ARG_LIBRARY}: run 'bash launch/setup.sh' first.")
  endif()
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${ARG_LIBRARY}" IMPORTED_NO_SONAME OFF)
  target_link_libraries(${name} INTERFACE ${ARG_DEPS})
endfunction()

weir_imported(weir_arrow LIBRARY "${WEIR_SITE_PACKAGES}/pyarrow/libarrow.so.2600")
target_include_directories(weir_arrow SYSTEM INTERFACE "${WEIR_SITE_PACKAGES}/pyarrow/include")
weir_imported(weir_parquet LIBRARY "${WEIR_SITE_PACKAGES}/pyarrow/libparquet.so.2600" DEPS weir_arrow)

if(WEIR_WITH_TORCH)
  find_package(MPI REQUIRED COMPONENTS C)
  set(torch "${WEIR_SITE_PACKAGES}/torch")
  weir_imported(weir_c10 LIBRARY "${torch}/lib/libc10.so")
  weir_imported(weir_torch LIBRARY "${torch}/lib/libtorch_cpu.so" DEPS weir_c10)
  # LibTorch ships an old copy of protobuf's headers: its folder is searched after the system's.
  target_compile_options(weir_torch INTERFACE
    "SHELL:-idirafter ${torch}/include" "SHELL:-idirafter ${torch}/include/torch/csrc/api/include")
  target_link_options(weir_torch INTERFACE "-Wl,--no-as-needed" "-Wl,-rpath-link,${torch}/lib")
endif()
