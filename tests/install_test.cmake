# Installs into a temporary folder; a project elsewhere finds the library there with find_package
# and with pkg-config, builds and runs. Arguments: BUILD, SOURCE, CXX, GENERATOR, VERSION,
# STATIC (whether libsentinel.a was built).
cmake_minimum_required(VERSION 3.25)

string(RANDOM LENGTH 8 suffix)
set(folder ${BUILD}/install-test-${suffix})
set(prefix ${folder}/prefix)

function(fail message)
  file(REMOVE_RECURSE ${folder})
  message(FATAL_ERROR "${message}")
endfunction()

# run(OUT COMMAND...): the command's standard output.
function(run out)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
                  ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    string(JOIN " " command ${ARGN})
    fail("${command}: exit ${status}\n${output}\n${errors}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
endfunction()

function(expect text pattern)
  if(NOT "${text}" MATCHES "${pattern}")
    fail("\"${pattern}\" is not in: ${text}")
  endif()
endfunction()

set(components library tool)
if(STATIC)
  list(APPEND components static)
endif()
foreach(component ${components})
  run(ignored ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component ${component})
endforeach()
# What follows must find nothing but the installed tree.
file(MAKE_DIRECTORY ${folder}/elsewhere)
unset(ENV{SENTINEL_DATA})
unset(ENV{OPTIMIZATION_LEVEL})

# The tool and its data, from wherever it was installed.
run(text ${CMAKE_COMMAND} -E chdir ${folder}/elsewhere ${prefix}/bin/sentinel generate -p Once -n 2)
run(version ${prefix}/bin/sentinel --version)
expect("${version}" "sentinel ${VERSION}")

# find_package: the examples as a project of their own.
file(COPY ${SOURCE}/examples/cpp DESTINATION ${folder})
run(ignored ${CMAKE_COMMAND} -S ${folder}/cpp -B ${folder}/build -G ${GENERATOR}
    -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_BUILD_TYPE=Debug)
run(ignored ${CMAKE_COMMAND} --build ${folder}/build)
foreach(name generate heads logits measure prune)
  run(${name} ${CMAKE_COMMAND} -E chdir ${folder}/elsewhere ${folder}/build/${name})
endforeach()
expect("${generate}" "Once upon a time.*32 tokens .length.*level 2, int8")
expect("${heads}" "was refused.*62 of 64 heads contribute, 1 violation")
expect("${logits}" "\" man\"")
expect("${measure}" "tokens/s.*of the read bandwidth.*Recommendation.*perplexity")
expect("${prune}" "12 heads closed.*parameters are left")

# A version that does not exist is not found.
file(WRITE ${folder}/other/CMakeLists.txt "cmake_minimum_required(VERSION 3.16)
project(other LANGUAGES CXX)
find_package(sentinel 99 CONFIG)
if(sentinel_FOUND)
  message(FATAL_ERROR \"found version 99\")
endif()
")
run(ignored ${CMAKE_COMMAND} -S ${folder}/other -B ${folder}/other/build -G ${GENERATOR}
    -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_PREFIX_PATH=${prefix})

# pkg-config, by hand.
find_program(PKG_CONFIG pkg-config REQUIRED)
file(GLOB_RECURSE pc ${prefix}/*/sentinel.pc)
get_filename_component(pc_folder "${pc}" DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${pc_folder})
run(pc_version ${PKG_CONFIG} --modversion sentinel)
expect("${pc_version}" "^${VERSION}")
run(flags ${PKG_CONFIG} --cflags --libs sentinel)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(ignored ${CXX} -std=c++20 ${SOURCE}/examples/cpp/logits.cc -o ${folder}/logits ${flags})
run(library_folder ${PKG_CONFIG} --variable=libdir sentinel)
string(STRIP "${library_folder}" library_folder)
run(by_hand ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${library_folder}
    ${CMAKE_COMMAND} -E chdir ${folder}/elsewhere ${folder}/logits)
expect("${by_hand}" "\" man\"")

# The shared library shows the public interface and nothing else, under a versioned name.
find_program(NM nm REQUIRED)
run(symbols ${NM} -DC --defined-only ${library_folder}/libsentinel.so)
string(REGEX REPLACE "\n$" "" symbols "${symbols}")
string(REPLACE ";" "," symbols "${symbols}")
string(REPLACE "\n" ";" symbols "${symbols}")
foreach(symbol ${symbols})
  string(REGEX REPLACE "^[0-9a-f]+ [A-Za-z] " "" name "${symbol}")
  if(NOT name MATCHES "^((typeinfo|typeinfo name|vtable) for )?sentinel::(BaselineModel|AdaptiveModel|Error|load_|to_string|parse_head_state|build_info|bundled_|finds_tokenizer|prune_model|profile|resume_profile|benchmark)")
    fail("libsentinel.so shows ${name}")
  endif()
endforeach()
string(REGEX MATCH "^[0-9]+\\.[0-9]+" soversion "${VERSION}")
find_program(READELF readelf REQUIRED)
run(dynamic ${READELF} -d ${library_folder}/libsentinel.so)
expect("${dynamic}" "SONAME[^\n]*\\[libsentinel\\.so\\.${soversion}\\]")
if(NOT EXISTS ${library_folder}/libsentinel.so.${soversion})
  fail("no libsentinel.so.${soversion}")
endif()
# The static library, for a project that asks for it and by hand.
if(STATIC)
  file(WRITE ${folder}/static/CMakeLists.txt "cmake_minimum_required(VERSION 3.16)
  project(static LANGUAGES CXX)
  find_package(sentinel CONFIG REQUIRED COMPONENTS static)
  add_executable(logits ${SOURCE}/examples/cpp/logits.cc)
  target_link_libraries(logits PRIVATE sentinel::static)
  ")
  run(ignored ${CMAKE_COMMAND} -S ${folder}/static -B ${folder}/static/build -G ${GENERATOR}
      -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_PREFIX_PATH=${prefix})
  run(ignored ${CMAKE_COMMAND} --build ${folder}/static/build)
  run(static ${CMAKE_COMMAND} -E chdir ${folder}/elsewhere ${folder}/static/build/logits)
  expect("${static}" "\" man\"")
  run(flags ${PKG_CONFIG} --cflags --libs --static sentinel)
  string(REPLACE "-lsentinel" "-l:libsentinel.a" flags "${flags}")
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(ignored ${CXX} -std=c++20 ${SOURCE}/examples/cpp/logits.cc -o ${folder}/logits_static ${flags})
  run(by_hand ${CMAKE_COMMAND} -E chdir ${folder}/elsewhere ${folder}/logits_static)
  expect("${by_hand}" "\" man\"")
endif()
file(REMOVE_RECURSE ${folder})
