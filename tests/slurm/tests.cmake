# A Slurm of our own, started by the test. Needs slurm-wlm and munge; where they are missing the tests fail and say so.
# One short job belongs to the label ci, the others to slow; `ctest -L slurm` runs them all, `-LE slurm` none.
function(grokscope_slurm_test entry label timeout)
  add_test(NAME slurm.${entry} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/jobs_test.py"
                                       $<TARGET_FILE:grokscope> ${ARGN})
  set_tests_properties(slurm.${entry} PROPERTIES TIMEOUT ${timeout} PROCESSORS 2 LABELS "${label};slurm"
                       RESOURCE_LOCK slurm ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endfunction()

grokscope_slurm_test(short_job ci 600 ShortJobTest)
grokscope_slurm_test(launch slow 1800 LaunchTest)
grokscope_slurm_test(time_limit slow 1200 TimeLimitTest)
grokscope_slurm_test(ended slow 2400 EndedTest)
grokscope_slurm_test(array slow 1800 ArrayTest)
