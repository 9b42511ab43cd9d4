# What `cmake --install` puts where: bin/grokscope; lib and include for experiments of one's own, which
# find_package(grokscope) and link grokscope::commands; tools, configurations and job scripts in share/grokscope; a modulefile.
include(CMakePackageConfigHelpers)

# The commands import the package that lies beside them.
install(DIRECTORY tools/ DESTINATION ${CMAKE_INSTALL_DATADIR}/grokscope/tools USE_SOURCE_PERMISSIONS
        FILES_MATCHING PATTERN "*.py" PATTERN "page.css" PATTERN "page.js" PATTERN "__pycache__" EXCLUDE PATTERN "packaging" EXCLUDE)
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/grokscope)
install(DIRECTORY slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/grokscope USE_SOURCE_PERMISSIONS
        PATTERN "env.sh" EXCLUDE)
install(FILES tools/packaging/modulefile DESTINATION ${CMAKE_INSTALL_DATADIR}/modulefiles/grokscope
        RENAME ${PROJECT_VERSION})

install(DIRECTORY src/ experiments DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/grokscope FILES_MATCHING PATTERN "*.hpp")
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/grokscope)
install(EXPORT grokscope FILE grokscopeTargets.cmake NAMESPACE grokscope:: DESTINATION ${package_folder})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/grokscopeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES src/cmake/grokscopeConfig.cmake src/cmake/ThirdParty.cmake
              "${PROJECT_BINARY_DIR}/grokscopeConfigVersion.cmake" DESTINATION ${package_folder})
