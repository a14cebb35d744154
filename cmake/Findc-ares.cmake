# c-ares as the target c-ares::cares: by its own CMake config where it was built with CMake, else (Debian) by hand.
find_package(c-ares CONFIG QUIET)
if(TARGET c-ares::cares)
  set(c-ares_FOUND TRUE)
  return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_c-ares QUIET libcares)
endif()
find_path(c-ares_INCLUDE_DIR ares.h HINTS ${PC_c-ares_INCLUDE_DIRS})
find_library(c-ares_LIBRARY cares HINTS ${PC_c-ares_LIBRARY_DIRS})
mark_as_advanced(c-ares_INCLUDE_DIR c-ares_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(c-ares REQUIRED_VARS c-ares_LIBRARY c-ares_INCLUDE_DIR VERSION_VAR PC_c-ares_VERSION)
if(c-ares_FOUND)
  add_library(c-ares::cares UNKNOWN IMPORTED)
  set_target_properties(c-ares::cares PROPERTIES
    IMPORTED_LOCATION ${c-ares_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${c-ares_INCLUDE_DIR})
endif()
