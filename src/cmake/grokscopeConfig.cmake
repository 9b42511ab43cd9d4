# find_package(grokscope): the rooms as static libraries, grokscope::commands, grokscope::train, ... (src/README.md is their map).
# The project that finds it has enabled C and CXX.
include("${CMAKE_CURRENT_LIST_DIR}/ThirdParty.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/grokscopeTargets.cmake")
