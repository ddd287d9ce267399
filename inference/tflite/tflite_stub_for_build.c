#include "inference/tflite/tflite.h"
enum error_code tflite_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph, struct error *error)
{
    (void)bytes,(void)length,(void)options,(void)graph;
    return error_set(error, ERROR_UNSUPPORTED, "tflite");
}
