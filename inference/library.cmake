# SPDX-License-Identifier: Apache-2.0
# libeddy-infer.a for others: the engine and what it uses of base as one object, in which only eddy_* is visible.
add_library(eddy_library OBJECT library.c)
target_link_libraries(eddy_library PRIVATE eddy_flags)
set(EDDY_INFER_ARCHIVE ${CMAKE_BINARY_DIR}/libeddy-infer.a)
add_custom_command(
  OUTPUT ${EDDY_INFER_ARCHIVE}
  COMMAND ${CMAKE_LINKER} -r -o eddy-infer.o $<TARGET_OBJECTS:eddy_library> $<TARGET_FILE:eddy_inference> $<TARGET_FILE:eddy_base>
  COMMAND ${CMAKE_OBJCOPY} --wildcard "--keep-global-symbol=eddy_*" eddy-infer.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${EDDY_INFER_ARCHIVE}
  COMMAND ${CMAKE_AR} rcs ${EDDY_INFER_ARCHIVE} eddy-infer.o
  DEPENDS eddy_library $<TARGET_OBJECTS:eddy_library> eddy_inference eddy_base
  COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(eddy_infer ALL DEPENDS ${EDDY_INFER_ARCHIVE})

include(GNUInstallDirs)
file(RELATIVE_PATH EDDY_INFER_PREFIX /any/${CMAKE_INSTALL_LIBDIR}/pkgconfig /any)
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/libeddy-infer.pc.in ${CMAKE_BINARY_DIR}/libeddy-infer.pc @ONLY)
install(FILES ${EDDY_INFER_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT infer)
install(FILES include/eddy/infer.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/eddy COMPONENT infer)
install(FILES ${CMAKE_BINARY_DIR}/libeddy-infer.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT infer)
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/libeddy-infer.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT infer)
install(FILES ${CMAKE_SOURCE_DIR}/examples/infer/infer.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT infer)
