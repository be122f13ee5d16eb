# Compile settings every target of ours shares, and the functions that declare one.

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Werror -Wno-sign-compare
  # Row kernels promise the same bits on every instruction set: no fused multiply-add behind our back.
  -ffp-contract=off)
target_include_directories(weir_options INTERFACE "${CMAKE_SOURCE_DIR}")
if(WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()

# weir_library(NAME SOURCES a.cc a.h ... [DEPS targets ...] [PRIVATE_DEPS targets ...])
# One per folder: target weir_NAME. DEPS are those whose headers ours include.
function(weir_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(weir_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(weir_${name} PUBLIC weir_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# weir_binary(NAME SOURCES ... DEPS ... [FOLDER folder-below-the-build-folder])
function(weir_binary name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weir_options ${ARG_DEPS})
  if(ARG_FOLDER)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${ARG_FOLDER}")
  endif()
endfunction()

# weir_test(NAME DEPS ... [TIMEOUT seconds] [LABELS ...]): builds NAME.cc of the calling folder with GoogleTest and
# registers it with CTest as FOLDER/NAME.
function(weir_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS;LABELS" ${ARGN})
  file(RELATIVE_PATH folder "${CMAKE_SOURCE_DIR}/tests" "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REPLACE "/" "_" prefix "${folder}")
  set(target ${prefix}_${name})
  add_executable(${target} ${name}.cc)
  target_link_libraries(${target} PRIVATE weir_options ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_compile_definitions(${target} PRIVATE
    WEIR_SOURCE_DIR="${CMAKE_SOURCE_DIR}" WEIR_BINARY_DIR="${CMAKE_BINARY_DIR}" WEIR_VENV="${WEIR_VENV}")
  add_test(NAME ${folder}/${name} COMMAND ${target})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${folder}/${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# weir_script_test(NAME COMMAND ... [TIMEOUT seconds] [LABELS ...]): registers a script (Python, shell) as FOLDER/NAME.
# It finds the tree in WEIR_SOURCE_DIR, the build folder in WEIR_BINARY_DIR and the interpreter in WEIR_PYTHON.
function(weir_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  file(RELATIVE_PATH folder "${CMAKE_SOURCE_DIR}/tests" "${CMAKE_CURRENT_SOURCE_DIR}")
  add_test(NAME ${folder}/${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${folder}/${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "WEIR_SOURCE_DIR=${CMAKE_SOURCE_DIR};WEIR_BINARY_DIR=${CMAKE_BINARY_DIR};WEIR_PYTHON=${WEIR_VENV}/bin/python;PYTHONDONTWRITEBYTECODE=1")
endfunction()
