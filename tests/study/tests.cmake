# Many runs as one experiment: within one job, and end to end.
foreach(name IN ITEMS studies reproduce)
  add_test(NAME study.${name} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py"
                                      $<TARGET_FILE:grokscope>)
  set_tests_properties(study.${name} PROPERTIES TIMEOUT 600 PROCESSORS 2 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endforeach()

grokscope_test(study member_queue USES gs_study)
grokscope_test(study study TORCH RANKS 1 2 4 TIMEOUT 300 USES gs_study gs_experiments)
