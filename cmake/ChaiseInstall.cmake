# cmake --install: the libraries, their headers, and what find_package(chaise COMPONENTS …) needs.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/chaise)

install(TARGETS chaise EXPORT chaiseTargets)
install(EXPORT chaiseTargets NAMESPACE chaise:: DESTINATION ${config_dir})

# One targets file for each component: who does not ask for it need not have its dependencies.
foreach(component IN LISTS CHAISE_COMPONENTS)
  install(TARGETS chaise_${component} EXPORT chaise-${component}-targets)
  install(EXPORT chaise-${component}-targets NAMESPACE chaise:: DESTINATION ${config_dir})
endforeach()

if(TARGET chaise-cluster)
  install(TARGETS chaise-cluster)
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/chaise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(CHAISE_INSTALL_ASIO)
  install(DIRECTORY ${CHAISE_INSTALL_ASIO}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/chaiseConfig.cmake.in ${PROJECT_BINARY_DIR}/chaiseConfig.cmake
  INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/chaiseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/chaiseConfig.cmake ${PROJECT_BINARY_DIR}/chaiseConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindAsio.cmake ${CMAKE_CURRENT_LIST_DIR}/Findc-ares.cmake
  ${CMAKE_CURRENT_LIST_DIR}/Findhttp-parser.cmake ${CMAKE_CURRENT_LIST_DIR}/Findduktape.cmake
  DESTINATION ${config_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
