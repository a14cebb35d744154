# http-parser as the target http-parser::http-parser; neither upstream nor Debian's package brings a CMake config.
find_path(http-parser_INCLUDE_DIR http_parser.h)
find_library(http-parser_LIBRARY http_parser)
mark_as_advanced(http-parser_INCLUDE_DIR http-parser_LIBRARY)
if(http-parser_INCLUDE_DIR)
  file(STRINGS ${http-parser_INCLUDE_DIR}/http_parser.h _http_parser_version
    REGEX "#define HTTP_PARSER_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE "[^0-9]*([0-9]+)[^0-9]+([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2.\\3"
    http-parser_VERSION "${_http_parser_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(http-parser
  REQUIRED_VARS http-parser_LIBRARY http-parser_INCLUDE_DIR VERSION_VAR http-parser_VERSION)
if(http-parser_FOUND AND NOT TARGET http-parser::http-parser)
  add_library(http-parser::http-parser UNKNOWN IMPORTED)
  set_target_properties(http-parser::http-parser PROPERTIES
    IMPORTED_LOCATION ${http-parser_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${http-parser_INCLUDE_DIR})
endif()
