list(APPEND EDDY_INFERENCE_SOURCES tflite/tflite_stub_for_build.c)
