add_test(NAME commands.commands COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/commands_test.py"
                                        $<TARGET_FILE:grokscope>)
set_tests_properties(commands.commands PROPERTIES TIMEOUT 600 PROCESSORS 1 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
add_test(NAME commands.built_from COMMAND ${GROKSCOPE_PYTHON} "${CMAKE_CURRENT_LIST_DIR}/built_from_test.py" "${CMAKE_COMMAND}")
set_tests_properties(commands.built_from PROPERTIES TIMEOUT 60 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
