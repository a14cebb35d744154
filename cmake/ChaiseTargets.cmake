# How every library, program and test of the tree is compiled.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

function(chaise_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(CHAISE_DEVELOPER)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion
      -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wcast-align -Wnull-dereference -Werror)
  endif()
  if(CHAISE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CHAISE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${CHAISE_SANITIZE})
  endif()
endfunction()

function(chaise_library target)
  chaise_compile_options(${target})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
    PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
endfunction()

function(chaise_program target)
  chaise_compile_options(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
endfunction()

# chaise_test(NAME x LABEL unit|sim|integration SOURCES a.cpp … [LIBS …] [NO_MAIN])
function(chaise_test)
  cmake_parse_arguments(T "NO_MAIN" "NAME;LABEL" "SOURCES;LIBS" ${ARGN})
  add_executable(test_${T_NAME} ${T_SOURCES})
  chaise_program(test_${T_NAME})
  target_compile_definitions(test_${T_NAME} PRIVATE CHAISE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_link_libraries(test_${T_NAME} PRIVATE chaise_testing ${T_LIBS})
  if(NOT T_NO_MAIN)
    target_link_libraries(test_${T_NAME} PRIVATE chaise_catch_main)
  endif()
  add_test(NAME ${T_NAME} COMMAND test_${T_NAME})
  set_tests_properties(${T_NAME} PROPERTIES LABELS ${T_LABEL} TIMEOUT 300)
endfunction()
