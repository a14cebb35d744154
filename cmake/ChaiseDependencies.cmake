# Dependencies: the system's packages first; what it lacks is downloaded, by hash, unless that is switched off.
#
# The versions fetched are those of Debian 12, which the tests run with (c-ares: the nearest that has a CMake target
# of the right name). OpenSSL and libcurl are never fetched: they are the system's to keep up to date.
option(CHAISE_FETCH_DEPENDENCIES "Download the dependencies that find_package does not find" ON)

include(FetchContent)
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # fetched projects take their options from the variables set here

# chaise_dependency(NAME TARGET t URL u SHA256 h [VERSION v])
# A macro: what find_package and the fetched project set is wanted in the caller's scope.
macro(chaise_dependency name)
  cmake_parse_arguments(D "" "TARGET;URL;SHA256;VERSION" "" ${ARGN})
  if(NOT TARGET ${D_TARGET})
    find_package(${name} ${D_VERSION} QUIET)
  endif()
  if(NOT TARGET ${D_TARGET})
    if(NOT CHAISE_FETCH_DEPENDENCIES)
      message(FATAL_ERROR "chaise needs ${name} ${D_VERSION}: it is not installed, and CHAISE_FETCH_DEPENDENCIES is off")
    endif()
    message(STATUS "${name} is not installed: fetching ${D_URL}")
    FetchContent_Declare(${name} URL ${D_URL} URL_HASH SHA256=${D_SHA256} SYSTEM DOWNLOAD_EXTRACT_TIMESTAMP OFF)
    FetchContent_MakeAvailable(${name})
  endif()
endmacro()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL 7.85 REQUIRED)

set(FMT_INSTALL ON)
chaise_dependency(fmt TARGET fmt::fmt
  URL https://github.com/fmtlib/fmt/archive/9.1.0.tar.gz
  SHA256 5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2)

chaise_dependency(simdjson TARGET simdjson::simdjson VERSION 3.0
  URL https://github.com/simdjson/simdjson/archive/v3.0.1.tar.gz
  SHA256 156b1bc5eb0561b2bd166b46d191fd3d95a3e709cc63761477d3b7aec2b6e9ed)

# Not Debian's 1.1.9, which GCC compiles only with Debian's patch.
set(SNAPPY_BUILD_TESTS OFF)
set(SNAPPY_BUILD_BENCHMARKS OFF)
if(NOT TARGET snappy)  # by that name its own project makes it
  chaise_dependency(Snappy TARGET Snappy::snappy
    URL https://github.com/google/snappy/archive/1.1.10.tar.gz
    SHA256 49d831bffcc5f3d01482340fe5af59852ca2fe76c3e05df0e67203ebbe0f1d90)
endif()
if(NOT TARGET Snappy::snappy)
  add_library(Snappy::snappy ALIAS snappy)
endif()

set(CARES_STATIC ON)
set(CARES_SHARED OFF)
set(CARES_BUILD_TOOLS OFF)
chaise_dependency(c-ares TARGET c-ares::cares
  URL https://github.com/c-ares/c-ares/releases/download/cares-1_19_1/c-ares-1.19.1.tar.gz
  SHA256 321700399b72ed0e037d0074c629e7741f6b2ec2dda92956abe3e9671d3e268e)

if(CHAISE_WITH_TESTING)
  # For the local cluster.
  find_package(http-parser 2.9 QUIET)
  if(NOT http-parser_FOUND)
    # No CMake project in this archive either: its one source file becomes part of chaise_testing.
    chaise_dependency(http-parser TARGET http-parser::http-parser
      URL https://github.com/nodejs/http-parser/archive/v2.9.4.tar.gz
      SHA256 467b9e30fd0979ee301065e70f637d525c28193449e1b13fbcb1b1fab3ad224f)
    enable_language(C)
  endif()

  # Its views run JavaScript.
  find_package(duktape 2.7 QUIET)
  if(NOT duktape_FOUND)
    # As http-parser: one source file.
    chaise_dependency(duktape TARGET duktape::duktape
      URL https://github.com/svaarala/duktape/releases/download/v2.7.0/duktape-2.7.0.tar.xz
      SHA256 90f8d2fa8b5567c6899830ddef2c03f3c27960b11aca222fa17aa7ac613c2890)
    enable_language(C)
  endif()
endif()

if(CHAISE_WITH_ASIO)
  find_package(Asio 1.22 QUIET)
  if(NOT Asio_FOUND)
    # No CMake project in this archive: making it available only unpacks it.
    chaise_dependency(asio TARGET asio::asio
      URL https://github.com/chriskohlhoff/asio/archive/asio-1-22-1.tar.gz
      SHA256 30cb54a5de5e465d10ec0c2026d6b5917f5e89fffabdbabeb1475846fc9a2cf0)
    set(Asio_INCLUDE_DIR ${asio_SOURCE_DIR}/asio/include CACHE PATH "Where asio.hpp is" FORCE)
    find_package(Asio 1.22 REQUIRED)
    set(CHAISE_INSTALL_ASIO ${Asio_INCLUDE_DIR})
  endif()
endif()

if(CHAISE_BUILD_TESTS)
  chaise_dependency(Catch2 TARGET Catch2::Catch2 VERSION 2.13
    URL https://github.com/catchorg/Catch2/archive/v2.13.10.tar.gz
    SHA256 d54a712b7b1d7708bc7a819a8e6e47b2fde9536f487b89ccbca295072a7d9943)
endif()

if(CHAISE_BUILD_BENCH OR CHAISE_BUILD_CLUSTER)
  chaise_dependency(CLI11 TARGET CLI11::CLI11
    URL https://github.com/CLIUtils/CLI11/archive/v2.1.2.tar.gz
    SHA256 26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb)
endif()
