# A stranger's recomputation from the files alone, with a Python that has h5py and torch (python3-torch).
function(grokscope_python_can_differentiate result candidate)
  execute_process(COMMAND ${candidate} -c "import h5py, numpy, torch" RESULT_VARIABLE failed
                  OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

find_program(GROKSCOPE_TORCH_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH
             VALIDATOR grokscope_python_can_differentiate)
find_program(GROKSCOPE_TORCH_PYTHON NAMES python3 VALIDATOR grokscope_python_can_differentiate)
if(NOT GROKSCOPE_TORCH_PYTHON)
  message(FATAL_ERROR "No python3 here has h5py, numpy and torch (a test recomputes spectra with them), "
                      "install python3-h5py python3-torch or set GROKSCOPE_TORCH_PYTHON")
endif()

add_test(NAME outsider.recompute
         COMMAND ${GROKSCOPE_TORCH_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/recompute_test.py"
                 $<TARGET_FILE:grokscope>)
set(environment OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
                OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
set_tests_properties(outsider.recompute PROPERTIES TIMEOUT 300 PROCESSORS 1 ENVIRONMENT "${environment}")
