# Asks git what the sources are, at every build: cmake -DGIT=... -DSOURCE=... -DTEMPLATE=... -DOUTPUT=... -P built_from.cmake
# The header changes only when the answer does. run/provenance.cpp asks the same of the sources at each launch.
set(COMMIT unknown)
set(CHANGES "")
if(GIT)
  set(git "${GIT}" -C "${SOURCE}")
  set(difference ${git} diff --no-ext-diff --no-color)
  set(of_sources HEAD -- CMakeLists.txt src experiments)
  # A folder of sources within somebody else's repository is not its.
  execute_process(COMMAND ${git} ls-files --error-unmatch CMakeLists.txt RESULT_VARIABLE is_foreign OUTPUT_QUIET ERROR_QUIET)
  execute_process(COMMAND ${git} rev-parse HEAD OUTPUT_VARIABLE head RESULT_VARIABLE has_none ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(is_foreign EQUAL 0 AND has_none EQUAL 0)
    set(COMMIT "${head}")
    execute_process(COMMAND ${difference} --quiet ${of_sources} RESULT_VARIABLE differs OUTPUT_QUIET ERROR_QUIET)
    if(NOT differs EQUAL 0)
      execute_process(COMMAND ${difference} ${of_sources} COMMAND ${git} hash-object --stdin OUTPUT_VARIABLE CHANGES
                      OUTPUT_STRIP_TRAILING_WHITESPACE)
    endif()
  endif()
endif()
configure_file("${TEMPLATE}" "${OUTPUT}" @ONLY)
