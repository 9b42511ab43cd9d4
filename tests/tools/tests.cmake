# The Python tools are tested with the same kind of Python that they run with: one that has h5py, numpy and matplotlib.
function(grokscope_python_can_draw result candidate)
  execute_process(COMMAND ${candidate} -c "import h5py, numpy, matplotlib" RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

find_program(GROKSCOPE_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH VALIDATOR grokscope_python_can_draw)
find_program(GROKSCOPE_PYTHON NAMES python3 VALIDATOR grokscope_python_can_draw)
if(NOT GROKSCOPE_PYTHON)
  message(FATAL_ERROR "No python3 here has h5py, numpy and matplotlib (the tools and their tests need them), "
                      "install python3-h5py python3-numpy python3-matplotlib or set GROKSCOPE_PYTHON")
endif()

foreach(name IN ITEMS grokscope_io stored_gops thinning plots visualize_gop awkward_runs study_figures compare_experiments change_point chance lead_lag lead_lag_groups
             animate report export_series reference_images fetch_data status sweep)
  add_test(NAME tools.${name} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py")
  set_tests_properties(tools.${name} PROPERTIES TIMEOUT 300 PROCESSORS 1
                       ENVIRONMENT "OMP_NUM_THREADS=1;OPENBLAS_NUM_THREADS=1;PYTHONDONTWRITEBYTECODE=1")
endforeach()

foreach(name IN ITEMS moments nexus)
  add_test(NAME tools.${name} COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py" $<TARGET_FILE:grokscope>)
  set_tests_properties(tools.${name} PROPERTIES TIMEOUT 300 PROCESSORS 1
                       ENVIRONMENT "OMP_NUM_THREADS=1;OPENBLAS_NUM_THREADS=1;PYTHONDONTWRITEBYTECODE=1")
endforeach()

# Downloads a viewer from the npm registry.
add_test(NAME tools.h5web COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/h5web_test.py" $<TARGET_FILE:grokscope>)
set_tests_properties(tools.h5web PROPERTIES TIMEOUT 300 PROCESSORS 2 LABELS slow
                     ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
