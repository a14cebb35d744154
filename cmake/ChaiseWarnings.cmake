# Warnings of our own builds (CHAISE_DEVELOPER); who consumes the library never sees them.
#
# The list is for GCC 12, the reference; clang knows all of these names. A false positive is switched off here, by
# name, with the number of its GCC bug.
set(CHAISE_WARNINGS
  -Wall -Wextra -Wpedantic
  -Wconversion -Wsign-conversion -Wshadow
  -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wcast-align
  -Wextra-semi -Wundef -Wvla)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Not -Wnull-dereference: it warns inside Asio and libstdc++ once inlined (GCC meta-bug 86172).
  # Not -Wlogical-op: it refuses errno == EAGAIN || errno == EWOULDBLOCK (GCC bug 69602).
  list(APPEND CHAISE_WARNINGS -Wduplicated-cond)
else()
  # libstdc++ 12's std::stable_sort uses std::get_temporary_buffer, and clang says so.
  list(APPEND CHAISE_WARNINGS -Wno-deprecated-declarations)
endif()

# GCC's manual on -fsanitize: sanitizers raise the rate of false positives, "we recommend against combining -Werror
# and the use of sanitizers". Plain builds have the same warnings as errors.
if(NOT CHAISE_SANITIZE)
  list(APPEND CHAISE_WARNINGS -Werror)
endif()
