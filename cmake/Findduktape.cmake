# Duktape as the target duktape::duktape; neither upstream nor Debian's package brings a CMake config.
find_path(duktape_INCLUDE_DIR duktape.h)
find_library(duktape_LIBRARY duktape)
mark_as_advanced(duktape_INCLUDE_DIR duktape_LIBRARY)
if(duktape_INCLUDE_DIR)
  file(STRINGS ${duktape_INCLUDE_DIR}/duktape.h _duktape_version REGEX "#define DUK_VERSION +[0-9]+L")
  string(REGEX REPLACE ".*DUK_VERSION +([0-9]+)L.*" "\\1" _duktape_version "${_duktape_version}")
  math(EXPR _duktape_major "${_duktape_version} / 10000")
  math(EXPR _duktape_minor "${_duktape_version} / 100 % 100")
  set(duktape_VERSION ${_duktape_major}.${_duktape_minor})
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(duktape
  REQUIRED_VARS duktape_LIBRARY duktape_INCLUDE_DIR VERSION_VAR duktape_VERSION)
if(duktape_FOUND AND NOT TARGET duktape::duktape)
  add_library(duktape::duktape UNKNOWN IMPORTED)
  set_target_properties(duktape::duktape PROPERTIES
    IMPORTED_LOCATION ${duktape_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${duktape_INCLUDE_DIR})
endif()
