# LibTorch's headers cost 10 to 25 s a file. They are compiled once, into the precompiled header of the target
# weir_torch_headers, which every target that includes them borrows by weir_use_torch_headers(TARGET).
#
# Sources name the headers that they use as if nothing were precompiled. One that uses none is spared by
# set_source_files_properties(FILE PROPERTIES SKIP_PRECOMPILE_HEADERS ON).
# For ccache a precompiled header needs -fpch-preprocess and the sloppiness that CMakePresets.json sets.

if(WEIR_WITH_TORCH)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/torch_headers.cc" CONTENT "// Holds nothing but the precompiled header.\n")
  add_library(weir_torch_headers STATIC "${CMAKE_BINARY_DIR}/torch_headers.cc")
  target_link_libraries(weir_torch_headers PRIVATE weir_options weir_torch)
  target_precompile_headers(weir_torch_headers PRIVATE
    <torch/types.h>
    <torch/csrc/autograd/custom_function.h>
    <torch/csrc/autograd/grad_mode.h>
    <torch/nn/module.h>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(weir_torch_headers PRIVATE -fpch-preprocess)
  endif()
endif()

# weir_use_torch_headers(TARGET): TARGET borrows the precompiled header.
function(weir_use_torch_headers target)
  target_precompile_headers(${target} REUSE_FROM weir_torch_headers)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
