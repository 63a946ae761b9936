# What installs the libraries, the tool and its data.
include(CMakePackageConfigHelpers)

# Components: library (what a C++ project builds with), static (libsentinel.a, besides library),
# tool (the command line and its data).
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sentinel)
install(TARGETS sentinel_shared EXPORT sentinel COMPONENT library)
install(DIRECTORY include/sentinel TYPE INCLUDE COMPONENT library FILES_MATCHING PATTERN "*.h")
install(EXPORT sentinel NAMESPACE sentinel:: DESTINATION ${package_dir} COMPONENT library
        FILE sentinelTargets.cmake)
if(SENTINEL_STATIC)
  # An export of its own: who links the shared library need not have what the static one is made of.
  install(TARGETS sentinel_static EXPORT sentinel_static COMPONENT static)
  install(EXPORT sentinel_static NAMESPACE sentinel:: DESTINATION ${package_dir} COMPONENT static
          FILE sentinelStaticTargets.cmake)
endif()
configure_package_config_file(cmake/sentinelConfig.cmake.in sentinelConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(sentinelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH path_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
# Not by OpenBLAS's own file: it names gfortran, which its shared library does not need to link.
if(OPENBLAS_FOUND)
  list(JOIN OPENBLAS_LDFLAGS " " blas_libs)
endif()
configure_file(cmake/sentinel.pc.in sentinel.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sentinelConfig.cmake
              ${PROJECT_BINARY_DIR}/sentinelConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/sentinel.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT library)

install(TARGETS sentinel COMPONENT tool)
install(DIRECTORY models texts DESTINATION ${CMAKE_INSTALL_DATADIR}/sentinel COMPONENT tool
        PATTERN "reference*" EXCLUDE)

# The manual page and completions come from the binary's own option table.
if(NOT CMAKE_CROSSCOMPILING)
  set(texts ${PROJECT_BINARY_DIR}/texts)
  add_custom_command(OUTPUT ${texts}/sentinel.1 ${texts}/sentinel.bash ${texts}/_sentinel ${texts}/sentinel.fish
                     COMMAND ${CMAKE_COMMAND} -E make_directory ${texts}
                     COMMAND sentinel --man > ${texts}/sentinel.1
                     COMMAND sentinel --completion bash > ${texts}/sentinel.bash
                     COMMAND sentinel --completion zsh > ${texts}/_sentinel
                     COMMAND sentinel --completion fish > ${texts}/sentinel.fish
                     DEPENDS sentinel VERBATIM)
  add_custom_target(sentinel_texts ALL DEPENDS ${texts}/sentinel.1)
  install(FILES ${texts}/sentinel.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
  install(FILES ${texts}/sentinel.bash RENAME sentinel COMPONENT tool
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${texts}/_sentinel COMPONENT tool
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${texts}/sentinel.fish COMPONENT tool
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
