# A room is one folder of src: one static library, named gs_<folder>.
#   grokscope_room(base SOURCES a.cpp b.cpp USES third_party::fmt)
# TORCH rooms share one precompiled header (LibTorch headers dominate the build time).
set(GROKSCOPE_WARNINGS -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast
    -Wcast-qual -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these two inside std::string and std::optional at -O3, where nothing is wrong.
  list(APPEND GROKSCOPE_WARNINGS -Wno-maybe-uninitialized -Wno-restrict)
endif()

add_library(grokscope_options INTERFACE)
target_compile_options(grokscope_options INTERFACE ${GROKSCOPE_WARNINGS})
target_include_directories(grokscope_options INTERFACE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
if(GROKSCOPE_NATIVE)
  target_compile_options(grokscope_options INTERFACE -march=native)
endif()
if(GROKSCOPE_SANITIZE)
  target_compile_options(grokscope_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(grokscope_options INTERFACE -fsanitize=address,undefined)
endif()

# Created once; every torch target reuses its precompiled header.
add_library(gs_torch_pch STATIC "${PROJECT_SOURCE_DIR}/src/cmake/torch_pch.cpp")
target_link_libraries(gs_torch_pch PUBLIC third_party::torch third_party::fmt PRIVATE grokscope_options)
target_precompile_headers(gs_torch_pch PRIVATE <ATen/ATen.h> <fmt/format.h> <functional> <map> <memory>
                          <optional> <span> <string> <vector>)

function(grokscope_use_torch target)
  target_link_libraries(${target} PUBLIC third_party::torch third_party::fmt)
  target_precompile_headers(${target} REUSE_FROM gs_torch_pch)
endfunction()

function(grokscope_room name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;USES" ${ARGN})
  add_library(gs_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(gs_${name} PUBLIC ${ARG_USES} PRIVATE $<BUILD_INTERFACE:grokscope_options>)
  target_compile_features(gs_${name} PUBLIC cxx_std_20)
  target_include_directories(gs_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                             $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/grokscope>)
  set_target_properties(gs_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS gs_${name} EXPORT grokscope)
  if(ARG_TORCH)
    grokscope_use_torch(gs_${name})
  endif()
endfunction()
