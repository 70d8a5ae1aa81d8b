# What `make install` puts where: headers, library, pkg-config file, CMake package, program, man pages.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/adze)

install(TARGETS adze EXPORT adze-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/adze DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(TARGET adze_cli)
  install(TARGETS adze_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
file(GLOB man_pages CONFIGURE_DEPENDS docs/man/*.1)
if(man_pages)
  install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

string(REPLACE ";" " " ADZE_PC_REQUIRES "${ADZE_PC_REQUIRES}")
list(TRANSFORM CMAKE_DL_LIBS PREPEND -l OUTPUT_VARIABLE ADZE_PC_LIBS)
string(REPLACE ";" " " ADZE_PC_LIBS "${ADZE_PC_LIBS}")
configure_file(cmake/adze.pc.in adze.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/adze.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The package finds the libraries again by the names that they had when adze was built.
set(ADZE_FIND_LIBRARIES)
foreach(name ZLIB JANSSON PCRE2 UTF8PROC SODIUM SQLITE JPEG PNG WEBP OPENJPEG TIFF)
  if(ADZE_${name}_FOUND)
    list(JOIN ADZE_${name}_MODULE_NAME " " modules)
    string(APPEND ADZE_FIND_LIBRARIES
           "pkg_check_modules(ADZE_${name} REQUIRED QUIET IMPORTED_TARGET ${modules})\n")
  endif()
endforeach()
install(EXPORT adze-targets NAMESPACE adze:: DESTINATION ${package_dir})
configure_package_config_file(cmake/adze-config.cmake.in adze-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/adze-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/adze-config.cmake ${PROJECT_BINARY_DIR}/adze-config-version.cmake
        DESTINATION ${package_dir})
