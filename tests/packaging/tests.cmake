# Recipes by reading them, and an installation by using it: the latter compiles a program of somebody else.
add_test(NAME packaging.files COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/files_test.py")
add_test(NAME packaging.install COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/install_test.py" "${PROJECT_BINARY_DIR}")
set_tests_properties(packaging.files packaging.install PROPERTIES ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
set_tests_properties(packaging.files PROPERTIES TIMEOUT 120 PROCESSORS 1)
set_tests_properties(packaging.install PROPERTIES TIMEOUT 900 PROCESSORS 1 LABELS ci)
