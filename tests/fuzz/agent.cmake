# SPDX-License-Identifier: Apache-2.0
eddy_fuzz(series_fuzz series_fuzz.c LIBRARIES eddy_input)
eddy_fuzz(image_fuzz image_fuzz.c LIBRARIES eddy_input)
eddy_fuzz(batch_fuzz batch_fuzz.c LIBRARIES eddy_agent)
eddy_fuzz(control_fuzz control_fuzz.c LIBRARIES eddy_agent)
eddy_fuzz(topic_fuzz topic_fuzz.c LIBRARIES eddy_agent)
