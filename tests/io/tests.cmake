# The reader of the oracle is h5py, not our own code: the first python3 that has it.
function(grokscope_has_h5py result candidate)
  execute_process(COMMAND "${candidate}" -c "import h5py, numpy" RESULT_VARIABLE status
                  OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
find_program(GROKSCOPE_PYTHON NAMES python3 HINTS /usr/bin VALIDATOR grokscope_has_h5py REQUIRED)

grokscope_test(io matrix_file RANKS 1 2 3 5 USES gs_io)
grokscope_test(io durable_file USES gs_io)
grokscope_test(io hdf5 USES gs_io)
grokscope_test(io table USES gs_io)
grokscope_test(io column_file USES gs_io)
grokscope_test(io plots USES gs_io)
grokscope_test(io run_directory RANKS 1 3 USES gs_io)
grokscope_test(io retention USES gs_io)
grokscope_test(io run_books TIMEOUT 300 USES gs_io)
grokscope_test(io run_writer RANKS 1 2 3 5 31 TIMEOUT 600 USES gs_io)
foreach(target IN ITEMS test_io_hdf5 test_io_table test_io_plots test_io_run_books test_io_run_writer)
  target_compile_definitions(${target} PRIVATE GROKSCOPE_PYTHON="${GROKSCOPE_PYTHON}"
                             GROKSCOPE_CHECK_RUN="${CMAKE_CURRENT_SOURCE_DIR}/io/check_run.py")
endforeach()

add_executable(io_scripted_run io/scripted_run.cpp)
target_link_libraries(io_scripted_run PRIVATE gs_io grokscope_options)
target_include_directories(io_scripted_run PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
add_test(NAME io.crash COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/crash_campaign.py
         --executable $<TARGET_FILE:io_scripted_run> --kills 20)
set_tests_properties(io.crash PROPERTIES TIMEOUT 300 ENVIRONMENT
  "OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")

# Preloaded by tests alone: a disk that fails.
add_library(failing_calls MODULE io/failing_calls.c)
set_target_properties(failing_calls PROPERTIES PREFIX "" C_STANDARD 11 C_EXTENSIONS ON)
target_compile_options(failing_calls PRIVATE -Wall -Wextra -Werror)
target_link_libraries(failing_calls PRIVATE ${CMAKE_DL_LIBS})

# A disk that fails, ranks that die, and both of Open MPI's I/O components.
add_executable(io_matrix_writer io/matrix_writer.cpp)
target_link_libraries(io_matrix_writer PRIVATE gs_io grokscope_options)
target_include_directories(io_matrix_writer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})

# Every call with every error it may meet is not among the fast tests; a thinned sweep is.
add_test(NAME io.failing_calls COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/failing_calls_test.py
         $<TARGET_FILE:io_scripted_run> $<TARGET_FILE:failing_calls> --every 19)
add_test(NAME io.every_failing_call COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/failing_calls_test.py
         $<TARGET_FILE:io_scripted_run> $<TARGET_FILE:failing_calls>)
add_test(NAME io.faults COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/faults_test.py
         $<TARGET_FILE:io_matrix_writer> $<TARGET_FILE:failing_calls> ${MPIEXEC_EXECUTABLE} --every 19)
add_test(NAME io.every_fault COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/faults_test.py
         $<TARGET_FILE:io_matrix_writer> $<TARGET_FILE:failing_calls> ${MPIEXEC_EXECUTABLE})
set_tests_properties(io.failing_calls io.faults PROPERTIES TIMEOUT 600 PROCESSORS 2 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
set_tests_properties(io.every_failing_call io.every_fault PROPERTIES TIMEOUT 3600 PROCESSORS 2 LABELS slow
                     ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
add_test(NAME io.large_matrix COMMAND ${GROKSCOPE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/io/large_matrix_test.py
         $<TARGET_FILE:io_matrix_writer> ${MPIEXEC_EXECUTABLE})
set_tests_properties(io.large_matrix PROPERTIES TIMEOUT 1200 PROCESSORS 2 LABELS slow ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
add_test(NAME io.matrix_file.romio.np3 COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe --bind-to none -n 3
                                               $<TARGET_FILE:test_io_matrix_file>)
set_tests_properties(io.matrix_file.romio.np3 PROPERTIES TIMEOUT 120 PROCESSORS 2 ENVIRONMENT
  "OMPI_MCA_io=romio321;OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_mpi_yield_when_idle=1")
