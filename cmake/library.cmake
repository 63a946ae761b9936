# libsentinel: the layers from api down as one library.
include(GNUInstallDirs)

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
# As an installed package names them.
add_library(sentinel::sentinel ALIAS sentinel_shared)
if(SENTINEL_STATIC)
  add_library(sentinel::static ALIAS sentinel_static)
endif()
