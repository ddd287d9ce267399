# SPDX-License-Identifier: Apache-2.0
find_package(PkgConfig REQUIRED)
pkg_check_modules(TEST_JPEG REQUIRED IMPORTED_TARGET libjpeg) # to make JPEGs
eddy_test(input_image_test input_image_test.c LIBRARIES eddy_input PkgConfig::TEST_JPEG)
eddy_test(series_test series_test.c LIBRARIES eddy_input)
eddy_test(task_test task_test.c LIBRARIES eddy_input)
