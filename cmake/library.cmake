# libsentinel: the layers from api down as one library, and what installs it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Below 1.0 every minor version may change the interface.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
else()
  set(soversion ${PROJECT_VERSION_MAJOR})
endif()

add_library(sentinel_shared SHARED $<TARGET_OBJECTS:sentinel_api>)
target_link_libraries(sentinel_shared PRIVATE sentinel_app)
set_target_properties(sentinel_shared PROPERTIES LINKER_LANGUAGE CXX
                      VERSION ${PROJECT_VERSION} SOVERSION ${soversion})
if(NOT SENTINEL_SANITIZE AND NOT APPLE)
  # Also keeps templates of the standard library to itself.
  set(symbols ${PROJECT_SOURCE_DIR}/cmake/libsentinel.map)
  target_link_options(sentinel_shared PRIVATE -Wl,--version-script=${symbols} -Wl,--no-undefined)
  set_target_properties(sentinel_shared PROPERTIES LINK_DEPENDS ${symbols})
endif()
set(libraries sentinel_shared)

if(SENTINEL_STATIC)
  add_library(sentinel_static STATIC
              $<TARGET_OBJECTS:sentinel_api> $<TARGET_OBJECTS:sentinel_app>
              $<TARGET_OBJECTS:sentinel_model> $<TARGET_OBJECTS:sentinel_kernels>
              $<TARGET_OBJECTS:sentinel_base>)
  target_link_libraries(sentinel_static PRIVATE Threads::Threads fmt::fmt OpenSSL::Crypto
                        PkgConfig::PCRE2 $<TARGET_NAME_IF_EXISTS:PkgConfig::OPENBLAS>)
  set_target_properties(sentinel_static PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME static)
  list(APPEND libraries sentinel_static)
endif()

foreach(library ${libraries})
  target_compile_features(${library} INTERFACE cxx_std_20)
  target_include_directories(${library} INTERFACE
                             $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME sentinel)
endforeach()
set_target_properties(sentinel_shared PROPERTIES EXPORT_NAME sentinel)

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
