# SPDX-License-Identifier: MIT
# Where things go: headers, library, pagetableConfig.cmake for find_package, pagetable.pc for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(PAGETABLE_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/pagetable)

install(TARGETS pagetable EXPORT pagetableTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/pagetable DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT pagetableTargets NAMESPACE pagetable:: DESTINATION ${PAGETABLE_CMAKEDIR})

# A library for kernels is cross-compiled more often than not, so the version file asks nothing of the pointer size.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pagetableConfigVersion.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
configure_package_config_file(cmake/pagetableConfig.cmake.in ${PROJECT_BINARY_DIR}/pagetableConfig.cmake
    INSTALL_DESTINATION ${PAGETABLE_CMAKEDIR} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
install(FILES ${PROJECT_BINARY_DIR}/pagetableConfig.cmake ${PROJECT_BINARY_DIR}/pagetableConfigVersion.cmake
    DESTINATION ${PAGETABLE_CMAKEDIR})

# pagetable.pc finds its prefix from where it lies, so that the installed tree may be moved.
set(PAGETABLE_PC_DEFINES "")
if(PAGETABLE_ONLY_FORMAT)
    set(PAGETABLE_PC_DEFINES " -DPT_ONLY_FORMAT=${PAGETABLE_ONLY_FORMAT}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(PAGETABLE_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(PAGETABLE_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
    set(PAGETABLE_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    string(REGEX REPLACE "[^/]+" ".." up ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    set(PAGETABLE_PC_PREFIX "\${pcfiledir}/${up}")
    set(PAGETABLE_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(PAGETABLE_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/pagetable.pc.in pagetable.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pagetable.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
