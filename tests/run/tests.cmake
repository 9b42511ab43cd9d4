# End to end: the program itself, started by Python scripts that read its files with h5py, and sessions within one job.
# TIMEOUT is for a busy machine.
if(NOT GROKSCOPE_PYTHON)
  find_program(GROKSCOPE_PYTHON NAMES python3 HINTS /usr/bin REQUIRED)
endif()

foreach(name IN ITEMS bad_input dense_faults export health observables repeat resume session start tools)
  add_test(NAME run.${name} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py"
                                    $<TARGET_FILE:grokscope>)
  set_tests_properties(run.${name} PROPERTIES TIMEOUT 600 PROCESSORS 2 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endforeach()
# Mostly starts of one rank that wait for nobody: two such tests at a time.
set_tests_properties(run.bad_input run.export run.observables run.repeat run.tools PROPERTIES PROCESSORS 1)

# failing_calls: tests/io.
add_test(NAME run.crash COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/crash_campaign.py" $<TARGET_FILE:grokscope>
                                --shim $<TARGET_FILE:failing_calls> --kills 20)
set_tests_properties(run.crash PROPERTIES TIMEOUT 900 PROCESSORS 2 LABELS ci ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")

grokscope_test(run split TORCH RANKS 2 4 TIMEOUT 300 USES gs_run gs_experiments)
target_compile_definitions(test_run_split PRIVATE GROKSCOPE_TINY_CONFIGURATIONS="${CMAKE_CURRENT_LIST_DIR}/tiny")
grokscope_test(run stop TORCH RANKS 1 2 TIMEOUT 300 USES gs_run)
grokscope_test(run analyze TORCH RANKS 1 2 TIMEOUT 300 USES gs_run)
grokscope_test(run divergence TORCH RANKS 1 2 USES gs_run)
grokscope_test(run redefined TORCH RANKS 1 2 USES gs_run)
grokscope_test(run restart TORCH RANKS 1 2 3 TIMEOUT 300 USES gs_run)
grokscope_test(run resources TORCH USES gs_run)
grokscope_test(run expected TORCH USES gs_run)
grokscope_test(run cost_model TORCH USES gs_run)
