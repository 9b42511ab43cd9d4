# End to end: the program itself, started by Python scripts that read its files with h5py, and sessions within one job.
# TIMEOUT is for a busy machine; on an idle one all of them take about two minutes.
if(NOT GROKSCOPE_PYTHON)
  find_program(GROKSCOPE_PYTHON NAMES python3 HINTS /usr/bin REQUIRED)
endif()

foreach(name IN ITEMS session repeat resume observables bad_input commands export start studies reproduce tools)
  add_test(NAME run.${name} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py"
                                    $<TARGET_FILE:grokscope>)
  set_tests_properties(run.${name} PROPERTIES TIMEOUT 600 PROCESSORS 2 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endforeach()

grokscope_test(run split TORCH RANKS 2 4 TIMEOUT 300 USES gs_run gs_experiments)
target_compile_definitions(test_run_split PRIVATE GROKSCOPE_TINY_CONFIGURATIONS="${CMAKE_CURRENT_LIST_DIR}/tiny")
grokscope_test(run stop TORCH RANKS 1 2 TIMEOUT 300 USES gs_run)
grokscope_test(run member_queue USES gs_run)
grokscope_test(run expected TORCH USES gs_run)
grokscope_test(run cost_model TORCH USES gs_run)
grokscope_test(run study TORCH RANKS 1 2 4 TIMEOUT 300 USES gs_run gs_experiments)
