# SPDX-License-Identifier: Apache-2.0
eddy_fuzz(config_fuzz config_fuzz.c LIBRARIES eddy_config)
eddy_fuzz(manifest_fuzz manifest_fuzz.c LIBRARIES eddy_config)
