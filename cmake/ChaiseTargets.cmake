# How every library, program and test of the tree is compiled.

include(ChaiseWarnings)

# The sloppiness is what ccache asks for where precompiled headers are used (see chaise_test); the base directory lets
# a second clone find what the first one compiled.
find_program(CCACHE_PROGRAM ccache)
mark_as_advanced(CCACHE_PROGRAM)
if(CCACHE_PROGRAM AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
    CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

function(chaise_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(CHAISE_DEVELOPER)
    target_compile_options(${target} PRIVATE ${CHAISE_WARNINGS})
  endif()
  if(CHAISE_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${CHAISE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${CHAISE_SANITIZE})
  endif()
endfunction()

function(chaise_library target)
  chaise_compile_options(${target})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  # 0.x: every minor version is an ABI of its own.
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} DEFINE_SYMBOL "")
  if(BUILD_SHARED_LIBS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fno-semantic-interposition)  # calls inside the library stay inlinable
  endif()
endfunction()

function(chaise_program target)
  chaise_compile_options(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
endfunction()

# What tests themselves compile to is not what is tested, and takes most of the time. With less optimisation a file takes
# two thirds of it (16.7 s -> 11.5 s); under ASan without any, and without UBSan's dearest checks (of every member
# access), half (23 s -> 13 s, all measured). A null pointer stops it anyway.
set(CHAISE_TEST_OPTIONS "")
if(CHAISE_SANITIZE MATCHES "address")
  set(CHAISE_TEST_OPTIONS -O0)
  if(CHAISE_SANITIZE MATCHES "undefined")
    list(APPEND CHAISE_TEST_OPTIONS -fno-sanitize=null,alignment,vptr,object-size)
  endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # What GCC's optimizers warn of, they warn of wrongly the more often the less they know (meta-bugs 88443, 56456,
  # 97048, 24639): the libraries, the examples and the benchmarks have these warnings, at -O2.
  set(CHAISE_TEST_OPTIONS -O1 $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread;-Wno-stringop-overflow;-Wno-array-bounds;-Wno-restrict;-Wno-maybe-uninitialized>)
endif()

function(chaise_compile_as_test target)
  chaise_program(${target})
  target_compile_options(${target} PRIVATE ${CHAISE_TEST_OPTIONS})
endfunction()

function(chaise_precompile_catch target)
  target_link_libraries(${target} PRIVATE chaise_catch_main)
  target_precompile_headers(${target} REUSE_FROM chaise_catch_main)
  set_target_properties(${target} PROPERTIES PCH_WARN_INVALID OFF)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()

# chaise_test_library(NAME x SOURCES a.cpp … [LIBS …])
#
# A static library chaise_x of what several tests use: compiled as they are, but once.
function(chaise_test_library)
  cmake_parse_arguments(T "" "NAME" "SOURCES;LIBS" ${ARGN})
  set(target chaise_${T_NAME})
  add_library(${target} STATIC ${T_SOURCES})
  chaise_compile_as_test(${target})
  target_link_libraries(${target} PUBLIC chaise_testing ${T_LIBS})
  chaise_precompile_catch(${target})
endfunction()

# chaise_test(NAME x LABEL unit|sim|integration|… SOURCES a.cpp … [LIBS …] [NO_MAIN])
#
# LABEL may be a list ("unit;thread"); tests labelled thread also run under TSan. Sources get catch.hpp and the
# usual standard headers precompiled (1.6 s -> 0.4 s a file, measured), unless NO_MAIN is said: such a test has a
# main, or a Catch configuration, of its own. Where a test's own compile options don't fit the precompiled header,
# the compiler reads the plain one.
function(chaise_test)
  cmake_parse_arguments(T "NO_MAIN" "NAME" "LABEL;SOURCES;LIBS" ${ARGN})
  set(target test_${T_NAME})
  add_executable(${target} ${T_SOURCES})
  chaise_compile_as_test(${target})
  target_compile_definitions(${target} PRIVATE CHAISE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_link_libraries(${target} PRIVATE chaise_testing ${T_LIBS})
  if(NOT T_NO_MAIN)
    chaise_precompile_catch(${target})
  endif()
  add_test(NAME ${T_NAME} COMMAND ${target})
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABEL}" TIMEOUT 300)
  if(CHAISE_SANITIZE)
    set_tests_properties(${T_NAME} PROPERTIES TIMEOUT 900 ENVIRONMENT
      "ASAN_OPTIONS=detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=halt_on_error=1")
  endif()
  if("thread" IN_LIST T_LABEL)
    add_dependencies(thread_tests ${target})
  endif()
endfunction()
